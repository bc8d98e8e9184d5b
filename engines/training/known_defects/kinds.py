"""Kinds of defects from a few labelled images: means of what their hottest cells look like, and when to say unknown.

The limit of likeness below which a kind is unknown comes from leaving out: each labelled image is compared with kinds
that were made without it and its twins (it should be named), and with those that are left when its whole kind is away
(it should be unknown). The limit makes as few mistakes of both sorts as possible. Where a kind has one image the first
cannot be known, and the limit is what few strangers reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.kinds import MAX_KINDS, KindsRecord
from engines.detectors.kinds import Kinds, look
from engines.detectors.known_defects import KnownDefects
from engines.training.known_defects.cells import Cells
from engines.training.refinement.records import Indices

MIN_KINDS = 2
"""With one there is nothing to distinguish."""
STRANGERS = 0.8
"""Share of the strangers below the limit, where no image could be left out of its own kind."""


@dataclass(frozen=True)
class FoundKinds:
    """What labelled images say of kinds."""

    head: Kinds
    record: KindsRecord


def kinds_of(
    cells: Cells, head: KnownDefects | None, labelled: Indices, kinds: Mapping[int, str], groups: NDArray[np.intp]
) -> FoundKinds | None:
    """Kinds of labelled images; None: fewer than two are named, or the detector has no whitened cells.

    Args:
        head: what was joined to the map of the detector.
        kinds: image -> the name of its kind; those without one are left out.
        groups: of `labelled`; twins have the same.
    """
    counts = Counter(kinds[int(index)] for index in labelled if int(index) in kinds)
    known = {name for name, _ in counts.most_common(MAX_KINDS)}
    named = np.array([kinds.get(int(index)) in known for index in labelled], np.bool_)
    if len(known) < MIN_KINDS or not cells.are_there:
        return None
    names = [kinds[int(index)] for index in labelled[named]]
    return fit_kinds(looks_of(cells, head, labelled[named]), names, groups[named], cells.detector.map_size)


def looks_of(cells: Cells, head: KnownDefects | None, images: Indices) -> NDArray[np.float64]:
    """(images, dim): what the hottest cells of the released map look like."""
    _, maps = cells.score_others(images)
    found, start = [], 0
    with torch.inference_mode():
        for z in cells.of_others(images):
            anomaly_map = torch.from_numpy(maps[start : start + len(z)])
            start += len(z)
            joined = anomaly_map if head is None else head(anomaly_map, z)
            found.append(look(joined, z, joined[0].numel(), z.shape[-1]).double().numpy())
    return np.concatenate(found)


def fit_kinds(
    looks: NDArray[np.float64], names: Sequence[str], groups: NDArray[np.intp], map_size: tuple[int, int]
) -> FoundKinds:
    """Kinds of images: `looks` (images, dim), their names, at least two, and their groups; twins have the same."""
    kinds = sorted(set(names))
    of = np.array([kinds.index(name) for name in names], np.intp)
    limit, right, unknown, tried = _limit(looks, of, groups)
    common, means = _means(looks, of)
    return FoundKinds(
        Kinds(torch.from_numpy(common.astype(np.float32)), torch.from_numpy(means.astype(np.float32)), map_size),
        KindsRecord(
            names=tuple(kinds),
            labelled=tuple(int(np.count_nonzero(of == kind)) for kind in range(len(kinds))),
            least_likeness=limit,
            left_out=tried,
            right=right,
            unknown=unknown,
        ),
    )


def _limit(looks: NDArray[np.float64], of: NDArray[np.intp], groups: NDArray[np.intp]) -> tuple[float, int, int, int]:
    """The limit, and of the images left out of their kind how many are named rightly, are unknown, and there are."""
    own: list[tuple[float, bool]] = []
    strangers: list[float] = []
    for image, kind in enumerate(of):
        others = groups != groups[image]
        if (of[others] == kind).any():
            likeness, found = _nearest(looks[others], of[others], looks[image])
            own.append((likeness, found == int(kind)))
        away = of != kind
        if len(np.unique(of[away])) >= MIN_KINDS:
            strangers.append(_nearest(looks[away], of[away], looks[image])[0])
    rights = np.array([likeness for likeness, right in own if right])
    wrongs = np.array([*strangers, *(likeness for likeness, right in own if not right)])
    if not len(rights) or not len(wrongs):
        limit = float(np.quantile(wrongs, STRANGERS)) if len(wrongs) else 0.0
    else:
        tried = np.unique(np.concatenate([rights, wrongs]))
        errors = [np.mean(rights < each) + np.mean(wrongs >= each) for each in tried]
        limit = float(tried[int(np.argmin(errors))])
    right = sum(bool(is_right) and likeness >= limit for likeness, is_right in own)
    return limit, right, sum(likeness < limit for likeness, _ in own), len(own)


def _means(looks: NDArray[np.float64], of: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What all kinds have in common (dim,), and the unit vectors (kinds, dim) from there to each."""
    means = np.stack([looks[of == kind].mean(axis=0) for kind in np.unique(of)])
    common = means.mean(axis=0)
    return common, _unit(means - common)


def _nearest(looks: NDArray[np.float64], of: NDArray[np.intp], image: NDArray[np.float64]) -> tuple[float, int]:
    """The likeness of an image to the kind it looks most like, and which that is."""
    common, means = _means(looks, of)
    likeness = means @ _unit((image - common)[np.newaxis])[0]
    return float(likeness.max()), int(np.unique(of)[int(likeness.argmax())])


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float64)
