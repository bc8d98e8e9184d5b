"""The one scale on which people see scores: 0 to 1, 0.5 at the reject limit, whatever the detector.

Raw scores are what a detector computes: log-likelihoods, distances, any range, also negative. Two anchors that every
engine brings place them: the typical good part (the median of the held-out ones) shows as 0.1, the reject limit as
0.5. In between and beyond, with d = (raw - limit) / (limit - typical), shown = (1 + 4 d / (1 + 4 |d|)) / 2. Unlike a
logistic curve this keeps gross defects apart: as far above the limit as the typical part is below shows as 0.9, ten
times as far as 0.988.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LIMIT = 0.5
"""Where the reject limit shows."""
_STEEPNESS = 4.0
"""Puts the typical good part at 0.1."""
_JUST_ABOVE_LIMIT = math.nextafter(LIMIT, 1.0)


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """From raw scores to shown ones and back."""

    typical: float
    """Raw score of a typical good part; shows as 0.1."""
    limit: float
    """Raw score of the reject limit; shows as exactly 0.5."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.typical) and math.isfinite(self.limit) and self.typical < self.limit):
            raise ValueError(f"typical score {self.typical} must be a number below the limit {self.limit}")

    def shown(self, raw: float) -> float:
        """0 to 1, never falling as `raw` rises, above 0.5 exactly when `raw` is above the limit. NaN stays NaN."""
        if raw == self.limit:
            return LIMIT
        if math.isinf(raw):
            return 1.0 if raw > 0 else 0.0
        distance = _STEEPNESS * (raw - self.limit) / (self.limit - self.typical)
        if math.isinf(distance):
            return 1.0 if distance > 0 else 0.0
        shown = LIMIT * (1.0 + distance / (1.0 + abs(distance)))
        return max(shown, _JUST_ABOVE_LIMIT) if raw > self.limit else shown

    def raw(self, shown: float) -> float:
        """The raw score that shows as this; 0 gives -infinity, 1 infinity.

        Raises:
            ValueError: `shown` is not from 0 to 1.
        """
        if not 0.0 <= shown <= 1.0:
            raise ValueError(f"score {shown} is not on the scale from 0 to 1")
        if shown in (0.0, 1.0):
            return math.inf if shown else -math.inf
        ratio = shown / LIMIT - 1.0
        return self.limit + (self.limit - self.typical) * ratio / (1.0 - abs(ratio)) / _STEEPNESS
