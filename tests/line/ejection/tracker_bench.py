"""A tracker on a belt whose position is known, for the tests beside it."""

from __future__ import annotations

from dataclasses import replace

from station.codes import ErrorCode, ReasonCode
from station.line.ejection.messages import (
    Ejector,
    PartClosed,
    PartOpened,
    Push,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.line.ejection.tracker import Tracker
from station.results import Verdict
from tests.bench.belts import KnownBelt

MS = 1_000_000
EJECTOR = Ejector(distance=1000.0, pulse=100.0, confirm_ns=80 * MS)
SETTINGS = TrackingSettings(window=200.0, ejectors=(EJECTOR,))
FAIL = (Verdict.FAIL, ReasonCode.SCORE_ABOVE_LIMIT)
PASS = (Verdict.PASS, ReasonCode.NONE)


class Line:
    """A tracker on a belt of 1000 counts/s: 1 count is 1 ms."""

    def __init__(self, settings: TrackingSettings = SETTINGS) -> None:
        self.now_ms = 0.0
        self.belt = KnownBelt()
        self.belt.run(1000)
        self.tracker = Tracker(settings, self.belt)
        self.events: list[TrackingEvent] = []

    @property
    def now(self) -> int:
        return round(self.now_ms * MS)

    def part(self, acquisition_id: int, decision: tuple[Verdict, ReasonCode] | None = None) -> None:
        """A part comes to the camera now."""
        self.take(self.tracker.part_opened(PartOpened(acquisition_id, 100 + acquisition_id, self.now), self.now))
        if decision is not None:
            self.close(acquisition_id, *decision)

    def close(self, acquisition_id: int, verdict: Verdict, reason: ReasonCode) -> None:
        self.take(self.tracker.part_closed(PartClosed(acquisition_id, verdict, reason)))

    def take(self, events: list[TrackingEvent]) -> None:
        self.events += events

    def run_to(self, ms: float) -> None:
        while self.now_ms < ms:
            self.now_ms = min(self.now_ms + 1, ms)
            self.take(self.tracker.advance(self.now))

    def of(self, kind: type[TrackingEvent]) -> list[TrackingEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def stops(self) -> list[ErrorCode]:
        return [event.code for event in self.events if isinstance(event, StopLine)]

    @property
    def pushed(self) -> list[int]:
        return [event.acquisition_id for event in self.events if isinstance(event, Push)]


SENSOR = TrackingSettings(200.0, (replace(EJECTOR, confirm_ns=None),), sensor=700.0)
