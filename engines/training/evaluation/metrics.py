"""Figures of merit. Higher scores mean more anomalous everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]

AUPRO_LIMIT = 0.3
"""Share of good pixels called defective up to which the overlap is integrated (Bergmann et al.)."""
AUPRO_STEPS = 600
TRADE_OFF_SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
"""Of the good parts, above the limit: what a trade-off curve is read at."""


def auroc(good: Scores, defective: Scores) -> float:
    """Chance that a defective one scores above a good one; ties count half.

    Args:
        good: scores (n,), at least one.
        defective: scores (m,), at least one.
    """
    ordered = np.sort(good)
    below = np.searchsorted(ordered, defective, "left").astype(np.float64)
    not_above = np.searchsorted(ordered, defective, "right")
    return float(np.mean(below + not_above) / 2 / len(good))


def escapes_by_ranking(good: Scores, defective: Scores, rejected_share: float) -> float:
    """Share of the defective ones that pass when this share of the good ones is rejected: what ranking alone allows.

    The limit is a quantile of the good test scores themselves, so no calibration enters. At the limit is a pass.
    """
    return float(np.mean(defective <= np.quantile(good, 1 - rejected_share)))


def trade_off(good: Scores, defective: Scores) -> dict[str, float]:
    """For each share of the good ones that costs a look or more, in percent, the share of the defective ones that pass.

    By ranking, as in `escapes_by_ranking`.
    """
    return {f"{100 * share:g}": escapes_by_ranking(good, defective, share) for share in TRADE_OFF_SHARES}


def f1_max(good: Scores, defective: Scores) -> float:
    """The best harmonic mean of precision and recall of "defective" over all thresholds."""
    thresholds = np.unique(defective)
    found = len(defective) - np.searchsorted(np.sort(defective), thresholds, "left")
    false = len(good) - np.searchsorted(np.sort(good), thresholds, "left")
    return float(np.max(2 * found / (found + false + len(defective))))


def pixel_metrics(maps: Sequence[Scores], masks: Sequence[NDArray[np.bool_]]) -> tuple[float, float]:
    """Pixel AUROC and AUPRO over the pixels of all images together.

    AUPRO: area under the mean overlap per region (connected part of a mask) against the share of good pixels above the
    threshold, up to 0.3, divided by 0.3. Bergmann et al., "The MVTec Anomaly Detection Dataset" (IJCV 2021).
    The curve is evaluated exactly, at 600 evenly spaced shares of good pixels.

    Args:
        maps: one (height, width) per image.
        masks: likewise, True on the defect; at least one pixel of all is True and one False.
    """
    good = np.sort(np.concatenate([one[~mask] for one, mask in zip(maps, masks, strict=True)]))
    defective = np.concatenate([one[mask] for one, mask in zip(maps, masks, strict=True)])
    pixel_auroc = auroc(good, defective)

    shares = np.linspace(0, AUPRO_LIMIT, AUPRO_STEPS + 1)
    # A pixel is called defective when it lies above the threshold.
    thresholds = np.unique(good[len(good) - 1 - np.minimum(shares * len(good), len(good) - 1).astype(np.intp)])[::-1]
    false_share = 1 - np.searchsorted(good, thresholds, "right") / len(good)
    overlap = np.zeros(len(thresholds))
    regions = 0
    for one, mask in zip(maps, masks, strict=True):
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        for label in range(1, count):
            inside = np.sort(one[labels == label])
            overlap += 1 - np.searchsorted(inside, thresholds, "right") / len(inside)
            regions += 1
    # Ties leave gaps in the curve; where everything is called defective it ends at (1, 1).
    curve = np.interp(shares, np.append(false_share, 1.0), np.append(overlap / regions, 1.0))
    area = np.sum((curve[1:] + curve[:-1]) / 2 * np.diff(shares))
    return pixel_auroc, float(area / AUPRO_LIMIT)
