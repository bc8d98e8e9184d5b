"""The simulated line: belt, sensors, camera scene, PLC and ejector, on the real clock.

The line reads from standard input how many parts may come and reports on standard output what happened, one JSON
object a line. When standard input closes, it ends: a line never outlives the demo that started it.

    in   {"command": "feed", "parts": 60}
         {"command": "misbehave", "kind": "late-ack"}      the PLC begins one of `faults.FaultKind`
         {"command": "camera", "kind": "dropped", "frames": 1}   one of `faults.CameraFault`
         {"command": "sabotage", "kind": "taken-off"}      one of `ejector.BeltFault` happens to the next part
    out  {"event": "ready", "environment": {...}}          the scene exists; variables for the camera process
         {"event": "plc", "connected": ..., "trigger_ready": ..., "recipe": ..., ...}         when one of them changes
         {"event": "part", "part_id": 1, "truth": ..., "bin": ..., "fired_error_counts": ...} a part has left the belt
         {"event": "judgement", "part_id": 1, "passed": ..., "why": ...}                      what the PLC did with it
         {"event": "unseen", "part_id": 1}                 no camera process listened when the light barrier pulsed
         {"event": "unexposed", "part_id": 1}              it left the camera's view before an exposure
         {"event": "misfire", "at_counts": ...}            the ejector fired and nothing was in front of it
         {"event": "fault", "kind": ...}                   the PLC or a camera begins to misbehave as asked
         {"event": "fault_not_taken", "kind": ..., "why": ...}    no camera process is there

Three threads, as in a real line: the belt moves, the PLC scans every 5 ms (ten times from part to part, where they come
faster than 20 parts/s), and its communication module exchanges the process image with the station. A station that hangs
holds up the third and never the ejector. A real PLC scans in hard real time and this process does not: when the system
holds up the scan, the belt waits for it (`belt_waited_s`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from drivers.camera.simtl import Scene
from station.simulation.parts.pictures import Pixels
from station.simulation.parts.schedule import INSPECT, LineSchedule, ScheduledPart
from station.simulation.plant.batch_commands import BatchCommands
from station.simulation.plant.ejector import BeltFault, EjectBy
from station.simulation.plant.faults import CameraFault, FaultKind, Misbehaviour, Wire
from station.simulation.plant.field import Events, Field
from station.simulation.plant.plc import PlcProgram, PlcSettings
from station.simulation.plant.plc_link import StationLink
from station.simulation.plant.plc_signals import Control, FieldInputs, StationStatus
from station.simulation.plant.recipe_change import RecipeChange

BELT_STEP_S = 0.001
PARTS_AHEAD = 8
"""Pictures that are drawn or read before their part is put on the belt."""
BELT_WAIT_S = 1.0
"""Longest time a fast belt waits before the camera for the station; then the part passes uninspected."""
FAST_PARTS_AHEAD = 600
"""Where parts come faster than pictures can be drawn: all that there are, in the order of the parts."""


class Feeder:
    """Puts the parts of the schedule on the belt, as many as were allowed, one pitch apart."""

    def __init__(self, schedule: LineSchedule, field: Field, recipe: RecipeChange, batch: BatchCommands) -> None:
        self._schedule = schedule
        self._recipe = recipe
        self._batch = batch
        self._coming = deque(schedule.parts)
        self._field = field
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._ready: deque[tuple[ScheduledPart, Future[tuple[Pixels, ...]]]] = deque()
        self._allowed = 0
        self._drawn: dict[ScheduledPart, tuple[Pixels, ...]] = {}
        """Where pictures are shown again and again."""
        self._waits_for_pictures = schedule.is_fast
        self._prepare()

    def allow(self, parts: int) -> None:
        self._allowed += parts

    def step(self) -> None:
        """Puts a part on the belt when one is due."""
        if not self._ready and not self._coming and self._field.all_past_camera():
            self._batch.is_over = True
        if not self._batch.parts_may_come:
            return
        if not (self._allowed and self._ready and self._ready[0][1].done() and self._field.has_room()):
            return
        if self._waits_for_pictures and self._ready[0][0].phase == INSPECT:
            self._waits_for_pictures = not all(pictures.done() for _, pictures in self._ready)
            return
        recipe = self._ready[0][0].recipe
        if recipe and recipe != self._recipe.wanted and self._field.all_past_camera():
            self._recipe.wanted = recipe
        if recipe in (0, self._recipe.selected):
            part, pictures = self._ready.popleft()
            self._allowed -= 1
            self._field.put_on(part, pictures.result())
            self._prepare()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _prepare(self) -> None:
        while self._coming and len(self._ready) < self._ahead(self._coming[0]):
            part = self._coming.popleft()
            self._ready.append((part, self._pool.submit(self._pictures, part)))

    def _ahead(self, part: ScheduledPart) -> int:
        return FAST_PARTS_AHEAD if self._schedule.is_fast and part.phase == INSPECT else PARTS_AHEAD

    def _pictures(self, part: ScheduledPart) -> tuple[Pixels, ...]:
        if not self._schedule.is_fast:
            return self._schedule.pictures(part)
        alike = replace(part, serial=part.serial % self._schedule.cameras)
        if alike not in self._drawn:
            self._drawn[alike] = self._schedule.pictures(part)
        return self._drawn[alike]


class Plc:
    """Runs the PLC program: one thread scans, one talks to the station."""

    def __init__(
        self,
        schedule: LineSchedule,
        field: Field,
        recipe: RecipeChange,
        batch: BatchCommands,
        *,
        events: Events,
        stop: threading.Event,
    ) -> None:
        layout = field.layout
        self._program = PlcProgram(
            PlcSettings(
                entry_to_barrier_counts=layout.barrier_counts - layout.entry_counts,
                barrier_to_ejector_counts=layout.barrier_to_ejector_counts,
                trigger=schedule.trigger,
                station_tracks=schedule.eject_by is not EjectBy.PLC,
                clear_fault_after_s=schedule.clear_fault_after_s,
                holds_belt_s=BELT_WAIT_S if schedule.is_fast else 0.0,
            ),
            recipe=recipe,
            batch=batch,
        )
        self._station_fires = schedule.eject_by is not EjectBy.CAMERA
        self._link = StationLink(schedule.plc_host, schedule.plc_port, schedule.plc_unit)
        self._field = field
        self._events = events
        self._stop = stop
        self._misbehaviour = Misbehaviour(schedule.faults, schedule.trigger, schedule.seed)
        self._status: StationStatus | None = None
        self._scan_s = schedule.scan_s
        self._output = (Control(), Wire(Control()))
        """What the program wants to write, and what is written: one object, because two threads share it."""

    def misbehave(self, kind: FaultKind) -> None:
        """Begins at the next scan."""
        self._misbehaviour.ask(kind)

    def scan_forever(self) -> None:
        reported: dict[str, bool | int] = {}
        while not self._stop.is_set():
            started_s = time.monotonic()
            status = self._status  # before the sensors: a result never seems to come before its part
            inputs = self._field.sample()
            outputs = self._program.scan(started_s, inputs, status)
            self._field.run_belt(outputs.belt_runs)
            if self._station_fires:
                self._field.set_ejector(outputs.ejector)
            self._write(started_s, inputs, outputs.control)
            self._field.scanned()
            for judgement in outputs.judgements:
                self._events.emit(
                    "judgement",
                    part_id=judgement.part_id,
                    passed=judgement.passed,
                    why=judgement.why,
                    result=judgement.result.name,
                    result_after_s=judgement.result_after_s,
                    at_barrier_s=judgement.at_barrier_s,
                    id_given=judgement.id_given,
                    unmatched_results=self._program.unmatched_results,
                    withdrawn_while_read=self._program.withdrawn_while_read,
                    faults_cleared=self._program.faults_cleared,
                    results_read={result.name: count for result, count in self._program.results_read.items()},
                )
            state = {
                "connected": status is not None,
                "trigger_ready": status is not None and status.trigger_ready,
                "fault": status is not None and status.fault,
                "line_stop": status is not None and status.line_stop,
                "recipe": self._program.recipe.selected,
                "recipe_refused": self._program.recipe.refused,
                "batch_refused": self._program.batch.refused,
                "batch_ended": self._program.batch.ended,
            }
            if state != reported:
                self._events.emit("plc", **state)
                reported = state
            time.sleep(max(0.0, started_s + self._scan_s - time.monotonic()))

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
                    self._field.encoder_sent(meant.encoder_now)
            else:
                self._link.close()
                self._status = None
            written = written if self._link.is_open else None
            time.sleep(max(self._scan_s / 5, started_s + self._scan_s - time.monotonic()))
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


def _obey(commands: int, feeder: Feeder, field: Field, plc: Plc, stop: threading.Event) -> None:
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
            elif command["command"] == "sabotage":
                field.sabotage(BeltFault(command["kind"]))
            elif command["command"] == "misbehave":
                plc.misbehave(FaultKind(command["kind"]))
            elif command["command"] == "camera":
                field.fail_camera(CameraFault(command["kind"]), int(command["frames"]))


def run(schedule: LineSchedule, commands: int, output: TextIO, stop: threading.Event) -> None:
    """Runs the line until `commands` (a file descriptor) closes or `stop` is set."""
    events = Events(output, stop)
    if schedule.is_fast:
        sys.setswitchinterval(schedule.scan_s / 5)  # four threads share the interpreter, and none may wait for a scan
    with contextlib.ExitStack() as stack:
        scenes = [stack.enter_context(_scene(schedule, device)) for device in range(schedule.cameras)]
        field = Field(schedule, scenes, events)
        recipe = RecipeChange()
        batch = BatchCommands(schedule.batch)
        feeder = Feeder(schedule, field, recipe, batch)
        plc = Plc(schedule, field, recipe, batch, events=events, stop=stop)

        threads = [
            threading.Thread(target=_then_stop(loop, stop), name=name)
            for name, loop in (
                ("plc-scan", plc.scan_forever),
                ("plc-link", plc.talk_forever),
                ("commands", lambda: _obey(commands, feeder, field, plc, stop)),
            )
        ]
        events.emit("ready", environment=scenes[0].environment(schedule.cameras))
        for thread in threads:
            thread.start()
        try:
            while not stop.is_set():
                field.move()
                feeder.step()
                time.sleep(min(BELT_STEP_S, schedule.scan_s))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            feeder.close()


def _scene(schedule: LineSchedule, device: int) -> Scene:
    canvas = schedule.canvas
    return Scene(Path(schedule.scene_prefix), canvas.width_px, canvas.height_px, canvas.channels, device=device)
