"""How the scores of stored parts lie, to draw limits into: good ones on the left, others on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.hmi.site import Site

NEWEST = 5000
STEPS = 50
HIGH = 40
"""Of the picture."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts in steps of the scale from 0 to 1."""

    parts: int
    steps: Sequence[int]

    @property
    def bars(self) -> list[tuple[float, float]]:
        """(top, height) of each step, of `HIGH`; the square root, so that few can be seen beside many."""
        highest = max(self.steps, default=0) ** 0.5 or 1.0
        heights = [HIGH * count**0.5 / highest for count in self.steps]
        return [(round(HIGH - height, 1), round(height, 1)) for height in heights]


def scores_of(site: Site, recipe: str, camera: str = "") -> Scores:
    """Of the newest parts of production; of one camera or, empty, of the whole parts. Raises RecordingError."""
    step = f"CAST(score * {STEPS} AS INTEGER)"
    of_part = "SELECT id, score FROM parts WHERE recipe = ? AND challenge IS NULL ORDER BY wall_time DESC LIMIT ?"
    query = f"SELECT {step}, COUNT(*) FROM ({of_part}) WHERE score IS NOT NULL GROUP BY 1"
    values: tuple[object, ...] = (recipe, NEWEST)
    if camera:
        query = (
            f"SELECT {step}, COUNT(*) FROM (SELECT v.score FROM ({of_part}) AS p JOIN views AS v ON v.part = p.id "
            "WHERE v.camera = ?) WHERE score IS NOT NULL GROUP BY 1"
        )
        values = (recipe, NEWEST, camera)
    steps = [0] * STEPS
    with site.reading() as connection:
        for step, count in connection.execute(query, values):
            steps[min(max(step, 0), STEPS - 1)] += count
    return Scores(sum(steps), steps)
