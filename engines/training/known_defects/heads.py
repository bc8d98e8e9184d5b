"""Heads for known defects, fitted to whitened cells that no model has learned.

A cell that was learned lies nearer to the mean than one that was not. So good cells come from models of the closed form
without the fold of their image, and labelled images from the final one, which has never learned them. Features stay on
disk, whitened cells are made a batch at a time: memory does not grow with the number of images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.detectors.base import Detector
from engines.detectors.known_defects import compressed, logits
from engines.training.fitting.crossfit import FOLDS, CrossFit, fold_of
from engines.training.fitting.train import CLOSED_FORM, SCORE_BATCH, Weights, score, train
from engines.training.images.features import CachedFeatures, take
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
class GoodImages:
    """What the detector learned, and what models that had not seen it said of it."""

    kept: Indices
    held_out: CrossFit
    weights: Weights
    """Of the cells of all images of the features."""
    usable: NDArray[np.bool_]
    """Of the kept images those that stand for good parts: no twins of labelled ones."""

    @cached_property
    def folds(self) -> NDArray[np.intp]:
        """Of each of the kept images."""
        return fold_of(self.held_out.groups)


@dataclass(frozen=True)
class LabelledImages:
    """Images with known defects, which were not learned."""

    indices: Indices
    masks: DefectCells
    """Where they show it, by index."""


class Heads:
    """Fits heads from chosen labelled images and folds, and evaluates them on images that they have not seen.

    Args:
        detector: trained on the good images; not changed.
    """

    def __init__(
        self, detector: Detector, features: CachedFeatures, good: GoodImages, labelled: LabelledImages
    ) -> None:
        self._detector, self._features = detector, features
        self._good, self._labelled = good, labelled

    @cached_property
    def of_all(self) -> Logistic:
        """The head of all labelled images against good cells of all folds."""
        return fit_logistic(self._good_cells[1], np.concatenate(self._defect_cells))

    def fit(self, labelled: Sequence[int], *, without_fold: int) -> Logistic:
        """The head of these labelled images (positions among them) against good cells of the other folds."""
        folds, good = self._good_cells
        defective = np.concatenate([self._defect_cells[each] for each in labelled])
        return fit_logistic(good[folds != without_fold], defective, self.of_all)

    @property
    def are_possible(self) -> bool:
        """The detector has whitened cells."""
        with torch.inference_mode():
            return self._detector.cells(take(self._features, self._good.kept[:1])) is not None

    def on_good(self, fold: int, head: Logistic) -> NDArray[np.float32]:
        """Logits of the images of a fold, in their order: (images, map_height, map_width)."""
        return self._logits(self._models[fold], self._good.kept[self._good.folds == fold], head)

    def on_labelled(self, which: Sequence[int], head: Logistic) -> NDArray[np.float32]:
        """Logits of these labelled images (positions among them): (images, map_height, map_width)."""
        return self._logits(self._detector, self._labelled.indices[np.array(which, np.intp)], head)

    @cached_property
    def _models(self) -> tuple[Detector, ...]:
        """Without each fold in turn."""
        found = []
        for fold in range(FOLDS):
            model = copy.deepcopy(self._detector)
            train(model, self._features, self._good.kept[self._good.folds != fold], CLOSED_FORM, self._good.weights)
            found.append(model)
        return tuple(found)

    @cached_property
    def _good_cells(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Fold and compressed features (cells, dim) of cells at random places."""
        rng = np.random.default_rng(SEED)
        per_image = max(1, -(-GOOD_CELLS // int(self._good.usable.sum())))
        folds, cells = [], []
        for fold, model in enumerate(self._models):
            images = self._good.kept[(self._good.folds == fold) & self._good.usable]
            if len(images) > GOOD_CELLS:
                images = images[np.linspace(0, len(images) - 1, GOOD_CELLS).astype(np.intp)]
            for z in _whitened(model, self._features, images):
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
        _, maps = score(self._detector, self._features, self._labelled.indices)
        position = 0
        for z in _whitened(self._detector, self._features, self._labelled.indices):
            for image in compressed(z).flatten(1, 2).numpy():
                mask = self._labelled.masks.get(int(self._labelled.indices[position]))
                places = _hottest(maps[position]) if mask is None else np.flatnonzero(mask)
                if len(places) > MAX_DEFECT_CELLS:
                    places = places[np.linspace(0, len(places) - 1, MAX_DEFECT_CELLS).astype(np.intp)]
                found.append(image[places])
                position += 1
        return found

    def _logits(self, model: Detector, images: Indices, head: Logistic) -> NDArray[np.float32]:
        weight = torch.from_numpy(head.weight)
        found = [torch.empty(0, *self._detector.map_size)]
        found += [logits(z, weight, head.bias, len(weight)) for z in _whitened(model, self._features, images)]
        return torch.cat(found).numpy()


def _whitened(model: Detector, features: CachedFeatures, images: Indices) -> Iterator[Tensor]:
    """Whitened cells (n, map_height, map_width, dim), a batch at a time."""
    for start in range(0, len(images), SCORE_BATCH):
        with torch.inference_mode():
            z = model.cells(take(features, images[start : start + SCORE_BATCH]))
        assert z is not None  # who makes heads has asked
        yield z


def _hottest(anomaly_map: NDArray[np.float32]) -> NDArray[np.intp]:
    count = max(1, int(np.ceil(anomaly_map.size * HOTTEST_SHARE)))
    return np.argsort(anomaly_map, axis=None)[-count:]
