"""A line in numbers: parts as the watch sees them, with what may happen to lamp, lens, place, product and defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from station.monitoring.seen import SeenPart, SeenView
from station.results import Verdict


@dataclass(frozen=True)
class Line:
    """What its parts are like. `wander`: standard deviation of a slow autocorrelated change of the light, relative."""

    grey: float = 120.0
    grey_spread: float = 0.02
    """Relative, part to part."""
    wander: float = 0.0
    sharpness: float = 0.08
    sharpness_spread: float = 0.08
    place: float = 0.5
    score_shift: float = 0.0
    """In standard deviations of the scores."""
    rejected: float = 0.01
    in_review: float = 0.04
    not_inspected: float = 0.001
    scratched: float = 0.0
    """Share of parts that are rejected with this kind; the others that do not pass have none."""
    unknown: float = 0.0
    """Likewise, like no kind that the engine knows."""

    def parts(self, count: int, random: np.random.Generator) -> Iterator[SeenPart]:
        slow = 0.0
        for _ in range(count):
            slow = 0.995 * slow + random.normal() * 0.1
            light = self.grey * (1 + self.wander * slow + self.grey_spread * random.normal())
            sharp = self.sharpness * (1 + self.sharpness_spread * random.normal())
            place = (self.place + 0.004 * random.normal(), 0.5 + 0.004 * random.normal(), 0.3 + 0.002 * random.normal())
            draw = random.random()
            verdict, kind = Verdict.PASS, ""
            if self.scratched or self.unknown:
                of_kind = random.random()
                kind = (
                    "scratch"
                    if of_kind < self.scratched
                    else "unknown"
                    if of_kind < self.scratched + self.unknown
                    else ""
                )
            if kind or draw < self.rejected:
                verdict = Verdict.FAIL
            elif draw < self.rejected + self.in_review:
                verdict = Verdict.REVIEW
            score = float(np.clip(0.2 + 0.05 * (random.normal() + self.score_shift), 0, 0.49))
            defect = (random.random(), random.random()) if verdict is not Verdict.PASS else None
            view = SeenView("top", light, 0.0, sharp, place, defect)
            if random.random() < self.not_inspected:
                yield SeenPart("flange", "e1", Verdict.ERROR, True, float("nan"), ())
            else:
                yield SeenPart("flange", "e1", verdict, False, score, (view,), kind)
