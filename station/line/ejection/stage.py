"""The ejection stage: one thread that pushes parts off at the moment they are in front of their ejector.

    signalling ──► parts opened, closed, missed ──┐
    PLC link   ──► encoder, confirmations ────────┼──► inbox ──► Tracker ──► bits to the PLC, camera lines
    camera     ──► encoder ───────────────────────┘                     └──► faults to signalling, records

The thread sleeps until the next push is due or a message comes; it computes for some microseconds then. Nothing here
touches disk, network or a log, and nothing waits for signalling, which may be busy with a result when a push is due.
`handle` and `advance` run without the thread, so tests drive the stage step by step.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drivers.plc.protocol import PlcInputs
from station import noted
from station.codes import ErrorCode
from station.line.ejection.belt import EncoderBelt
from station.line.ejection.messages import (
    Change,
    ControlWritten,
    CountersReset,
    Ejected,
    EncoderRead,
    LetThrough,
    LineStopCleared,
    LostTrack,
    Message,
    OnBelt,
    OutputsReset,
    PartClosed,
    PartMissed,
    PartOpened,
    Push,
    Release,
    Report,
    Stop,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.line.ejection.tracker import Tracker
from station.records.ejections import Ejection
from station.records.events import RecordEvent

LONGEST_WAIT_S = 0.2
REPLY_S = 2.0
CONFIRMATIONS = ("reject_confirmed", "reject_confirmed2", "reject_confirmed3", "reject_confirmed4")


@dataclass(frozen=True, slots=True)
class EjectionPorts:
    """Where decisions go. Called on the ejection thread; none of these may block."""

    show: Callable[[tuple[bool, ...], int], None]
    """Which ejectors push, and how many parts were pushed so far: to the status block."""
    set_output: Callable[[int, bool], None]
    """The output of an ejector (from 1) that is no bit of the status block; nothing for the others."""
    record: Callable[[Ejection], None]
    event: RecordEvent
    fault: Callable[[ErrorCode, str], None]
    on_belt: Callable[[int], None]
    """Parts between camera and ejector, whenever their number changes."""


class EjectionStage:
    """Owns tracker and belt, on one thread with an inbox. Other threads post to it; nothing is waited for."""

    def __init__(
        self,
        tracker: Tracker,
        ports: EjectionPorts,
        *,
        encoder: EncoderBelt | None = None,
        encoder_from: Literal["plc", "camera", "time"] = "time",
        left_on_belt: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`encoder` is the tracker's belt unless that is time. `left_on_belt`: parts that an earlier process left."""
        self._tracker = tracker
        self._ports = ports
        self._encoder = encoder
        self._encoder_from = encoder_from
        self._left_on_belt = left_on_belt
        self._clock = clock
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ejection")
        self._inputs: PlcInputs | None = None
        self._ejected = 0
        self._shown: tuple[tuple[bool, ...], int] = ((), 0)
        self._reported_on_belt = left_on_belt
        self._stop_at_ns: int | None = None
        self.turns = 0
        """How often the loop has turned; the supervisor looks at it."""

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def post(self, message: Message) -> None:
        """Hands over a message; never blocks."""
        self._inbox.put(message)

    def change(self, settings: TrackingSettings, *, lose_parts: bool = False) -> OnBelt | None:
        """Takes other settings of the same ejectors if no part is on its way to them; else nothing changes, and what is
        in the way is returned. `lose_parts`: in any case; the line stops when there were parts.

        Raises queue.Empty when the stage does not reply in time; a later call still comes after this one.
        """
        wanted = Change(settings, lose_parts)
        self._inbox.put(wanted)
        return wanted.reply.get(timeout=REPLY_S)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Gives the parts on the belt this time to reach their ejectors. True: none is left, the thread has ended."""
        if self._thread.is_alive():
            self._inbox.put(Stop(self._clock() + round(timeout_s * 1e9)))
            self._thread.join(timeout_s + 2 * LONGEST_WAIT_S)
        return not self._thread.is_alive() and self._tracker.is_idle

    def _run(self) -> None:
        try:
            if self._left_on_belt:
                self._ports.fault(ErrorCode.BELT_NOT_EMPTY, f"{self._left_on_belt} parts")
            while not self._may_end():
                try:
                    message = self._inbox.get(timeout=self._wait_s())
                except queue.Empty:
                    pass
                else:
                    self.handle(message)
                self.advance()
        finally:
            for number, _ in enumerate(self._tracker.pushing, start=1):
                self._ports.set_output(number, False)
            self._ports.show((), self._ejected)
            if parts := self._tracker.parts_on_belt:
                detail = noted.LEFT_ON_BELT(count=parts)
                self._ports.event("parts_left_on_belt", "error", detail)

    def _may_end(self) -> bool:
        return self._stop_at_ns is not None and (self._tracker.is_idle or self._clock() >= self._stop_at_ns)

    def _wait_s(self) -> float:
        now = self._clock()
        wakeup = self._tracker.next_wakeup_ns(now)
        return LONGEST_WAIT_S if wakeup is None else min(max((wakeup - now) / 1e9, 0.0), LONGEST_WAIT_S)

    def advance(self) -> None:
        """What time alone brings."""
        now = self._clock()
        self.turns += 1
        self._carry_out(self._tracker.advance(now), now)

    def handle(self, message: Message) -> None:
        """One message from another stage."""
        now = self._clock()
        tracker = self._tracker
        match message:
            case ControlWritten(inputs, time_ns):
                self._carry_out(self._control(inputs, time_ns), now)
            case EncoderRead(count, time_ns):
                self._carry_out(self._sample("camera", count, time_ns), now)
            case PartOpened():
                self._carry_out(tracker.part_opened(message, now), now)
            case PartMissed():
                self._carry_out(tracker.part_missed(message, now), now)
            case PartClosed():
                self._carry_out(tracker.part_closed(message), now)
            case LineStopCleared():
                self._left_on_belt = 0
                self._carry_out(tracker.line_stop_cleared(), now)
            case OutputsReset():
                for number, on in enumerate(tracker.pushing, start=1):
                    self._ports.set_output(number, on)
            case CountersReset():
                self._ejected = 0
                self._show()
            case Change():
                message.reply.put(self._change(message, now))
            case Stop(until_ns):
                self._stop_at_ns = until_ns

    def _control(self, inputs: PlcInputs, time_ns: int) -> list[TrackingEvent]:
        """Encoder first, so that the sensors are seen where the belt is."""
        before = self._inputs or PlcInputs()
        self._inputs = inputs
        tracker = self._tracker
        events = self._sample("plc", inputs.encoder_now, time_ns)
        for number, name in enumerate(CONFIRMATIONS, start=1):
            if getattr(inputs, name) and not getattr(before, name):
                events += tracker.confirmed(number)
        if inputs.part_at_ejector and not before.part_at_ejector:
            events += tracker.part_at_sensor(time_ns)
        if inputs.bin_full != before.bin_full:
            events += tracker.bin_full(inputs.bin_full)
        return events

    def _sample(self, source: Literal["plc", "camera"], count: int, time_ns: int) -> list[TrackingEvent]:
        if self._encoder is None or self._encoder_from != source or self._encoder.sample(count, time_ns):
            return []
        return self._tracker.positions_lost(f"the encoder jumped to {count}")

    def _change(self, wanted: Change, now_ns: int) -> OnBelt | None:
        tracker = self._tracker
        settings = wanted.settings
        if settings == tracker.settings:
            return None
        if not (tracker.is_idle or wanted.lose_parts):
            return OnBelt(tracker.parts_on_belt, stands=tracker.next_wakeup_ns(now_ns) is None)
        self._carry_out(tracker.change(settings, now_ns), now_ns)
        if self._encoder is not None:
            self._encoder.jump_counts = settings.longest_step
        return None

    def _carry_out(self, events: list[TrackingEvent], now_ns: int) -> None:
        """Outputs first: they are what cannot wait."""
        for event in events:
            match event:
                case Push():
                    self._ejected += 1
                    self._ports.set_output(event.ejector, True)
                case Release(number):
                    self._ports.set_output(number, False)
                case _:
                    pass
        self._show()
        for event in events:
            match event:
                case Ejected():
                    self._ports.record(self._as_record(event, now_ns))
                case StopLine(code, detail):
                    self._ports.fault(code, detail)
                case Report(kind, detail):
                    self._ports.event(kind, "warning", detail)
                case Push() | Release() | LetThrough() | LostTrack():
                    pass
        on_belt = self._tracker.parts_on_belt + self._left_on_belt
        if on_belt != self._reported_on_belt:
            self._reported_on_belt = on_belt
            self._ports.on_belt(on_belt)

    def _show(self) -> None:
        now = (self._tracker.pushing, self._ejected)
        if now != self._shown:
            self._shown = now
            self._ports.show(*now)

    def _as_record(self, event: Ejected, now_ns: int) -> Ejection:
        per_unit = 1.0 if self._encoder is not None else 1e-6
        since_ms = (now_ns - event.time_ns) / 1e6
        return Ejection(
            acquisition_id=event.acquisition_id,
            part_id=event.part_id,
            ejector=event.ejector,
            wall_time=time.time() - (now_ns - event.time_ns) / 1e9,
            error=event.error * per_unit,
            unit="counts" if self._encoder is not None else "ms",
            reason=event.reason,
            confirmed=event.confirmed,
            confirmed_ms=since_ms if event.confirmed else None,
        )
