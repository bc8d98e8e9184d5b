"""The held-out scores of good images as something that limits are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.calibration.tail import effective_count, exceeding_rank, outlier_count, upper_limit

Scores = NDArray[np.float64]

CONFIDENCE = 0.9
"""Of each limit, over repeated calibrations."""
NO_SCORES: Scores = np.empty(0)


@dataclass(frozen=True)
class Sample:
    """Scores that a limit can be drawn from."""

    name: str
    scores: Scores
    """Without outliers."""
    outlier_count: int
    effective_count: float
    confidence: float

    @classmethod
    def of(cls, scores: Scores, name: str, confidence: float, order_is_capture_order: bool) -> Sample:
        """`name`: what the scores are, for messages."""
        outliers = outlier_count(scores, confidence)
        independent = effective_count(scores) if order_is_capture_order else float(len(scores))
        kept = np.sort(scores)[: len(scores) - outliers]
        return cls(name, kept, outliers, max(1.0, independent * len(kept) / len(scores)), confidence)

    def needs_no_model(self, probability: float) -> bool:
        """Whether a limit at this probability is an order statistic."""
        return exceeding_rank(self.effective_count, probability, self.confidence) >= 1

    def limit(self, probability: float) -> float:
        """Exceeded by at most this share of further scores; not higher for a larger share."""
        try:
            limit = upper_limit(self.scores, probability, self.confidence, self.effective_count)
        except ValueError as problem:
            raise TrainingError(f"calibration cannot draw a limit from the {self.name}: {problem}") from problem
        if not limit > np.median(self.scores):
            raise TrainingError(
                f"calibration: the limit of the {self.name}, {limit:.6g}, is not above their median: "
                "most held-out images score the same; are they copies of one image?"
            )
        return limit

    def limit_with(self, doubtful: Scores, scores: Scores, probability: float, order_is_capture_order: bool) -> float:
        """As `limit`, and no lower than if these doubtful scores were good ones, too.

        Args:
            scores: what this is the sample of.
        """
        limit = self.limit(probability)
        if len(doubtful) == 0:
            return limit
        more = np.concatenate([scores, doubtful])
        return max(limit, Sample.of(more, self.name, self.confidence, order_is_capture_order).limit(probability))
