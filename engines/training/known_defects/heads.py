"""Heads for known defects, fitted to whitened cells that no model has learned (`cells`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.detectors.known_defects import compressed, logits
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.logistic import Logistic, fit_logistic
from engines.training.known_defects.masks import DefectCells
from engines.training.refinement.records import Indices

GOOD_CELLS = 10_000
"""Of all good images together, in a fit."""
MAX_DEFECT_CELLS = 200
"""Of one labelled image, so that a defect that covers half of a part is one example and not thousands."""
HOTTEST_SHARE = 0.025
"""Cells of a labelled image without a mask that stand for its defect."""
SEED = 20261


@dataclass(frozen=True)
class LabelledImages:
    """Images with known defects, which were not learned."""

    indices: Indices
    masks: DefectCells
    """Where they show it, by index."""


class Heads:
    """Fits heads from chosen labelled images and folds, and evaluates them on images that they have not seen.

    Args:
        cells: by models that have not learned the images.
        maps: of the labelled images, without a head.
        usable: of the kept images those that stand for good parts: no twins of labelled ones.
    """

    def __init__(
        self, cells: Cells, labelled: LabelledImages, maps: NDArray[np.float32], usable: NDArray[np.bool_]
    ) -> None:
        self.cells, self._labelled = cells, labelled
        self.maps, self.usable = maps, usable

    @cached_property
    def of_all(self) -> Logistic:
        """The head of all labelled images against good cells of all folds."""
        return fit_logistic(self._good_cells[1], np.concatenate(self._defect_cells))

    def fit(self, labelled: Sequence[int], *, without: Sequence[int]) -> Logistic:
        """The head of these labelled images (positions among them) against good cells without those of some folds."""
        folds, good = self._good_cells
        defective = np.concatenate([self._defect_cells[each] for each in labelled])
        return fit_logistic(good[~np.isin(folds, without)], defective, self.of_all)

    def on_good(self, fold: int, head: Logistic) -> NDArray[np.float32]:
        """Logits of the images of a fold, in their order: (images, map_height, map_width)."""
        return self._logits(self.cells.of_good(fold), head)

    def on_labelled(self, which: Sequence[int], head: Logistic) -> NDArray[np.float32]:
        """Logits of these labelled images (positions among them): (images, map_height, map_width)."""
        return self._logits(self.cells.of_others(self._labelled.indices[np.array(which, np.intp)]), head)

    @cached_property
    def _good_cells(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Fold and compressed features (cells, dim) of cells at random places."""
        rng = np.random.default_rng(SEED)
        chosen = np.flatnonzero(self.usable)
        if len(chosen) > GOOD_CELLS:
            chosen = chosen[np.linspace(0, len(chosen) - 1, GOOD_CELLS).astype(np.intp)]
        usable = np.isin(np.arange(len(self.usable)), chosen)
        per_image = max(1, -(-GOOD_CELLS // len(chosen)))
        folds, cells = [], []
        for fold in range(self.cells.held_out.folds):
            for z in self.cells.of_good(fold, usable):
                flat = z.flatten(1, 2)
                places = torch.from_numpy(rng.integers(0, flat.shape[1], (len(flat), per_image)))
                picked = compressed(flat.gather(1, places[..., None].expand(-1, -1, flat.shape[2])))
                cells.append(picked.flatten(0, 1).numpy())
                folds.append(np.full(len(cells[-1]), fold, np.intp))
        return np.concatenate(folds), np.concatenate(cells)

    @cached_property
    def _defect_cells(self) -> list[NDArray[np.float32]]:
        """Of each labelled image the compressed features (cells, dim) under its mask, or where its map is hottest."""
        found = []
        position = 0
        for z in self.cells.of_others(self._labelled.indices):
            for image in compressed(z).flatten(1, 2).numpy():
                mask = self._labelled.masks.get(int(self._labelled.indices[position]))
                places = _hottest(self.maps[position]) if mask is None else np.flatnonzero(mask)
                if len(places) > MAX_DEFECT_CELLS:
                    places = places[np.linspace(0, len(places) - 1, MAX_DEFECT_CELLS).astype(np.intp)]
                found.append(image[places])
                position += 1
        return found

    def _logits(self, batches: Iterable[Tensor], head: Logistic) -> NDArray[np.float32]:
        weight = torch.from_numpy(head.weight)
        found = [torch.empty(0, *self.cells.detector.map_size)]
        found += [logits(z, weight, head.bias, len(weight)) for z in batches]
        return torch.cat(found).numpy()


def _hottest(anomaly_map: NDArray[np.float32]) -> NDArray[np.intp]:
    count = max(1, int(np.ceil(anomaly_map.size * HOTTEST_SHARE)))
    return np.argsort(anomaly_map, axis=None)[-count:]
