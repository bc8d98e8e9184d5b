"""What refinement may not do, and what must be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.errors import TrainingError
from engines.training.refinement.records import Indices, RefineOptions


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
    def known_good(self) -> Indices:
        return np.array(sorted(self.options.known_good), np.intp)

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
