"""How long a teaching will take and how much memory, said before it starts.

Everything is proportional to the time of the backbone for one image in the model's input, which is measured on this
machine, as busy as it is; how much of each there is was counted in teachings of 50 to 1000 images
(`benchmarks/teaching_cost.py`). Refinement may end early and features may be there already: at most this.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from engines.bundle.detection import CONTRASTS, KINDS
from engines.detectors.base import Detector
from engines.training.fitting.crossfit import folds_for
from engines.training.fitting.train import MAX_CLOSED_FORM_IMAGES
from engines.training.location.locate import Located
from engines.training.release.release import prepared

TIMED_IMAGES = 4
LEARNED = 0.7
"""Of each image in all rounds of refinement and all models of cross-fitting, in times of its features."""
DRAWN = 0.4
"""Of each picture with a synthetic defect."""
EXPORTED = 25.0
"""Of the graph of each model of cross-fitting, which synthetic defects are shown to."""
RELEASED = 250.0
"""Of the start, graphs, parity and dossier, whatever the number of images."""
BASE_MB = 900.0
COPIES = 1.0
"""Of the features of the images that a closed form reads at once."""


@dataclass(frozen=True)
class Expected:
    """Of one teaching."""

    seconds: float
    megabytes: float

    def in_words(self) -> str:
        """For the line that shows how far the teaching is."""
        if self.seconds < 90:
            duration = f"{math.ceil(self.seconds / 10) * 10} s"
        else:
            duration = f"{math.ceil(self.seconds / 60)} min"
        return f"expected: {duration}, {math.ceil(self.megabytes / 100) / 10:.1f} GB"


def expected(detector: Detector, located: Located, defect_trials: int) -> Expected:
    """Measures the backbone on a few of the images."""
    count = len(located.dataset.files)
    picks = np.unique(np.linspace(0, count - 1, TIMED_IMAGES).astype(np.intp)).tolist()
    images = np.stack([prepared(located, index) for index in picks])
    with torch.inference_mode():
        detector.features(torch.from_numpy(images[:1]))  # the first call prepares the kernels
        warm = time.perf_counter()
        found = detector.features(torch.from_numpy(images))
        image_s = (time.perf_counter() - warm) / len(images)
    image_mb = sum(array[0].numel() for array in found.values()) * 4 / 1e6
    return expected_of(image_s, image_mb, count, defect_trials)


def expected_of(image_s: float, image_mb: float, images: int, defect_trials: int) -> Expected:
    """From what the features of one image take in seconds and megabytes."""
    folds = folds_for(images)
    drawn = math.ceil(defect_trials / folds) * folds * len(KINDS) * len(CONTRASTS)
    times = (1 + LEARNED) * images + DRAWN * drawn + EXPORTED * folds * (drawn > 0) + RELEASED
    return Expected(times * image_s, BASE_MB + COPIES * min(images, MAX_CLOSED_FORM_IMAGES) * image_mb)
