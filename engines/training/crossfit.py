"""Scores of every image by a model that did not see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.training.cache import CachedFeatures
from engines.training.train import TrainOptions, held_out_loss, score, train

FOLDS = 4
BLOCKS_PER_FOLD = 5


@dataclass(frozen=True)
class CrossFit:
    """What the models of all folds said of the images they did not see, in the order of the indices given."""

    image_scores: NDArray[np.float64]
    map_peaks: NDArray[np.float64]
    loss: float
    closed_form_loss: float
    """Held-out loss before the training steps; equal to `loss` when there were none."""


def fold_of(count: int) -> NDArray[np.intp]:
    """The fold of each of `count` images in the order in which they were taken.

    Images taken one after the other are often nearly the same and must not vouch for each other, so blocks of
    neighbours stay together; each fold gets several blocks, so that none holds a product variant alone.
    """
    block = max(1, count // (FOLDS * BLOCKS_PER_FOLD))
    return np.arange(count) // block % FOLDS


def cross_fit(
    detector: Detector,
    features: CachedFeatures,
    indices: NDArray[np.intp],
    options: TrainOptions,
    on_fold: Callable[[], None] = lambda: None,
) -> CrossFit:
    """Train once per fold on the other folds and score the fold. `detector` is left as the last fold made it."""
    folds = fold_of(len(indices))
    image_scores, map_peaks = np.empty(len(indices)), np.empty(len(indices))
    loss, closed_form_loss = 0.0, 0.0
    for fold in range(FOLDS):
        seen, unseen = indices[folds != fold], indices[folds == fold]
        share = len(unseen) / len(indices)
        train(detector, features, seen, TrainOptions(steps=0))
        closed_form_loss += share * held_out_loss(detector, features, unseen)
        if options.steps:
            train(detector, features, seen, options)
        loss += share * held_out_loss(detector, features, unseen)
        image_scores[folds == fold], map_peaks[folds == fold] = score(detector, features, unseen)
        on_fold()
    return CrossFit(image_scores, map_peaks, loss, closed_form_loss)


def positive(detector: Detector, image_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """`Detector.positive` for arrays."""
    return np.asarray(detector.positive(torch.from_numpy(image_scores)).numpy(), np.float64)
