"""Tracking to the ejector: which part is where on the belt, which is pushed off, and whether that worked.

Pure and clock-injected: no threads, no sockets, no clock. One thread (ejection) owns the one instance.

    part_opened ─► on the belt ─► at an ejector that takes it ─► Push ... Release ─► confirmed ─► Ejected
                   part_closed:    at the last one with a PASS ─► LetThrough
                   the verdict     its place is lost          ─► LostTrack and StopLine

Fail-safe rules held here:

* A part that is not PASS is pushed by the first ejector that takes it, the last one takes all. A part without a verdict
  counts as an error: it is pushed, and a verdict that comes after that is reported and changes nothing.
* Two parts closer than the window are not distinguishable: both are pushed.
* A part is pushed within the window around its place or not at all; when its place has gone by, the line stops.
* The line stops, and says for which part, when a push is not confirmed in time, a bin sees a part that was not pushed,
  a part does not come to the sensor before the ejectors or comes there unseen, a bin is full, or a place is lost.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field, replace

from station import noted
from station.codes import ErrorCode, ReasonCode
from station.line.ejection.belt import Belt, BeltUnits
from station.line.ejection.messages import (
    Ejected,
    Ejector,
    LetThrough,
    LostTrack,
    PartClosed,
    PartMissed,
    PartOpened,
    Push,
    Release,
    Report,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.results import Verdict

RESOLVED_HISTORY = 256
PARTS_IN_ONE_WINDOW = 3
"""That many at one place are no parts: the encoder does not move, or the singling has failed."""
LONGEST_PULSE_NS = 10_000_000_000
"""Time limit of a pulse given in counts: the belt may have stopped."""


@dataclass(slots=True)
class TrackedPart:
    """A part on the belt."""

    acquisition_id: int
    part_id: int
    position: BeltUnits
    """Of the belt when the part was triggered."""
    verdict: Verdict | None = None
    reason: ReasonCode = ReasonCode.NONE
    too_close: bool = False
    next_ejector: int = 0
    at_sensor: bool = False
    missing: bool = False
    """The sensor before the ejectors did not see it."""

    @property
    def fate(self) -> tuple[Verdict, ReasonCode]:
        """The verdict that counts at an ejector."""
        if self.verdict is None:
            return Verdict.ERROR, ReasonCode.NO_VERDICT
        if self.verdict is Verdict.PASS and self.too_close:
            return Verdict.ERROR, ReasonCode.PARTS_TOO_CLOSE
        return self.verdict, self.reason

    @property
    def is_settled(self) -> bool:
        """The sensor before the ejectors has seen the part, or its time has passed."""
        return self.at_sensor or self.missing

    def __str__(self) -> str:
        return f"part {self.part_id} (acquisition {self.acquisition_id})"


@dataclass(slots=True)
class Pulse:
    """An ejector is on until a time, or until the belt reaches a position, whichever comes first."""

    until_ns: int
    until: BeltUnits


@dataclass(slots=True)
class Lane:
    """One ejector with its pulse and the pushes that are not confirmed yet."""

    number: int
    settings: Ejector
    pulse: Pulse | None = None
    unconfirmed: deque[tuple[Ejected, int]] = field(default_factory=deque)
    """Pushes with the time limit of their confirmation."""


class Tracker:
    """Owns the parts between camera and bins and the pulses of the ejectors.

    Called by the ejection thread only. Never reads a clock and never drives an output: it returns what is to be done.
    """

    def __init__(self, settings: TrackingSettings, belt: Belt) -> None:
        self._settings = settings
        self._in_force_ns = 0
        """Since when the settings apply: what was triggered before is not pushed by them."""
        self._belt = belt
        self._lanes = tuple(Lane(number, ejector) for number, ejector in enumerate(settings.ejectors, start=1))
        self._parts: list[TrackedPart] = []
        """In their order along the belt, the one that is farthest first."""
        self._by_id: dict[int, TrackedPart] = {}
        self._resolved: dict[int, bool] = {}
        """Parts that are off the belt, the latest of them; True: pushed before there was a verdict."""
        self._bin_full = False

    def __repr__(self) -> str:
        """In one line, for debugging."""
        parts = (f"{part} at {part.position:g}" for part in self._parts)
        on = (str(lane.number) for lane in self._lanes if lane.pulse)
        return f"<Tracker on the belt: {', '.join(parts) or 'none'}; ejectors on: {', '.join(on) or 'none'}>"

    @property
    def parts_on_belt(self) -> int:
        return len(self._parts)

    @property
    def is_idle(self) -> bool:
        """No part on the belt, no pulse under way, no confirmation to come."""
        return not self._parts and not any(lane.pulse or lane.unconfirmed for lane in self._lanes)

    @property
    def pushing(self) -> tuple[bool, ...]:
        """Which ejectors are on."""
        return tuple(lane.pulse is not None for lane in self._lanes)

    @property
    def settings(self) -> TrackingSettings:
        return self._settings

    def change(self, settings: TrackingSettings, now_ns: int) -> list[TrackingEvent]:
        """Other settings of the same ejectors, for parts that are triggered from now on.

        Nothing is lost when the tracker is idle; parts that are still on the belt are, and the line stops.
        """
        why = "the settings of the ejectors were changed while it was on the belt"
        events = [event for part in self._parts for event in self._lose(part, ErrorCode.PART_NOT_PLACED, why)]
        self._settings = settings
        self._in_force_ns = now_ns
        for lane, ejector in zip(self._lanes, settings.ejectors, strict=True):
            lane.settings = ejector
        return events

    # ---- parts --------------------------------------------------------------------------------------------------

    def part_opened(self, opened: PartOpened, now_ns: int) -> list[TrackingEvent]:
        """A part was triggered. A second message for the same part is ignored."""
        if opened.acquisition_id in self._by_id or opened.acquisition_id in self._resolved:
            return []
        return self._put_on(TrackedPart(opened.acquisition_id, opened.part_id, 0.0), opened.time_ns, now_ns)

    def part_missed(self, missed: PartMissed, now_ns: int) -> list[TrackingEvent]:
        """A part that was not inspected: pushed like any other that is not PASS."""
        part = TrackedPart(0, missed.part_id, 0.0, Verdict.ERROR, ReasonCode.NOT_READY)
        return self._put_on(part, missed.time_ns, now_ns)

    def part_closed(self, closed: PartClosed) -> list[TrackingEvent]:
        """The verdict of a part. Only a PASS can be replaced: by an error, when the PLC will never see it."""
        part = self._by_id.get(closed.acquisition_id)
        if part is not None:
            if part.verdict in (None, Verdict.PASS):
                part.verdict, part.reason = closed.verdict, closed.reason
            return []
        if not self._resolved.get(closed.acquisition_id):
            return []
        self._resolved[closed.acquisition_id] = False
        detail = noted.PUSHED_BEFORE(count=closed.acquisition_id, verdict=closed.verdict.name)
        return [Report("verdict_too_late", detail)]

    def _put_on(self, part: TrackedPart, time_ns: int | None, now_ns: int) -> list[TrackingEvent]:
        if time_ns is None:
            return self._lose(part, ErrorCode.PART_NOT_PLACED, "its trigger was not seen")
        if time_ns < self._in_force_ns:
            why = "it was triggered before the settings of the ejectors were changed"
            return self._lose(part, ErrorCode.PART_NOT_PLACED, why)
        position, belt_now = self._belt.position(time_ns), self._belt.position(now_ns)
        if position is None or belt_now is None:
            return self._lose(part, ErrorCode.ENCODER_FAILED, "there is no encoder value of its trigger")
        if belt_now > position + self._settings.ejectors[-1].distance + self._settings.window:
            return self._lose(part, ErrorCode.PART_PASSED_EJECTOR, "it was announced too late")
        part.position = position
        insort(self._parts, part, key=lambda other: other.position)
        if part.acquisition_id:
            self._by_id[part.acquisition_id] = part
        return self._look_for_neighbours(part)

    def _look_for_neighbours(self, part: TrackedPart) -> list[TrackingEvent]:
        near = [other for other in self._parts if abs(other.position - part.position) < self._settings.window]
        if len(near) < 2:
            return []
        for other in near:
            other.too_close = True
        names = ", ".join(map(str, near))
        events: list[TrackingEvent] = [Report("parts_too_close", noted.TOO_CLOSE(names=names))]
        if len(near) >= PARTS_IN_ONE_WINDOW:
            events.append(
                StopLine(
                    ErrorCode.ENCODER_FAILED, f"{names} at one place: the encoder stands, or parts are not singled"
                )
            )
        return events

    def _lose(self, part: TrackedPart, code: ErrorCode, why: str) -> list[TrackingEvent]:
        self._resolve(part)
        return [LostTrack(part.acquisition_id, part.part_id), StopLine(code, f"{part}: {why}")]

    def _resolve(self, part: TrackedPart, *, pushed: bool = False) -> None:
        """The part is off the belt, or its place is lost."""
        self._parts = [other for other in self._parts if other is not part]
        if part.acquisition_id:
            self._by_id.pop(part.acquisition_id, None)
            self._resolved[part.acquisition_id] = pushed and part.verdict is None
            if len(self._resolved) > RESOLVED_HISTORY:
                del self._resolved[next(iter(self._resolved))]

    # ---- sensors ------------------------------------------------------------------------------------------------

    def confirmed(self, ejector: int) -> list[TrackingEvent]:
        """The sensor in the bin of this ejector (from 1) saw a part."""
        if ejector > len(self._lanes) or self._lanes[ejector - 1].settings.confirm_ns is None:
            return []
        waiting = self._lanes[ejector - 1].unconfirmed
        if not waiting:
            return [StopLine(ErrorCode.UNEXPECTED_PART, f"bin of ejector {ejector}: a part came that was not pushed")]
        ejected, _ = waiting.popleft()
        return [replace(ejected, confirmed=True)]

    def part_at_sensor(self, now_ns: int) -> list[TrackingEvent]:
        """A part came to the sensor before the ejectors."""
        position = self._belt.position(now_ns)
        if self._settings.sensor is None or position is None:
            return []
        place = position - self._settings.sensor
        expected = [
            part
            for part in self._parts
            if not part.at_sensor and not part.missing and abs(part.position - place) <= self._settings.window
        ]
        if not expected:
            nearest = min(self._parts, key=lambda part: abs(part.position - place), default=None)
            what = "no part is on the belt" if nearest is None else f"the nearest one is {nearest}"
            return [StopLine(ErrorCode.DOUBLE_PART, what)]
        min(expected, key=lambda part: abs(part.position - place)).at_sensor = True
        return []

    def bin_full(self, full: bool) -> list[TrackingEvent]:
        """The level of BinFull."""
        self._bin_full = full
        return [StopLine(ErrorCode.BIN_FULL, "BinFull is 1")] if full else []

    def line_stop_cleared(self) -> list[TrackingEvent]:
        """An operator acknowledges the stop: what was not confirmed is settled, a cause that stands stops it again."""
        settled: list[TrackingEvent] = []
        for lane in self._lanes:
            settled += [replace(ejected, confirmed=False) for ejected, _ in lane.unconfirmed]
            lane.unconfirmed.clear()
        return settled + self.bin_full(self._bin_full)

    def positions_lost(self, why: str) -> list[TrackingEvent]:
        """The encoder was set anew: the places of the parts on the belt are lost."""
        return [event for part in self._parts for event in self._lose(part, ErrorCode.ENCODER_FAILED, why)]

    # ---- time ---------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> list[TrackingEvent]:
        """What has become due: pulses end, parts come to ejectors, sensors have waited long enough."""
        events: list[TrackingEvent] = []
        for lane in self._lanes:
            if lane.pulse is not None and self._is_over(lane, lane.pulse, now_ns):
                lane.pulse = None
                events.append(Release(lane.number))
        if self._settings.sensor is not None:
            events += self._missing_parts(now_ns)
        for part in self._parts:  # a resolved part makes a new list
            events += self._at_ejectors(part, now_ns)
        for lane in self._lanes:
            while lane.unconfirmed and now_ns >= lane.unconfirmed[0][1]:
                ejected, _ = lane.unconfirmed.popleft()
                detail = f"part {ejected.part_id} (acquisition {ejected.acquisition_id}), ejector {lane.number}"
                events += [replace(ejected, confirmed=False), StopLine(ErrorCode.REJECT_NOT_CONFIRMED, detail)]
        return events

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When `advance` has work next, as far as is known now; None: not before the next message."""
        times: list[int | None] = []
        for lane in self._lanes:
            if lane.pulse is not None:
                times += [lane.pulse.until_ns, self._time_at(lane.pulse.until, lane.settings.lead_ns, now_ns)]
            if lane.unconfirmed:
                times.append(lane.unconfirmed[0][1])
        for part in self._parts:
            ejector = self._settings.ejectors[part.next_ejector]
            times.append(self._time_at(part.position + ejector.distance, ejector.lead_ns, now_ns))
        if self._settings.sensor is not None:
            passed = self._settings.sensor + self._settings.window
            times += [self._time_at(part.position + passed, 0, now_ns) for part in self._parts if not part.is_settled]
        return min((time_ns for time_ns in times if time_ns is not None), default=None)

    def _at_ejectors(self, part: TrackedPart, now_ns: int) -> list[TrackingEvent]:
        """Takes the part past every ejector that it has come to."""
        while part.next_ejector < len(self._lanes):
            lane = self._lanes[part.next_ejector]
            position = self._belt.position(now_ns, lane.settings.lead_ns)
            if position is None or (error := position - part.position - lane.settings.distance) < 0:
                return []
            verdict, reason = part.fate
            is_last = lane is self._lanes[-1]
            if lane.settings.takes(verdict, reason) or (is_last and verdict is not Verdict.PASS):
                if error <= self._settings.window:
                    return self._push(part, lane, error, now_ns)
                if is_last:
                    return self._lose(part, ErrorCode.PART_PASSED_EJECTOR, f"not pushed, {error:.0f} beyond its place")
            part.next_ejector += 1
        self._resolve(part)
        return [LetThrough(part.acquisition_id)]

    def _push(self, part: TrackedPart, lane: Lane, error: BeltUnits, now_ns: int) -> list[TrackingEvent]:
        ejector = lane.settings
        window = self._settings.window
        place = part.position + ejector.distance
        length_ns = LONGEST_PULSE_NS if ejector.pulse_ns is None else ejector.pulse_ns
        length = window if ejector.pulse is None else min(ejector.pulse, window)
        lane.pulse = Pulse(now_ns + length_ns, place + length)
        self._resolve(part, pushed=True)
        _, reason = part.fate
        ejected = Ejected(part.acquisition_id, part.part_id, lane.number, now_ns, error, reason, None)
        push = Push(lane.number, part.acquisition_id, part.part_id, error)
        if ejector.confirm_ns is None or part.missing:
            return [push, ejected]
        lane.unconfirmed.append((ejected, now_ns + ejector.lead_ns + ejector.confirm_ns))
        return [push]

    def _is_over(self, lane: Lane, pulse: Pulse, now_ns: int) -> bool:
        position = self._belt.position(now_ns, lane.settings.lead_ns)
        return now_ns >= pulse.until_ns or (position is not None and position >= pulse.until)

    def _missing_parts(self, now_ns: int) -> list[TrackingEvent]:
        """Parts that should have come to the sensor by now. They are pushed all the same: the sensor may be wrong."""
        position = self._belt.position(now_ns)
        if position is None or self._settings.sensor is None:
            return []
        events: list[TrackingEvent] = []
        for part in self._parts:
            if not part.is_settled and position > part.position + self._settings.sensor + self._settings.window:
                part.missing = True
                events.append(StopLine(ErrorCode.LOST_PART, str(part)))
        return events

    def _time_at(self, position: BeltUnits, lead_ns: int, now_ns: int) -> int | None:
        time_ns = self._belt.time_at(position, now_ns)
        return None if time_ns is None else time_ns - lead_ns
