"""The training loop: one for all detectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.errors import TrainingError
from engines.training.images.features import CachedFeatures, take

SCORE_BATCH = 32
MAX_CLOSED_FORM_IMAGES = 1000
"""More change nothing in the statistics and would not fit into memory."""
MAX_DETAIL_IMAGES = 200
"""A mean per place and one small covariance need no more."""
CELLS_PER_STEP = 3200
"""Map cells in one batch: so a step takes the same time whatever the size of the input."""

Weights = NDArray[np.uint8] | None
"""(images, map_height, map_width), of all images of the features; None: all 1."""


@dataclass(frozen=True)
class TrainOptions:
    """How long to learn; how fast is the detector's own (`Detector.default_training`)."""

    steps: int | None = None
    """0 leaves the closed form; None: as many as suit the detector."""
    seed: int = 0

    def steps_of(self, detector: Detector) -> int:
        """How many steps this is for a detector."""
        return detector.default_training.steps if self.steps is None else self.steps


CLOSED_FORM = TrainOptions(steps=0)


def train(
    detector: Detector,
    features: CachedFeatures,
    indices: NDArray[np.intp],
    options: TrainOptions,
    weights: Weights = None,
    *,
    continued: bool = False,
) -> None:
    """Fit `detector` to the images `indices`: closed form first, then Adam on the negative log-likelihood.

    Args:
        weights: which map cells of which images count.
        continued: go on from what it has learned instead of starting from the closed form.

    Raises:
        TrainingError: the loss is not finite.
    """
    if not continued:
        spread = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MAX_CLOSED_FORM_IMAGES)).astype(np.intp))
        try:
            detector.initialise(take(features, indices[spread]), taken(weights, indices[spread]))
        except RuntimeError as error:  # LinAlgError, which torch does not export
            raise TrainingError(f"the features of {len(spread)} images have no covariance: {error}") from error
    steps = options.steps_of(detector)
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if not parameters or steps == 0:
        return
    default = detector.default_training
    height, width = detector.map_size
    images_per_step = default.images_per_step or max(2, CELLS_PER_STEP // (height * width))
    rng = np.random.default_rng(options.seed)
    optimiser = torch.optim.AdamW(parameters, lr=default.learning_rate, weight_decay=default.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, default.learning_rate, total_steps=max(2, steps))
    for step in range(steps):
        batch = rng.choice(indices, size=min(len(indices), images_per_step), replace=False)
        loss = detector.loss(take(features, batch), taken(weights, batch))
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {step} of {steps}: training diverged")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, max_norm=1.0)
        optimiser.step()
        schedule.step()


def score(
    detector: Detector, features: CachedFeatures, indices: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Image scores (len(indices),) and anomaly maps (len(indices), map_height, map_width) of the images `indices`."""
    image_scores, maps = [torch.empty(0)], [torch.empty(0, *detector.map_size)]
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            image_score, anomaly_map = detector.score(take(features, indices[start : start + SCORE_BATCH]))
            image_scores.append(image_score)
            maps.append(anomaly_map)
    return torch.cat(image_scores).double().numpy(), torch.cat(maps).numpy()


def fit_detail(
    detector: Detector, features: CachedFeatures, indices: NDArray[np.intp], weights: Weights = None
) -> None:
    """Learn what only the shown map needs, from at most `MAX_DETAIL_IMAGES` of the images."""
    if detector.map_detail > 1:
        spread = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MAX_DETAIL_IMAGES)).astype(np.intp))
        detector.fit_detail(take(features, indices[spread], detail=True), taken(weights, indices[spread]))


def shown_maps(detector: Detector, features: CachedFeatures, indices: NDArray[np.intp]) -> NDArray[np.float32]:
    """The maps that people see of the images `indices`, (len(indices), rows, columns): see `shown_map`."""
    maps = [torch.empty(0, *(detector.map_detail * size for size in detector.map_size))]
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            taken = take(features, indices[start : start + SCORE_BATCH], detail=True)
            layers = detector.layers(detector.score(taken)[1], taken)
            maps.append(layers[:, -1] if detector.map_detail > 1 else layers)
    return torch.cat(maps).numpy()


def held_out_loss(
    detector: Detector, features: CachedFeatures, indices: NDArray[np.intp], weights: Weights = None
) -> float:
    """Mean loss over images the detector has not seen."""
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            batch = indices[start : start + SCORE_BATCH]
            total += detector.loss(take(features, batch), taken(weights, batch)).item() * len(batch)
    return total / len(indices)


def for_all(weights: Weights, indices: NDArray[np.intp], features: CachedFeatures) -> Weights:
    """Weights of the images `indices` as weights of all images that have features."""
    if weights is None:
        return None
    count = len(next(iter(features.values())))
    everywhere = np.ones((count, *weights.shape[1:]), np.uint8)
    everywhere[indices] = weights
    return everywhere


def taken(weights: Weights, indices: NDArray[np.intp]) -> torch.Tensor | None:
    """The weights of the cells of some images."""
    return None if weights is None else torch.from_numpy(weights[indices])
