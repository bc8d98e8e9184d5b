"""The training loop: one for all detectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.training.cache import CachedFeatures, take
from engines.training.errors import TrainingError

SCORE_BATCH = 32
MAX_CLOSED_FORM_IMAGES = 1000
"""More change nothing in the statistics and would not fit into memory."""


@dataclass(frozen=True)
class TrainOptions:
    """How long and how fast to learn."""

    steps: int = 100
    """0 leaves the closed form."""
    cells_per_step: int = 3200
    """Map cells in one batch: so a step takes the same time whatever the size of the input."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0


def train(detector: Detector, features: CachedFeatures, indices: NDArray[np.intp], options: TrainOptions) -> None:
    """Fit `detector` to the images `indices`: closed form first, then Adam on the negative log-likelihood.

    Raises:
        TrainingError: the loss is not finite.
    """
    spread = np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MAX_CLOSED_FORM_IMAGES)).astype(np.intp))
    detector.initialise(take(features, indices[spread]))
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if not parameters or options.steps == 0:
        return
    height, width = detector.map_size
    images_per_step = min(len(indices), max(2, options.cells_per_step // (height * width)))
    rng = np.random.default_rng(options.seed)
    optimiser = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=options.steps)
    for step in range(options.steps):
        batch = rng.choice(indices, size=images_per_step, replace=False)
        loss = detector.loss(take(features, batch))
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {step} of {options.steps}: training diverged")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, max_norm=1.0)
        optimiser.step()
        schedule.step()


def score(
    detector: Detector, features: CachedFeatures, indices: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Image score and peak of the anomaly map of the images `indices`, each (len(indices),)."""
    image_scores, peaks = [], []
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            image_score, anomaly_map = detector.score(take(features, indices[start : start + SCORE_BATCH]))
            image_scores.append(image_score)
            peaks.append(anomaly_map.flatten(1).amax(dim=1))
    return torch.cat(image_scores).double().numpy(), torch.cat(peaks).double().numpy()


def held_out_loss(detector: Detector, features: CachedFeatures, indices: NDArray[np.intp]) -> float:
    """Mean loss over images the detector has not seen."""
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(indices), SCORE_BATCH):
            batch = indices[start : start + SCORE_BATCH]
            total += detector.loss(take(features, batch)).item() * len(batch)
    return total / len(indices)
