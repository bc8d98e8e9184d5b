"""The one place where the evaluation touches the training procedure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.manifest import Calibration
from engines.training.cache import CachedFeatures, take
from engines.training.calibrate import calibrate
from engines.training.crossfit import cross_fit, positive
from engines.training.dataset import MIN_IMAGES
from engines.training.errors import TrainingError
from engines.training.train import SCORE_BATCH, TrainOptions, train

Indices = NDArray[np.intp]

REFINEMENTS = ("none", "osr", "irp", "auto")


@dataclass(frozen=True)
class LearnSettings:
    """What a training depends on beside its images."""

    refine: str
    seed: int
    steps: int | None
    """None: as the detector has it."""
    false_reject_budget: float


@dataclass(frozen=True)
class Learned:
    """What came of it; the detector is left trained."""

    removed: Indices
    """Of the indices given."""
    calibration: Calibration
    dirt_share: float | None


def learn(detector: Detector, features: CachedFeatures, indices: Indices, settings: LearnSettings) -> Learned:
    """Refine, train and calibrate as teaching does. Raises TrainingError when one of them is impossible."""
    rounds = {"none": 0, "osr": 1, "irp": 20, "auto": 5}[settings.refine]
    closed_form = TrainOptions(steps=0)
    kept = indices
    for _ in range(rounds):
        scores = positive(detector, cross_fit(detector, features, kept, closed_form).image_scores)
        stays = scores <= 1.5 * np.median(scores)
        if stays.all():
            break
        kept = kept[stays]
    if len(kept) < MIN_IMAGES:
        raise TrainingError(f"{len(kept)} of {len(indices)} images are left to learn; at least {MIN_IMAGES} are needed")
    training = TrainOptions(seed=settings.seed)
    if settings.steps is not None:
        training = TrainOptions(seed=settings.seed, steps=settings.steps)
    held_out = cross_fit(detector, features, kept, training)
    if held_out.loss >= held_out.closed_form_loss:
        training = closed_form
        held_out = cross_fit(detector, features, kept, training)
    train(detector, features, kept, training)
    calibration = calibrate(held_out.image_scores, held_out.map_peaks, settings.false_reject_budget)
    return Learned(np.setdiff1d(indices, kept), calibration, None)


def score(
    detector: Detector, features: CachedFeatures, indices: Indices
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Image scores (n,) and anomaly maps (n, map_height, map_width)."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            found.append(detector.score(take(features, indices[start : start + SCORE_BATCH])))
    scores = torch.cat([image_scores for image_scores, _ in found]).double().numpy()
    return scores, torch.cat([maps for _, maps in found]).float().numpy()
