"""Kinds of the labelled images of a teaching: what they look like to the detector; `engines.training.kinds` fits them.

The released graph says what its hottest cells look like, so the map that they are the hottest of is the joined one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.kinds import MAX_KINDS
from engines.detectors.kinds import Kinds, look
from engines.training.kinds.fit import MIN_KINDS, Examples, FoundKinds, fit_kinds
from engines.training.known_defects.cells import Cells
from engines.training.refinement.records import Indices


def kinds_of(cells: Cells, labelled: Indices, kinds: Mapping[int, str], groups: NDArray[np.intp]) -> FoundKinds | None:
    """Kinds of labelled images; None: fewer than two are named, or the detector has no whitened cells.

    Args:
        cells: of the detector with its heads.
        kinds: image -> the name of its kind; those without one are left out.
        groups: of `labelled`; twins have the same.
    """
    counts = Counter(kinds[int(index)] for index in labelled if int(index) in kinds)
    known = {name for name, _ in counts.most_common(MAX_KINDS)}
    named = np.array([kinds.get(int(index)) in known for index in labelled], np.bool_)
    if len(known) < MIN_KINDS or not cells.are_there:
        return None
    names = tuple(kinds[int(index)] for index in labelled[named])
    looks = looks_of(cells, labelled[named])
    return fit_kinds(Examples(looks, names, groups[named], labelled[named]))


def looks_of(cells: Cells, images: Indices) -> NDArray[np.float64]:
    """(images, dim): what the hottest cells of the released map look like."""
    _, maps = cells.score_others(images)
    found, start = [], 0
    with torch.inference_mode():
        for z in cells.of_others(images):
            anomaly_map = torch.from_numpy(maps[start : start + len(z)])
            start += len(z)
            found.append(look(anomaly_map, z, anomaly_map[0].numel(), z.shape[-1]).double().numpy())
    return np.concatenate(found)


def kinds_head(found: FoundKinds | None, map_size: tuple[int, int]) -> Kinds | None:
    """What becomes part of the graph; None: no kinds were found."""
    if found is None:
        return None
    return Kinds(torch.from_numpy(found.common), torch.from_numpy(found.means), map_size)
