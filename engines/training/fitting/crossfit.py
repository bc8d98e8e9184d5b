"""Scores of every image by a model that did not see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.errors import TrainingError
from engines.training.fitting.train import CLOSED_FORM, TrainOptions, Weights, held_out_loss, score, train
from engines.training.images.features import CachedFeatures
from engines.training.images.grouping import twin_groups

FOLDS = 4
FOLDS_OF_FEW = 8
FEW_IMAGES = 80
"""With fewer there are `FOLDS_OF_FEW`: a model of three quarters of them knows so much less than the final one that
limits were far above what that gives good parts (decision 20). With so few the time hardly counts."""
BLOCKS = 20
"""Of neighbours, in all: so they are as long with more folds, and each fold gets several."""

OnModel = Callable[[Detector, NDArray[np.intp]], None]
"""(a model, as it is now; positions of images that it did not learn)."""


@dataclass(frozen=True)
class CrossFit:
    """What the models of all folds said of the images they did not see, in the order of the indices given."""

    image_scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    """(images, map_height, map_width)."""
    groups: NDArray[np.intp]
    """For every image the position of the first one of its group, see `twin_groups`."""
    folds: int = FOLDS
    """How many models there were."""

    @property
    def fold_of_each(self) -> NDArray[np.intp]:
        """The model that did not see each image."""
        return fold_of(self.groups, self.folds)

    @property
    def map_peaks(self) -> NDArray[np.float64]:
        """The highest value of every map."""
        peaks: NDArray[np.float64] = self.maps.max(axis=(1, 2)).astype(np.float64)
        return peaks


def folds_for(images: int) -> int:
    """How many models are cross-fitted to this many images that were given, whatever refinement leaves of them."""
    return FOLDS_OF_FEW if images < FEW_IMAGES else FOLDS


def fold_of(groups: NDArray[np.intp], folds: int) -> NDArray[np.intp]:
    """Which of `folds` each image is in, in the order in which they were taken.

    Images taken one after the other are often nearly the same and must not vouch for each other, so blocks of
    neighbours stay together, and so do images of one group wherever they are; each fold gets several blocks, so that
    none holds a product variant alone.

    Args:
        groups: for every image the position of the first image of its group, see `twin_groups`.
    """
    first, group = np.unique(groups, return_inverse=True)
    block = max(1, len(first) // BLOCKS)
    found: NDArray[np.intp] = group // block % folds
    return found


def cross_fit(
    detector: Detector,
    features: CachedFeatures,
    indices: NDArray[np.intp],
    options: TrainOptions,
    *,
    learned: NDArray[np.intp] | None = None,
    weights: Weights = None,
    groups: NDArray[np.intp] | None = None,
    folds: int | None = None,
    on_fold: Callable[[], None] = lambda: None,
    on_model: OnModel | None = None,
    before: Callable[[int], None] = lambda _fold: None,
) -> CrossFit:
    """Train once per fold on the other folds and score the fold. `detector` is left as the last fold made it.

    Args:
        indices: the images to score, ascending.
        learned: those of `indices` that may be learned from; None: all.
        weights: of the cells of all images of the features.
        groups: `twin_groups` of `indices`, from who fits them more than once; None: found here.
        folds: how many; None: `folds_for` the number of `indices`.
        on_model: called with `detector` while it is the model that did not see the images that were held out.
        before: called with each fold before its model is made.

    Raises:
        TrainingError: all images to learn from are in one fold.
    """
    groups = twin_groups(features, indices) if groups is None else groups
    folds = folds_for(len(indices)) if folds is None else folds
    place = fold_of(groups, folds)
    may = np.ones(len(indices), bool) if learned is None else np.isin(indices, learned)
    image_scores = np.empty(len(indices))
    maps = np.empty((len(indices), *detector.map_size), np.float32)
    for fold in range(folds):
        unseen = place == fold
        seen = indices[~unseen & may]
        if len(seen) < 2:
            raise TrainingError(f"{len(seen)} images are left to learn from beside those held out: add images")
        before(fold)
        train(detector, features, seen, options, weights)
        image_scores[unseen], maps[unseen] = score(detector, features, indices[unseen])
        if on_model is not None:
            on_model(detector, indices[unseen])
        on_fold()
    return CrossFit(image_scores, maps, groups, folds)


def steps_help(
    detector: Detector,
    features: CachedFeatures,
    indices: NDArray[np.intp],
    options: TrainOptions,
    *,
    weights: Weights,
    groups: NDArray[np.intp],
    folds: int,
) -> bool:
    """Whether training explains the images of the first fold, unseen, better than the closed form alone.

    Args:
        weights: of the cells of all images of the features.
        groups: `twin_groups` of `indices`.
        folds: how many there will be.
    """
    unseen = fold_of(groups, folds) == 0
    losses = []
    for tried in (CLOSED_FORM, options):
        train(detector, features, indices[~unseen], tried, weights)
        losses.append(held_out_loss(detector, features, indices[unseen], weights))
    return losses[1] < losses[0]
