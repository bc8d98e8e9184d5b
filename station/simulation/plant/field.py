"""The field of the simulated line: what is wired to belt, camera and ejector, and the events that it reports."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from drivers.camera.simtl import Scene, SceneError
from station.simulation.parts.ageing import Kind, amount_of
from station.simulation.parts.pictures import Pixels
from station.simulation.parts.schedule import LineSchedule, ScheduledPart
from station.simulation.plant.belt import PITCH_COUNTS, VIEW_COUNTS, Belt, Bin, Layout, Passage, Place
from station.simulation.plant.ejector import FALL_S, LINE, BeltFault, EjectBy, Sabotage, SensorPulses
from station.simulation.plant.faults import CameraFault
from station.simulation.plant.plc_signals import FieldInputs, TriggerMode
from station.simulation.plant.wear import Encoder, Valve

BELT_LEAD_SCANS = 2
"""The belt never runs further ahead of the last scan that has set its outputs, nor further in one step. At 20 parts/s
that is 20 mm, and a part reaches 30 mm to either side of its middle."""
SENT_LEAD_SCANS = 5
"""Nor, where the station pushes, further ahead of what the station knows: communication is real time, too."""
EXPOSURE_WAIT_S = 0.5
"""A real camera exposes at the edge of its trigger; the process of a software camera may be held up, and then the belt
waits this long with the part in its view."""
LATE_MS = 300
"""How late the frames of a late camera are: in time for their deadline, and behind those of the next parts."""
STRAY = "stray"
"""Truth of a part that is not of the schedule."""


class Events:
    """Writes events; used by all threads. Sets `stop` when nobody reads any more."""

    def __init__(self, output: TextIO, stop: threading.Event) -> None:
        self._output = output
        self._stop = stop
        self._lock = threading.Lock()

    def emit(self, event: str, **values: object) -> None:
        line = json.dumps({"event": event, **values}) + "\n"
        with self._lock:
            try:
                self._output.write(line)
                self._output.flush()
            except (BrokenPipeError, ValueError):  # the reader is gone, or the stream was closed at exit
                self._stop.set()


@dataclass(frozen=True, slots=True)
class _Exposure:
    """A picture that the cameras have been triggered for."""

    serial: int
    in_view_until_s: float
    """On the clock of the belt."""
    until_s: float
    """Then nobody waits any more."""


class Field:
    """The wires between belt and PLC, and what happens in front of the cameras."""

    def __init__(self, schedule: LineSchedule, scenes: Sequence[Scene], events: Events) -> None:
        self.layout = Layout.for_rate(schedule.rate_per_s, schedule.transit_s)
        self._trigger_by_barrier = schedule.trigger is TriggerMode.LINE
        self._truth = {part.serial: part.truth for part in schedule.parts}
        self._scenes = scenes
        self._events = events
        self._lock = threading.Lock()
        self._belt = Belt(self.layout)
        self._moved_s = time.monotonic()
        self._belt_s = 0.0
        """How long the belt has run: the clock, less the time that it waited."""
        self._sampled_belt_s = 0.0
        self._scanned_belt_s = 0.0
        self._sent_belt_s = 0.0
        self._waited_s = 0.0
        self._entries: list[int] = []
        self._barriers: list[int] = []
        self._ejector = False
        self._eject_by = schedule.eject_by
        self._belt_lead_s = BELT_LEAD_SCANS * schedule.scan_s
        self._sent_lead_s = SENT_LEAD_SCANS * schedule.scan_s
        self._sabotage = Sabotage()
        self._strays = 0
        self._at_ejector, self._in_bin = SensorPulses(), SensorPulses()
        self._runs = self._eject_by is EjectBy.PLC
        self._blocked = False
        self._triggers = 0
        """Edges of the light barrier that went to the camera."""
        self._camera_missed = 0
        """Of them, those that the camera could not take: still exposing, or all frame stores full."""
        self._exposing: _Exposure | None = None
        self._pictures: dict[int, Sequence[Pixels]] = {}
        self._empty_belt = np.zeros(schedule.canvas.shape, np.uint8)
        self._schedule = schedule
        self._wheel = Encoder()
        self._valve = Valve(schedule.seed)

    def _encoder(self) -> int:
        """Where the belt is; what the PLC counts of it is `_wheel`'s."""
        return int(self._belt_s * self.layout.speed_counts_per_s)

    def has_room(self) -> bool:
        with self._lock:
            return self._belt.has_room(self._encoder())

    def all_past_camera(self) -> bool:
        """No part has still to be inspected."""
        with self._lock:
            return self._belt.all_past(Place.BARRIER)

    def put_on(self, part: ScheduledPart, pictures: Sequence[Pixels]) -> None:
        """`pictures`: what each camera will see of it."""
        with self._lock:
            if self._schedule.ageing:
                age, ageing = self._schedule.age_of(part), self._schedule.ageing
                self._wheel.slip = amount_of(Kind.SLIP, ageing, age)
                self._valve.late_s = amount_of(Kind.VALVE, ageing, age)
            self._pictures[part.serial] = pictures
            self._belt.put_on(part.serial, self._encoder())

    def move(self) -> None:
        """Moves the belt by the time that has passed. Called by the belt's thread only."""
        now_s = time.monotonic()
        if self._exposing and (now_s > self._exposing.until_s or self._was_exposed(self._exposing.serial)):
            self._exposing = None
        with self._lock:
            passed_s, self._moved_s = now_s - self._moved_s, now_s
            step_s = max(0.0, min(passed_s, self._lead_s)) if self._runs else 0.0
            self._belt_s += step_s
            self._waited_s += passed_s - step_s
            self._wheel.moved_to(self._encoder())
            passages = self._belt.advance(self._encoder())
        for passage in passages:
            self._pass(passage)
        if self._eject_by is EjectBy.CAMERA:
            self.set_ejector(self._scenes[0].output(LINE).level)
        for level in self._valve.due(now_s):
            self._blow(level)
        if self._eject_by is not EjectBy.PLC and self._ejector:
            self._blow(True)

    @property
    def _lead_s(self) -> float:
        """How far the belt may run now."""
        lead_s = self._scanned_belt_s + self._belt_lead_s - self._belt_s
        if self._eject_by is not EjectBy.PLC:
            lead_s = min(lead_s, self._sent_belt_s + self._sent_lead_s - self._belt_s)
        if self._exposing:
            lead_s = min(lead_s, self._exposing.in_view_until_s - self._belt_s)
        return min(lead_s, self._belt_lead_s)

    def encoder_sent(self, encoder: int) -> None:
        """The station knows this encoder count. Where it pushes parts off, the belt waits for it, too."""
        with self._lock:
            place = self._wheel.place_of(encoder)
            self._sent_belt_s = max(self._sent_belt_s, place / self.layout.speed_counts_per_s)

    def run_belt(self, runs: bool) -> None:
        """The PLC's output to the drive of the belt."""
        self._runs = runs

    def sabotage(self, kind: BeltFault) -> None:
        """Lets something go wrong at the next part."""
        with self._lock:
            self._sabotage.ask(kind)

    def sample(self) -> FieldInputs:
        """The PLC's inputs: encoder and the edges since the last scan. `scanned` ends the scan."""
        with self._lock:
            self._sampled_belt_s = self._belt_s
            now_s = time.monotonic()
            inputs = FieldInputs(
                self._wheel.counted,
                tuple(self._entries),
                tuple(self._barriers),
                reject_confirmed=self._in_bin.level(now_s),
                part_at_ejector=self._at_ejector.level(now_s),
                bin_full=self._sabotage.bin_full,
            )
            self._entries.clear()
            self._barriers.clear()
        return inputs

    def scanned(self) -> None:
        """The scan has set its outputs: the belt may run on from where it was sampled.

        Not from the sample on: a scan that is held up half way would set its ejector two leads behind the scan before,
        and the part that it is to push off is past the ejector by then.
        """
        self._scanned_belt_s = self._sampled_belt_s

    def fail_camera(self, fault: CameraFault, frames: int) -> None:
        """Lets something go wrong with the first camera; `frames`: how many of the next ones it concerns."""
        scene = self._scenes[0]
        try:
            match fault:
                case CameraFault.INCOMPLETE:
                    scene.fail_incomplete(frames)
                case CameraFault.DROPPED:
                    scene.fail_dropped(frames)
                case CameraFault.LATE:
                    scene.fail_late(frames, LATE_MS)
                case CameraFault.CRASH:
                    scene.crash_driver()
                case CameraFault.UNPLUGGED:
                    scene.lose_device()
                case CameraFault.PLUGGED:
                    scene.restore_device()
        except SceneError as problem:  # no camera process is there
            self._events.emit("fault_not_taken", kind=fault.value, why=str(problem))
        else:
            self._events.emit("fault", kind=fault.value)

    def set_ejector(self, level: bool) -> None:
        """The output for the valve of the ejector."""
        now_s = time.monotonic()
        self._valve.put(now_s, level)
        for opened in self._valve.due(now_s):
            self._blow(opened)

    def _blow(self, level: bool) -> None:
        """The ejector is a nozzle: while it is on, a part in front of it goes to the reject bin."""
        with self._lock:
            rising = level and not self._ejector
            blows = rising or (level and self._eject_by is not EjectBy.PLC)
            self._ejector = level
            encoder = self._encoder()
            if rising:
                self._blocked = self._sabotage.happens(BeltFault.BLOCKED_EJECTOR)
            ejection = self._belt.fire_ejector(encoder) if blows and not self._blocked else None
            if ejection is not None:
                self._in_bin.passed(time.monotonic() + FALL_S)
        if ejection is not None:
            self._left(ejection.serial, Bin.REJECT, ejection.error_counts)
        elif rising:
            self._events.emit("misfire", at_counts=encoder)

    def _pass(self, passage: Passage) -> None:
        serial = passage.serial
        match passage.place:
            case Place.ENTRY:
                with self._lock:
                    self._entries.append(self._wheel.at(passage.at_counts))
            case Place.INTO_VIEW:
                for scene, picture in zip(self._scenes, self._pictures.pop(serial), strict=True):
                    scene.show(picture, serial)
            case Place.BARRIER:
                if self._barrier_edge(passage.at_counts, serial):
                    in_view_until = passage.at_counts + VIEW_COUNTS[1] - 1
                    self._exposing = _Exposure(
                        serial, in_view_until / self.layout.speed_counts_per_s, time.monotonic() + EXPOSURE_WAIT_S
                    )
            case Place.OUT_OF_VIEW:
                if not self._was_exposed(serial):
                    self._events.emit("unexposed", part_id=serial)
                for scene in self._scenes:
                    scene.show(self._empty_belt)
                self._behind_the_camera(serial)
            case Place.SENSOR:
                with self._lock:
                    self._at_ejector.passed(time.monotonic())
            case Place.PAST_EJECTOR:
                self._left(serial, Bin.GOOD, None)

    def _behind_the_camera(self, serial: int) -> None:
        """Where a hand may reach the belt."""
        with self._lock:
            taken = self._sabotage.happens(BeltFault.TAKEN_OFF)
            if taken:
                self._belt.take_off(serial)
            if self._sabotage.happens(BeltFault.STRAY_PART):
                self._strays += 1
                self._belt.put_behind_camera(-self._strays, self._encoder() - PITCH_COUNTS // 2)
        if taken:
            self._left(serial, Bin.HAND, None)

    def second_edge(self) -> None:
        """The light barrier gives an edge without a new part: a hole in the part, a loose connector."""
        with self._lock:
            encoder = self._encoder()
        self._barrier_edge(encoder, 0)

    def _barrier_edge(self, at_counts: int, serial: int) -> bool:
        """True when it went to the cameras and all of them heard it."""
        # The PLC first: were this thread held up between the two, the camera could take an id that is latched only now
        # and the PLC would take the edge for one that came after the latch.
        with self._lock:
            self._barriers.append(self._wheel.at(at_counts))
            self._triggers += self._trigger_by_barrier
        if not self._trigger_by_barrier:
            return False
        edge_ns = time.monotonic_ns()  # one wire for all cameras, even if this thread is held up between them
        heard = [scene.pulse_line1(edge_ns) for scene in self._scenes]
        if not all(heard):
            self._events.emit("unseen", part_id=serial)
        return all(heard)

    def _was_exposed(self, serial: int) -> bool:
        try:
            exposures = [scene.exposure() for scene in self._scenes]
            self._camera_missed = max(exposure.missed_triggers for exposure in exposures)
            return all(exposure.part_number == serial for exposure in exposures)
        except SceneError:  # the camera process died while it wrote down what it took
            return False

    def _left(self, serial: int, end: Bin, error_counts: int | None) -> None:
        self._events.emit(
            "part",
            part_id=serial,
            truth=self._truth.get(serial, STRAY),
            bin=end.value,
            fired_error_counts=error_counts,
            belt_waited_s=round(self._waited_s, 3),
            triggers=self._triggers,
            camera_missed=self._camera_missed,
        )
