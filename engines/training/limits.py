"""The sample that limits are drawn from: which images are in it, and what earlier blocks add."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration
from engines.detectors.base import Detector
from engines.training.blocks.earlier import Earlier
from engines.training.calibration.calibrate import calibrate
from engines.training.fitting.crossfit import CrossFit
from engines.training.fitting.train import score
from engines.training.images.features import CachedFeatures
from engines.training.refinement.records import Indices, Refinement, Scores


@dataclass(frozen=True)
class Limits:
    """Draws limits from the images of this teaching and those of the blocks before it."""

    detector: Detector
    """As it is when a sample is drawn."""
    features: CachedFeatures
    aside: Indices
    doubtful: Indices
    """Images that were not learned and may be good; the limit to reject counts them, that to review does not."""
    in_groups: Indices
    """Positions among the kept images and then `aside`, see `in_groups_of`."""
    own_parts: Indices
    """The part of each of these."""
    budgets: tuple[float, float]
    is_dirty: bool
    earlier: Earlier | None
    models: Sequence[Detector]
    """One a fold, where there are blocks; with the heads of `detector`."""

    def sample(self, held_out: CrossFit) -> tuple[Scores, Scores]:
        """Image scores and map peaks."""
        image_scores, maps = score(self.detector, self.features, self.aside)
        peaks = np.concatenate([held_out.map_peaks, maps.max(axis=(1, 2), initial=-np.inf)])[self.in_groups]
        image_scores = np.concatenate([held_out.image_scores, image_scores])[self.in_groups]
        if self.earlier is None:
            return image_scores, peaks
        before = self.earlier.sample(self.models, self.detector)
        return np.concatenate([before.scores, image_scores]), np.concatenate([before.peaks, peaks])

    def doubtful_scores(self) -> Scores:
        """Image scores of `doubtful`."""
        return score(self.detector, self.features, self.doubtful)[0]

    def parts(self) -> Indices:
        """What shows the same part, of `sample`."""
        return self.own_parts if self.earlier is None else np.concatenate([self.earlier.parts, self.own_parts])

    def learned(self, mine: int) -> int:
        """How many images were learned, with these of this teaching."""
        return mine + (0 if self.earlier is None else self.earlier.learned)

    def calibration(self, held_out: CrossFit, defective: Scores) -> Calibration:
        """`defective`: scores of known-bad images."""
        return calibrate(
            *self.sample(held_out),
            *self.budgets,
            doubtful_scores=self.doubtful_scores(),
            defective_scores=defective if len(defective) else None,
            is_dirty=self.is_dirty or (self.earlier is not None and self.earlier.is_dirty),
        )


def set_aside(
    refinement: Refinement, indices: Indices, known_bad: Indices, twins: Callable[[Indices], Indices]
) -> Indices:
    """Images that were not learned although the data count as clean: good ones that are rare, as far as anybody knows.

    The limits count them, or the promise would hold for all but the rarest good parts. A possible variant has a promise
    of its own, and twins of known-bad images may show the same defect.

    Args:
        twins: see `twin_groups`.
    """
    if refinement.dirt_share > 0:
        return indices[:0]
    asked = np.concatenate([*refinement.variants, refinement.kept[:0]])
    return without_twins(np.setdiff1d(indices[np.setdiff1d(refinement.removed, asked)], known_bad), known_bad, twins)


def without_twins(images: Indices, known_bad: Indices, twins: Callable[[Indices], Indices]) -> Indices:
    """Those of `images` that show no part of `known_bad`, as far as `twins` sees."""
    if not len(images) or not len(known_bad):
        return images
    groups = twins(np.concatenate([known_bad, images]))
    return images[~np.isin(groups[len(known_bad) :], groups[: len(known_bad)])]


def in_groups_of(kept: Indices, groups: Indices, usable: NDArray[np.bool_], aside: Indices) -> tuple[Indices, Indices]:
    """Positions in `kept` and then `aside` of the images that limits are drawn from, and the part of each.

    In the order of capture, but copies of one part side by side: they count as neighbours, so as fewer.
    """
    parts = np.concatenate([kept[groups], aside])
    order = np.argsort(parts, kind="stable")
    order = order[np.concatenate([usable, np.ones(len(aside), np.bool_)])[order]]
    return order, parts[order]
