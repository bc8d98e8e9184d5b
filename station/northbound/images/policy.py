"""Which images are sent, and what they are called there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from station.northbound.readings import day_of
from station.records.images import write_atomic
from station.records.parts import PartRow, ViewRow
from station.records.sample import in_sample
from station.results import Verdict

DAYS_KEPT = 60
"""Of counts: what waits longer than this counts anew."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one station."""

    pass_share: float = 0.002
    """Of all PASS parts; of the same parts as the images that are kept, so at most `[records] pass_image_share`."""
    per_day: int = 500
    pass_per_day: int = 100
    """Of `per_day`: those of PASS do not push others out."""

    def wants(self, row: PartRow) -> bool:
        """The same whoever asks, whenever."""
        if row.verdict != Verdict.PASS.name:
            return True
        return in_sample(row.session, row.acquisition_id, self.pass_share)


@dataclass
class Budget:
    """How many images of each day were sent. A day is that of the part, so what waited for days has their budgets."""

    file: Path
    policy: Policy
    sent: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    over: dict[str, int] = field(default_factory=dict)
    """Images that were wanted beyond the budget, and not sent."""

    @classmethod
    def read(cls, file: Path, policy: Policy) -> Budget:
        """Begins anew where there is no file, or none that can be read: then a day may have twice its budget."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            counts = (
                {str(day): int(count) for day, count in found[name].items()} for name in ("sent", "passed", "over")
            )
            return cls(file, policy, *counts)
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return cls(file, policy)

    def has_room(self, row: PartRow) -> bool:
        """For one more image of this part; counts those for which there is none."""
        day = str(day_of(row.wall_time))
        is_pass = row.verdict == Verdict.PASS.name
        full = self.sent.get(day, 0) >= self.policy.per_day
        if full or (is_pass and self.passed.get(day, 0) >= self.policy.pass_per_day):
            self.over[day] = self.over.get(day, 0) + 1
            return False
        return True

    def count(self, row: PartRow) -> None:
        """One image of this part was sent."""
        day = str(day_of(row.wall_time))
        self.sent[day] = self.sent.get(day, 0) + 1
        if row.verdict == Verdict.PASS.name:
            self.passed[day] = self.passed.get(day, 0) + 1

    def write(self) -> None:
        """Raises OSError."""
        counts = {"sent": self.sent, "passed": self.passed, "over": self.over}
        for days in counts.values():
            for day in sorted(days)[:-DAYS_KEPT]:
                del days[day]
        write_atomic(self.file, json.dumps(counts).encode())


def name_of(station: str, row: PartRow, view: ViewRow) -> str:
    """STATION/DAY/SESSION/NUMBER-CAMERA.EXT; the day is that of the trigger, in UTC."""
    ending = Path(view.image_path or "").suffix or ".png"
    day = day_of(row.wall_time)
    return f"{segment(station)}/{day}/{segment(row.session)}/{row.acquisition_id:09d}-{segment(view.camera)}{ending}"


def segment(text: str) -> str:
    """A name as a piece of a path: ASCII, no slash, never `.` or `..`."""
    quoted = quote(text.encode("utf-8", "surrogateescape"), safe="")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted
