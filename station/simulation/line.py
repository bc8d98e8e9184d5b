"""The simulated line: belt, sensors, camera scene, PLC and ejector, on the real clock.

The line is told over standard input how many parts may come and tells over standard output what happened, one JSON
object a line. When standard input closes, it ends: a line never outlives the demo that started it.

    in   {"command": "feed", "parts": 60}
    out  {"event": "ready", "environment": {...}}          the scene exists; variables for the camera process
         {"event": "plc", "connected": ..., "trigger_ready": ..., "fault": ...}               when one of them changes
         {"event": "part", "part_id": 1, "truth": ..., "bin": ..., "fired_error_counts": ...} a part has left the belt
         {"event": "judgement", "part_id": 1, "passed": ..., "why": ...}                      what the PLC did with it
         {"event": "unseen", "part_id": 1}                 no camera process listened when the light barrier pulsed
         {"event": "unexposed", "part_id": 1}              it left the camera's view before an exposure
         {"event": "misfire", "at_counts": ...}            the ejector fired and nothing was in front of it
         {"event": "fault", "kind": ...}                   the PLC begins to misbehave as the plan asks it to

Three threads, as in a real line: the belt moves, the PLC scans every 5 ms, and its communication module exchanges the
process image with the station. A station that hangs holds up the third and never the ejector. A real PLC scans in hard
real time and this process does not: when the system holds up the scan, the belt waits for it (`belt_waited_s`).
"""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from drivers.camera.simtl import Scene, SceneError
from station.simulation.belt import Belt, Bin, Layout, Passage, Place
from station.simulation.faults import Misbehaviour, Wire
from station.simulation.images import Pixels
from station.simulation.plan import LinePlan, PlannedPart
from station.simulation.plc import Control, FieldInputs, PlcProgram, PlcSettings, StationStatus, TriggerMode
from station.simulation.plc_link import StationLink

SCAN_S = 0.005
BELT_STEP_S = 0.001
BELT_LEAD_S = 0.010
"""The belt never runs further ahead of the PLC's last scan, nor further in one step."""
PARTS_AHEAD = 8
"""Pictures that are drawn or read before their part is put on the belt."""


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


class Field:
    """The wires between belt and PLC, and what happens in front of the camera."""

    def __init__(self, plan: LinePlan, scene: Scene, events: Events) -> None:
        self.layout = Layout.for_rate(plan.rate_per_s, plan.transit_s)
        self._trigger_by_barrier = plan.trigger is TriggerMode.LINE
        self._truth = {part.serial: part.truth for part in plan.parts}
        self._scene = scene
        self._events = events
        self._lock = threading.Lock()
        self._belt = Belt(self.layout)
        self._moved_s = time.monotonic()
        self._belt_s = 0.0
        """How long the belt has run: the clock, less the time that it waited."""
        self._scanned_belt_s = 0.0
        self._waited_s = 0.0
        self._entries: list[int] = []
        self._barriers: list[int] = []
        self._ejector = False
        self._triggers = 0
        """Edges of the light barrier that went to the camera."""
        self._camera_missed = 0
        """Of them, those that the camera could not take: still exposing, or all frame stores full."""
        self._pictures: dict[int, Pixels] = {}
        self._empty_belt = np.zeros(plan.canvas.shape, np.uint8)

    def _encoder(self) -> int:
        return int(self._belt_s * self.layout.speed_counts_per_s)

    def has_room(self) -> bool:
        with self._lock:
            return self._belt.has_room(self._encoder())

    def put_on(self, part: PlannedPart, picture: Pixels) -> None:
        with self._lock:
            self._pictures[part.serial] = picture
            self._belt.put_on(part.serial, self._encoder())

    def move(self) -> None:
        """Moves the belt by the time that has passed. Called by the belt's thread only."""
        now_s = time.monotonic()
        with self._lock:
            passed_s, self._moved_s = now_s - self._moved_s, now_s
            step_s = max(0.0, min(passed_s, BELT_LEAD_S, self._scanned_belt_s + BELT_LEAD_S - self._belt_s))
            self._belt_s += step_s
            self._waited_s += passed_s - step_s
            passages = self._belt.advance(self._encoder())
        for passage in passages:
            self._pass(passage)

    def sample(self) -> FieldInputs:
        """The PLC's inputs: encoder and the edges since the last scan."""
        with self._lock:
            self._scanned_belt_s = self._belt_s
            inputs = FieldInputs(self._encoder(), tuple(self._entries), tuple(self._barriers))
            self._entries.clear()
            self._barriers.clear()
        return inputs

    def set_ejector(self, level: bool) -> None:
        """The PLC's output. At its rising edge the part in front of the ejector goes to the reject bin."""
        with self._lock:
            rising = level and not self._ejector
            self._ejector = level
            encoder = self._encoder()
            ejection = self._belt.fire_ejector(encoder) if rising else None
        if ejection is not None:
            self._left(ejection.serial, Bin.REJECT, ejection.error_counts)
        elif rising:
            self._events.emit("misfire", at_counts=encoder)

    def _pass(self, passage: Passage) -> None:
        serial = passage.serial
        match passage.place:
            case Place.ENTRY:
                with self._lock:
                    self._entries.append(passage.at_counts)
            case Place.INTO_VIEW:
                self._scene.show(self._pictures.pop(serial), serial)
            case Place.BARRIER:
                self._barrier_edge(passage.at_counts, serial)
            case Place.OUT_OF_VIEW:
                if not self._was_exposed(serial):
                    self._events.emit("unexposed", part_id=serial)
                self._scene.show(self._empty_belt)
            case Place.PAST_EJECTOR:
                self._left(serial, Bin.GOOD, None)

    def second_edge(self) -> None:
        """The light barrier gives an edge without a new part: a hole in the part, a loose connector."""
        with self._lock:
            encoder = self._encoder()
        self._barrier_edge(encoder, 0)

    def _barrier_edge(self, at_counts: int, serial: int) -> None:
        # The PLC first: were this thread held up between the two, the camera could take an id that is latched only now
        # and the PLC would take the edge for one that came after the latch.
        with self._lock:
            self._barriers.append(at_counts)
            self._triggers += self._trigger_by_barrier
        if self._trigger_by_barrier and not self._scene.pulse_line1():
            self._events.emit("unseen", part_id=serial)

    def _was_exposed(self, serial: int) -> bool:
        try:
            exposure = self._scene.exposure()
            self._camera_missed = exposure.missed_triggers
            return exposure.part_number == serial
        except SceneError:  # the camera process died while it wrote down what it took
            return False

    def _left(self, serial: int, end: Bin, error_counts: int | None) -> None:
        self._events.emit(
            "part",
            part_id=serial,
            truth=self._truth[serial],
            bin=end.value,
            fired_error_counts=error_counts,
            belt_waited_s=round(self._waited_s, 3),
            triggers=self._triggers,
            camera_missed=self._camera_missed,
        )


class Feeder:
    """Puts the parts of the plan on the belt, as many as were allowed, one pitch apart."""

    def __init__(self, plan: LinePlan, field: Field) -> None:
        self._canvas = plan.canvas
        self._coming = deque(plan.parts)
        self._field = field
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._ready: deque[tuple[PlannedPart, Future[Pixels]]] = deque()
        self._allowed = 0
        self._prepare()

    def allow(self, parts: int) -> None:
        self._allowed += parts

    def step(self) -> None:
        """Puts a part on the belt when one is due."""
        if self._allowed and self._ready and self._ready[0][1].done() and self._field.has_room():
            part, picture = self._ready.popleft()
            self._allowed -= 1
            self._field.put_on(part, picture.result())
            self._prepare()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _prepare(self) -> None:
        while self._coming and len(self._ready) < PARTS_AHEAD:
            part = self._coming.popleft()
            self._ready.append((part, self._pool.submit(part.pixels, self._canvas)))


class Plc:
    """Runs the PLC program: one thread scans, one talks to the station."""

    def __init__(self, plan: LinePlan, field: Field, events: Events, stop: threading.Event) -> None:
        layout = field.layout
        self._program = PlcProgram(
            PlcSettings(
                entry_to_barrier_counts=layout.barrier_counts - layout.entry_counts,
                barrier_to_ejector_counts=layout.barrier_to_ejector_counts,
                trigger=plan.trigger,
            )
        )
        self._link = StationLink(plan.plc_host, plan.plc_port, plan.plc_unit)
        self._field = field
        self._events = events
        self._stop = stop
        self._misbehaviour = Misbehaviour(plan.faults, plan.trigger, plan.seed)
        self._status: StationStatus | None = None
        self._output = (Control(), Wire(Control()))
        """What the program wants to write, and what is written: one object, because two threads share it."""

    def scan_forever(self) -> None:
        told: dict[str, bool] = {}
        while not self._stop.is_set():
            started_s = time.monotonic()
            status = self._status  # before the sensors: a result never seems to come before its part
            inputs = self._field.sample()
            outputs = self._program.scan(started_s, inputs, status)
            self._field.set_ejector(outputs.ejector)
            self._write(started_s, inputs, outputs.control)
            for judgement in outputs.judgements:
                self._events.emit(
                    "judgement",
                    part_id=judgement.part_id,
                    passed=judgement.passed,
                    why=judgement.why,
                    result=judgement.result.name,
                    result_after_s=judgement.result_after_s,
                    unmatched_results=self._program.unmatched_results,
                    results_read={result.name: count for result, count in self._program.results_read.items()},
                )
            tell = {
                "connected": status is not None,
                "trigger_ready": status is not None and status.trigger_ready,
                "fault": status is not None and status.fault,
            }
            if tell != told:
                self._events.emit("plc", **tell)
                told = tell
            time.sleep(max(0.0, started_s + SCAN_S - time.monotonic()))

    def _write(self, now_s: float, inputs: FieldInputs, control: Control) -> None:
        """Hands the outputs to the communication module, through whatever is wrong with this PLC."""
        begun = self._misbehaviour.begun.copy()
        wire = self._misbehaviour.alter(now_s, len(inputs.entries), len(inputs.barriers), control)
        if wire.second_edge:
            self._field.second_edge()
        self._output = (control, wire)
        for kind in (self._misbehaviour.begun - begun).elements():
            self._events.emit("fault", kind=kind.value)

    def talk_forever(self) -> None:
        written: Control | None = None
        while not self._stop.is_set():
            started_s = time.monotonic()
            meant, wire = self._output
            if wire.connected:
                status = self._link.read(started_s)
                # the program must not see that something else was written than it wanted
                self._status = status and replace(status, written=written or status.written)
                meant, wire = self._output
                if self._link.write(wire.control, time.monotonic()):
                    written = meant
            else:
                self._link.close()
                self._status = None
            written = written if self._link.is_open else None
            time.sleep(max(0.001, started_s + SCAN_S - time.monotonic()))
        self._link.write(Control(), time.monotonic())  # TriggerEnable falls: the line is stopped
        self._link.close()


def _then_stop(loop: Callable[[], None], stop: threading.Event) -> Callable[[], None]:
    """A thread that ends, for whatever reason, ends the line."""

    def body() -> None:
        try:
            loop()
        finally:
            stop.set()

    return body


def _obey(commands: int, feeder: Feeder, stop: threading.Event) -> None:
    """Reads commands until the other side closes. A plain read would not notice `stop`."""
    pending = b""
    while not stop.is_set():
        if not select.select([commands], [], [], 0.1)[0]:
            continue
        data = os.read(commands, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if command["command"] == "feed":
                feeder.allow(int(command["parts"]))


def run(plan: LinePlan, commands: int, output: TextIO, stop: threading.Event) -> None:
    """Runs the line until `commands` (a file descriptor) closes or `stop` is set."""
    events = Events(output, stop)
    canvas = plan.canvas
    with Scene(Path(plan.scene_prefix), canvas.width_px, canvas.height_px, canvas.channels) as scene:
        field = Field(plan, scene, events)
        feeder = Feeder(plan, field)
        plc = Plc(plan, field, events, stop)

        threads = [
            threading.Thread(target=_then_stop(loop, stop), name=name)
            for name, loop in (
                ("plc-scan", plc.scan_forever),
                ("plc-link", plc.talk_forever),
                ("commands", lambda: _obey(commands, feeder, stop)),
            )
        ]
        events.emit("ready", environment=scene.environment())
        for thread in threads:
            thread.start()
        try:
            while not stop.is_set():
                field.move()
                feeder.step()
                time.sleep(BELT_STEP_S)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            feeder.close()
