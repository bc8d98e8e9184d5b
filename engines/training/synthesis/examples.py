"""Pictures of the smallest defect of each kind that is found and of the largest that is missed, cut out around it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.detection import CLEAR, KINDS, PLURALS, Detection
from engines.overlay import fitted, outline
from engines.training.synthesis.defects import Image
from engines.training.synthesis.trials import NOT_LOCATED, Trial, Trials

MARGIN = 0.75
"""Of the defect's extent, on each side."""
SMALLEST_CUT_PX = 40
"""From the middle of the defect to each side."""
PICTURE_PX = 200


def just_found_and_missed(
    trials: Trials, detection: Detection, review_score: float, clean: Mapping[int, float]
) -> list[tuple[str, Image]]:
    """(caption, RGB picture), two a kind where there are both; of clear contrast, at the review limit.

    `clean`: as for `Trials.detection`; pictures above the limit without a defect do not count.
    """
    pictures = []
    for kind in KINDS:
        of_kind = [
            each for each in trials.done if (each.defect.kind, each.defect.contrast) == (kind, CLEAR)
            and each.score != NOT_LOCATED and clean[each.defect.image] <= review_score
        ]  # fmt: skip
        found = [each for each in of_kind if each.score > review_score]
        missed = [each for each in of_kind if each.score <= review_score]
        for said, trial in (
            ("found", min(found, key=_size, default=None)),
            ("missed", max(missed, key=_size, default=None)),
        ):
            if trial is not None:
                what = "smallest found" if said == "found" else "largest missed"
                caption = f"{PLURALS[kind]}: {what}, {detection.shown(_size(trial))}"
                pictures.append((caption, _cut_out(*trials.draw(trial))))
    return pictures


def _size(trial: Trial) -> float:
    return trial.defect.size_px


def _cut_out(image: Image, mask: NDArray[np.uint8]) -> Image:
    """The defect with a margin, outlined, as RGB."""
    rows, columns = np.nonzero(mask)
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    half = max(SMALLEST_CUT_PX, round((0.5 + MARGIN) * extent))
    row, column = round(float(rows.mean())), round(float(columns.mean()))
    top, left = max(0, row - half), max(0, column - half)
    window = np.s_[top : row + half, left : column + half]
    picture: Image = fitted(image[window], PICTURE_PX, PICTURE_PX)
    larger = max(1, PICTURE_PX // max(picture.shape[:2]))
    height, width = larger * picture.shape[0], larger * picture.shape[1]
    picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    shown = cv2.resize((mask[window] > 0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    around = cv2.dilate(shown, np.ones((13, 13), np.uint8))  # beside the defect, so that it can be seen
    outlines, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline(picture, [np.asarray(points, np.int32) for points in outlines])
    return picture
