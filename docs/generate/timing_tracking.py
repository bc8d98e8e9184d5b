"""The timing diagram of tracking in the station: two rejects, one of them never confirmed."""

from __future__ import annotations

from docs.generate.timing_drawing import Diagram, Mark, Track
from station.codes import ErrorCode, ReasonCode
from station.line.ejection.belt import ClockBelt
from station.line.ejection.messages import (
    Ejector,
    PartClosed,
    PartOpened,
    Push,
    Release,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.line.ejection.tracker import Tracker
from station.results import Verdict

NS_PER_MS = 1_000_000
TRAVEL_MS, PULSE_MS, CONFIRM_MS, WINDOW_MS = 100, 30, 60, 40
_PARTS = ("acquisition_id", "ejector1", "count_ejected", "reject_confirmed")
_LINE = ("line_stop", "error_code", "clear_error")
NOT_PASS = frozenset({Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR})


class _Belt:
    """Three parts, the ejector, and the bits and registers that show it."""

    def __init__(self) -> None:
        ejector = Ejector(
            distance=TRAVEL_MS * NS_PER_MS,
            pulse_ns=PULSE_MS * NS_PER_MS,
            verdicts=NOT_PASS,
            confirm_ns=CONFIRM_MS * NS_PER_MS,
        )
        self._tracker = Tracker(TrackingSettings(WINDOW_MS * NS_PER_MS, (ejector,)), ClockBelt())
        self.now_ms = 0
        self.marks: list[Mark] = []
        self.changes: dict[str, list[tuple[float, float]]] = {name: [(0.0, 0.0)] for name in (*_PARTS, *_LINE)}

    def set(self, name: str, value: float) -> None:
        self.changes[name].append((float(self.now_ms), value))

    def mark(self, text: str) -> None:
        self.marks.append(Mark(float(self.now_ms), text))

    def part(self, number: int, verdict: Verdict) -> None:
        """A part is triggered, and has its verdict long before it comes to the ejector."""
        self.set("acquisition_id", number)
        self._show(self._tracker.part_opened(PartOpened(number, number, self._now_ns), self._now_ns))
        reason = ReasonCode.NONE if verdict is Verdict.PASS else ReasonCode.SCORE_ABOVE_LIMIT
        self._show(self._tracker.part_closed(PartClosed(number, verdict, reason)))

    def wait(self, ms: int) -> None:
        for _ in range(ms):
            self.now_ms += 1
            self._show(self._tracker.advance(self._now_ns))

    def pulse(self, name: str, ms: int = 10) -> None:
        """A bit of the PLC rises, and falls again."""
        self.set(name, 1)
        if name == "reject_confirmed":
            self._show(self._tracker.confirmed(1))
        else:
            self._show(self._tracker.line_stop_cleared())
            self.set("line_stop", 0)
            self.set("error_code", 0)
        self.wait(ms)
        self.set(name, 0)

    @property
    def _now_ns(self) -> int:
        return self.now_ms * NS_PER_MS

    def _show(self, events: list[TrackingEvent]) -> None:
        for event in events:
            match event:
                case Push():
                    self.set("ejector1", 1)
                    self.set("count_ejected", self.changes["count_ejected"][-1][1] + 1)
                case Release():
                    self.set("ejector1", 0)
                case StopLine(code, _):
                    assert code is ErrorCode.REJECT_NOT_CONFIRMED
                    self.set("line_stop", 1)
                    self.set("error_code", code)


def tracking() -> Diagram:
    """Part 1 fails and falls into its bin, part 2 passes, part 3 fails and its bin sees nothing."""
    belt = _Belt()
    belt.wait(10)
    belt.mark("part 1 is triggered; it is a FAIL")
    belt.part(1, Verdict.FAIL)
    belt.wait(60)
    belt.part(2, Verdict.PASS)
    belt.wait(40)
    belt.mark("it is in front of the ejector: a pulse of the configured length")
    belt.wait(20)
    belt.part(3, Verdict.FAIL)
    belt.wait(15)
    belt.mark("RejectConfirmed: its bin saw it in time. Part 2, a PASS, goes by untouched")
    belt.pulse("reject_confirmed")
    belt.wait(75)
    belt.mark("part 3 is pushed")
    belt.wait(CONFIRM_MS)
    belt.mark("its bin has seen nothing in time: LineStop, and ErrorCode says why")
    belt.wait(40)
    belt.mark("ClearError, when a person has looked")
    belt.pulse("clear_error")
    belt.wait(15)
    tracks = tuple(Track.of(name, tuple(changes)) for name, changes in belt.changes.items())
    return Diagram("Tracking in the station: pulse, confirmation, line stop", tracks, tuple(belt.marks), belt.now_ms)
