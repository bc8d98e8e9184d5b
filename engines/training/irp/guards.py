"""What refinement may not do, and what must be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.training.errors import TrainingError
from engines.training.irp.records import Indices, RefineOptions

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
    good = _distances(looks[kept], looks[kept])
    np.fill_diagonal(good, np.inf)
    near = float(np.median(good.min(axis=1))) * VARIANT_SIMILARITY
    linked = _distances(looks[removed], looks[removed]) <= near
    at_least = max(MIN_VARIANT_IMAGES, round(MIN_VARIANT_SHARE * (len(removed) + len(kept))))
    groups = [removed[group] for group in _components(linked) if len(group) >= at_least]
    return tuple(sorted(groups, key=len, reverse=True))


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    squares = (a.astype(np.float64) ** 2).sum(1)[:, None] + (b.astype(np.float64) ** 2).sum(1)[None, :]
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(squares - 2 * a.astype(np.float64) @ b.astype(np.float64).T, 0.0)
    )
    return distances


def _components(linked: NDArray[np.bool_]) -> Sequence[NDArray[np.intp]]:
    """Connected components of a symmetric adjacency matrix."""
    group = np.arange(len(linked))
    while True:
        # each takes the smallest label among its neighbours, until nothing changes
        merged = np.where(linked | np.eye(len(linked), dtype=bool), group[np.newaxis, :], len(linked)).min(axis=1)
        if (merged == group).all():
            return [np.flatnonzero(group == label) for label in np.unique(group)]
        group = merged
