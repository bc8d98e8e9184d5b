"""Limits where a head lifts good parts within a bound, too: drawn as if there were none, then brought below it.

Scores that are lifted towards a ceiling pile up below it. A model of their tail takes that for a heavy one and would
put every limit above the ceiling, where nothing can be found any more. Bending keeps the order, so a limit of the free
scores has its place among the bent ones: of hottest cells that are averaged before a logarithm, bent ones reach at most
the bent average (Jensen: bending is concave there, too). Parts whose own map lies in the band break that rule; where
held-out ones do, the limit rises until no more of them are above it than were above the free one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines.bundle.manifest import Calibration
from engines.training.calibration.calibrate import escape_bounds, escapes_in_words
from engines.training.calibration.sample import Scores


@dataclass(frozen=True)
class Lifted:
    """Scores of the same held-out good images, in one order."""

    before: Scores
    """Without the head."""
    free: Scores
    """With it and no bound."""
    bounded: Scores
    """As the engine gives them."""
    bend: Callable[[float], float]

    def limit(self, free_limit: float) -> float:
        """A limit of the free scores, on the scale of the bounded ones."""
        return _no_more_above(self.bend(free_limit), self.bounded, int(np.count_nonzero(self.free > free_limit)))


def calibrate_bounded(
    before: Calibration, free: Calibration, image: Lifted, peak: Lifted, defective_scores: Scores | None
) -> Calibration | None:
    """The limits of an engine whose last head is bounded by the reject limit before it; None: no band for reviews is
    left below it, so such a head finds nothing.

    The reject limit stays where it was, or as far above as keeps no more good parts above it than before.

    Args:
        before: drawn without the head.
        free: drawn from `image.free` and `peak.free`, without labelled images.
        defective_scores: of labelled images, without the head.
    """
    ceiling = before.reject_score
    reject_score = _no_more_above(ceiling, image.bounded, int(np.count_nonzero(image.before > ceiling)))
    review_score, typical = image.limit(free.review_score), float(np.median(image.bounded))
    if not typical < review_score < reject_score:
        return None
    typical_peak = float(np.median(peak.bounded))
    escapes, promise = None, free.promise
    if defective_scores is not None and len(defective_scores):
        escapes = escape_bounds(defective_scores, review_score, reject_score, before.confidence)
        promise = f"{promise} {escapes_in_words(escapes, before.confidence)}"
    changed = {
        "reject_score": reject_score,
        "review_score": review_score,
        "pixel_score": max(peak.limit(free.pixel_score), float(np.nextafter(typical_peak, np.inf))),
        "typical_score": typical,
        "typical_peak": typical_peak,
        "method": before.method,
        "promise": promise,
        "escapes": escapes,
    }
    return Calibration.model_validate({**free.model_dump(), **changed})


def _no_more_above(limit: float, scores: Scores, count: int) -> float:
    """The limit, raised until at most `count` of the scores are above it."""
    return max(limit, float(np.sort(scores)[len(scores) - 1 - count])) if count < len(scores) else limit
