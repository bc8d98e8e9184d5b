"""How long a teaching will take and how much memory, said before it starts.

What is done with an image in the model's input is proportional to the time of the backbone for one, what is done with
whole frames to reading and preparing one, and drawing defects to one picture with all of them. All three are measured
on this machine, as busy as it is; how much of each there is was counted in teachings of 50 to 5,000 images and of up
to 20 MP (`benchmarks/teaching_cost.py`). Refinement may end early and features may be there already: at most this, as
long as the machine gets no busier.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from engines.bundle.detection import CONTRASTS, KINDS
from engines.bundle.reference import MAX_PICTURES
from engines.detectors.base import Detector
from engines.training.calibration.picture_bands import MOST_IMAGES
from engines.training.fitting.crossfit import folds_for
from engines.training.fitting.train import MAX_CLOSED_FORM_IMAGES
from engines.training.location.locate import SAMPLE, Located
from engines.training.release.release import prepared
from engines.training.synthesis.trials import EXAMPLES, Trials

TIMED_IMAGES = 4
LEARNED = 0.7
"""Of each image in all rounds of refinement and all models of cross-fitting, in times of its features."""
DRAWN = 0.4
"""Of each picture with a synthetic defect."""
EXPORTED = 25.0
"""Of the graph of each model of cross-fitting, which synthetic defects are shown to."""
RELEASED = 700.0
"""Of the start, first models, graphs, parity and dossier, whatever the number of images."""
COMPARED = 2e-5
"""Of each pair of images, in all searches for copies of one part."""
SHOWN = 80
"""Frames that are read for golden images, samples and the dossier, beside the pictures that the engine keeps."""
EXAMPLES_AS_PICTURES = 6
"""What it takes to measure how sharp the examples of synthetic defects are, in pictures with all of these."""
SPREAD = 1.4
"""Of whole frames: few are timed, and defects are drawn into one of them. At 20 MP it took 1.4 s, the mean picture
of a teaching 2.3 s."""
BASE_MB = 900.0
"""Libraries, the backbone and the graphs. Beside it there are, all at once, the features that a closed form reads, the
pages of the file with all features, which the system takes back when it needs them, and whole frames."""
FRAME_BYTES = 24
"""Of a pixel, while a frame is worked on, beside the examples of synthetic defects."""


@dataclass(frozen=True)
class Measured:
    """On a few of the images."""

    image_s: float
    """The features of one image, from the model's input."""
    image_mb: float
    """These features, in single precision."""
    frame_s: float
    """Reading a whole frame, finding the part and making the model's input of it."""
    megapixels: float
    """Of the largest frame."""
    channels: int
    """Of the frames."""
    is_searched: bool
    """The part is found in each frame."""
    picture_s: float = 0.0
    """Drawing every kind and contrast of defect into one picture."""
    pictures: int = 0
    """Into which defects are drawn; 0: none are."""


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


def expected(detector: Detector, located: Located, trials: Trials | None) -> Expected:
    """Measures on a few of the images. `trials`: None, defects are not drawn."""
    files = located.dataset.files
    picks = np.unique(np.linspace(0, len(files) - 1, TIMED_IMAGES).astype(np.intp)).tolist()
    start = time.perf_counter()
    images = np.stack([prepared(located, index) for index in picks])
    frame_s = (time.perf_counter() - start) / len(images)
    with torch.inference_mode():
        detector.features(torch.from_numpy(images[:1]))  # the first call prepares the kernels
        start = time.perf_counter()
        found = detector.features(torch.from_numpy(images))
        image_s = (time.perf_counter() - start) / len(images)
    picture_s = 0.0
    if trials is not None:
        start = time.perf_counter()
        trials.inputs_of(picks[0])
        picture_s = time.perf_counter() - start
    return expected_of(
        Measured(
            image_s,
            sum(array[0].numel() for array in found.values()) * 4 / 1e6,
            frame_s,
            max(file.width * file.height for file in files) / 1e6,
            1 if all(file.grey for file in files) else 3,
            located.location.spec.method != "none",
            picture_s,
            0 if trials is None else trials.pictures,
        ),
        len(files),
    )


def expected_of(measured: Measured, images: int) -> Expected:
    """Of a teaching of this many images."""
    has_defects = measured.pictures > 0
    drawn = measured.pictures * len(KINDS) * len(CONTRASTS)
    in_input = (1 + LEARNED) * images + COMPARED * images**2 + RELEASED
    in_input += DRAWN * drawn + EXPORTED * folds_for(images) * has_defects
    frames = (
        (2 + measured.is_searched) * images
        + min(images, SAMPLE)
        + min(images, MOST_IMAGES)
        + min(images, MAX_PICTURES)
        + SHOWN
    )
    pictures = (measured.pictures + EXAMPLES_AS_PICTURES) * has_defects
    learned_mb = min(images, MAX_CLOSED_FORM_IMAGES) * measured.image_mb
    pages_mb = images * measured.image_mb / 2  # in half precision
    frame_mb = measured.megapixels * (FRAME_BYTES + EXAMPLES * measured.channels * has_defects)
    return Expected(
        in_input * measured.image_s + SPREAD * (frames * measured.frame_s + pictures * measured.picture_s),
        BASE_MB + learned_mb + pages_mb + frame_mb,
    )
