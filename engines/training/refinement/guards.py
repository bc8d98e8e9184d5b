"""What refinement may not do, and what must be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.images.grouping import connected, pairwise_distances
from engines.training.refinement.records import Indices, RefineOptions

MIN_VARIANT_IMAGES = 4
MIN_VARIANT_SHARE = 0.02
VARIANT_SIMILARITY = 1.0
"""Removed images are alike when they are nearer to each other than good images typically are to their nearest."""


@dataclass(frozen=True)
class Guards:
    """The limits on removing."""

    count: int
    options: RefineOptions

    @classmethod
    def of(cls, count: int, options: RefineOptions) -> Guards:
        """Raises TrainingError when an image is known both as good and as bad, or does not exist."""
        both = options.known_good & options.known_bad
        if both:
            raise TrainingError(
                f"{len(both)} images are known-good and known-bad at once (the first is number {min(both)}): decide"
            )
        strange = [index for index in options.known_good | options.known_bad if not 0 <= index < count]
        if strange:
            raise TrainingError(f"known image number {strange[0]} does not exist, there are {count}")
        return cls(count, options)

    @property
    def known_bad(self) -> Indices:
        return np.array(sorted(self.options.known_bad), np.intp)

    @property
    def start(self) -> Indices:
        """All images but the known-bad ones."""
        return np.setdiff1d(np.arange(self.count), self.known_bad)

    def removable(self, images: Indices) -> Indices:
        """Without the known-good ones; the order stays."""
        return images[~np.isin(images, list(self.options.known_good))]

    def allowance(self, kept: Indices) -> int:
        """How many may still leave."""
        already = len(self.start) - len(kept)
        return max(0, int(self.options.max_removed_share * len(self.start)) - already)


def variants(removed: Indices, kept: Indices, looks: NDArray[np.float32]) -> tuple[Indices, ...]:
    """Groups of removed images that look alike, largest first.

    Defects differ from each other; parts of another variant do not. Images are linked when their distance is below the
    typical distance of a good image to its nearest good neighbour; linked ones form a group.

    Args:
        looks: (images, k), what each image looks like.
    """
    if len(removed) < MIN_VARIANT_IMAGES or len(kept) < 2:
        return ()
    good = pairwise_distances(looks[kept], looks[kept])
    np.fill_diagonal(good, np.inf)
    near = float(np.median(good.min(axis=1))) * VARIANT_SIMILARITY
    linked = pairwise_distances(looks[removed], looks[removed]) <= near
    at_least = max(MIN_VARIANT_IMAGES, round(MIN_VARIANT_SHARE * (len(removed) + len(kept))))
    labels = connected(linked)
    groups = [removed[labels == label] for label in np.unique(labels) if np.sum(labels == label) >= at_least]
    return tuple(sorted(groups, key=len, reverse=True))
