"""The whole station on a bench: the real daemon, the software camera, and a PLC through an independent client.

The PLC of the bench has its own scan thread; it acknowledges every result and keeps it by part id, so a test says
`bench.part(picture)` and reads what the PLC would do with the part.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.camera.simtl import Scene
from drivers.camera.simtl.scene import SceneError
from engines.bundle.reading import read_bundle
from station.control import ControlError, request
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.records.sessions import count_parts
from station.results import PartCounts, Verdict
from station.simulation.run.processes import end_with_starter
from tests.bench.bench_plc import BenchPlc, PlcResult
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT
from tests.bench.ports import free_port
from tests.bench.waiting import DEADLINE_S, wait_for

WIDTH, HEIGHT = 160, 128
START_S = 120.0
"""A station starts two processes with large libraries, on a machine that is busy."""
EXPOSURE_S = 1.0
"""Longest wait for a software camera whose process is held up to take the picture that stands before it."""
Picture = NDArray[np.uint8]
ONE_CAMERA: Mapping[str, Mapping[str, Any]] = {"top": {}}


def good() -> Picture:
    """A part that the small engine passes."""
    return np.full((HEIGHT, WIDTH), 64, np.uint8)


def bad() -> Picture:
    """A part with a bright spot, which the small engine fails."""
    picture = good()
    picture[40:72, 40:72] = 220
    return picture


class Bench:
    """One station under test. Start it, send parts, break things, read the books."""

    def __init__(
        self,
        directory: Path,
        *,
        command: tuple[str, ...] = (),
        with_engine: bool = True,
        cameras: Mapping[str, Mapping[str, Any]] = ONE_CAMERA,
        **settings: Any,
    ) -> None:
        """`cameras`: their names and what differs in their configuration; `scale` makes a larger sensor,
        `channels` = 3 a scene in colours or of heights.
        """
        self.directory = directory
        self.port = free_port()
        self._cameras = {name: dict(differs) for name, differs in cameras.items()}
        scales = [int(camera.pop("scale", 1)) for camera in self._cameras.values()]
        channels = [int(camera.pop("channels", 1)) for camera in self._cameras.values()]
        self.scenes = {
            name: Scene(directory / "sim", WIDTH * scale, HEIGHT * scale, planes, device=device)
            for device, (name, scale, planes) in enumerate(zip(cameras, scales, channels, strict=True))
        }
        self.scene = next(iter(self.scenes.values()))
        self.config_path = directory / "station.toml"
        self.engine_path = directory / "engine"
        self._command = command or (sys.executable, "-m", "station", "run", "--config", str(self.config_path))
        if with_engine:
            write_small_engine(self.engine_path, width=WIDTH, height=HEIGHT)
        self.write_config(**settings)
        self.process: subprocess.Popen[bytes] | None = None
        self.plc = BenchPlc(self.port)
        self._next_part_id = 1000
        self._shown: Picture | None = None
        self._before_pulse = 0
        self._before = PartCounts()
        self._counters_before: dict[str, int] = {}
        self._rows_before = 0

    def write_config(self, **settings: Any) -> None:
        """Writes station.toml; `settings` are `section__key=value`, and None for a key that shall not be there."""
        sections: dict[str, dict[str, Any]] = {
            "station": {"work_dir": "work", "runtime_dir": "run", "deadline_ms": 4000, "engine_hang_s": 20.0},
            **{
                f"cameras.{name}": {
                    "producer": "simtl",
                    "serial_number": f"SIM{device:04d}" if len(self._cameras) > 1 else "",
                    "pixel_format": "Mono8",
                    "exposure_time_us": 500.0,
                    "no_frame_ms": 2000,
                    "reconnect_min_s": 0.1,
                    **differs,
                }
                for device, (name, differs) in enumerate(self._cameras.items())
            },
            "engine": {"path": "engine", "threads": 1, "probation_parts": 0},
            "plc": {} if settings.get("plc__transport") == "rtu" else {"port": self.port},
            "records": {"pass_image_share": 0.0},
        }
        for name, value in settings.items():
            section, key = name.rsplit("__", 1)
            sections.setdefault(section.replace("camera", "cameras.top"), {})[key] = value
        self.config_path.write_text(_toml(sections))

    def write_recipe(self, name: str, number: int, **settings: Any) -> Path:
        """Writes recipes/NAME.toml; `settings` as in `write_config`."""
        sections: dict[str, dict[str, Any]] = {}
        for key_path, value in settings.items():
            section, key = key_path.rsplit("__", 1)
            sections.setdefault(section.replace("camera", "cameras.top"), {})[key] = value
        path = self.directory / "recipes" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"number = {number}\n" + _toml(sections))
        return path

    def __enter__(self) -> Bench:
        self.plc.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.plc.stop()
        for scene in self.scenes.values():
            scene.close()
        if error is not None:
            print(self.log()[-6000:])  # noqa: T201  what the station said, for whoever reads the failure

    # ---- life ---------------------------------------------------------------------------------------------------

    def start(
        self, *, wait_ready: bool = True, environment: dict[str, str] | None = None, stderr: int | None = None
    ) -> None:
        """Starts the daemon; waits until the PLC sees TriggerReady. `stderr`: in place of the file of the log.

        It ends with the thread that calls this: a killed test leaves no station.
        """
        log = (self.directory / "station.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self._command,
                stderr=log if stderr is None else stderr,
                env=os.environ | self.scene.environment(len(self.scenes)) | (environment or {}),
                cwd=ROOT,
                preexec_fn=end_with_starter,  # noqa: PLW1509  one system call, no lock
            )
        if wait_ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Waits until the PLC sees TriggerReady."""
        wait_for(lambda: self.plc.ready, "TriggerReady", START_S)

    def reset(self) -> None:
        """The same station for another test: PLC and cameras as at the start, and books that begin here.

        It is started again where it has ended or does not become ready.
        """
        self.plc.reset()
        for scene in self.scenes.values():
            scene.restore_device()
            for disarm in (scene.fail_incomplete, scene.fail_dropped):
                with suppress(SceneError):  # no camera process is there that could have a fault of the test before
                    disarm(0)
        if self.process is not None and self.process.poll() is None:
            try:
                wait_for(lambda: self.plc.ready and self.settled(), "TriggerReady")
            except AssertionError:
                self.kill()
        if self.process is None or self.process.poll() is not None:
            self.start()
        wait_for(self._all_on_record, "the parts of the test before on record")
        self._before, self._counters_before, self._rows_before = PartCounts(), {}, 0
        self._before, self._counters_before, self._rows_before = self.counts(), self.counters(), len(self.rows())

    def terminate(self, timeout_s: float = DEADLINE_S) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        wait_for(lambda: self.plc.status is None, "the PLC to notice")

    def log(self) -> str:
        path = self.directory / "station.log"
        return path.read_text() if path.exists() else ""

    def restart_plc(self) -> None:
        """Another PLC takes over, with the results of the one before forgotten."""
        self.plc = BenchPlc(self.port)
        self.plc.start()

    # ---- parts --------------------------------------------------------------------------------------------------

    def send(self, picture: Picture, part_id: int | None = None) -> int:
        """A part passes the light barrier; its id, the next one unless it is given."""
        part_id = self.next_part_id() if part_id is None else part_id
        self.plc.latch(part_id)
        if self._shown is not None and not np.array_equal(picture, self._shown):
            with suppress(AssertionError):  # no camera takes it: that is what the test is about
                wait_for(lambda: self._taken() != self._before_pulse, "the exposure of the part before", EXPOSURE_S)
        self.scene.show(picture, part_id)
        self._shown, self._before_pulse = picture, self._taken()
        self.scene.pulse_line1()
        return part_id

    def _taken(self) -> int:
        """Triggers that the software camera has seen. Its process may be held up, and would expose the next picture."""
        state = self.scene.exposure()
        return state.exposures + state.missed_triggers

    def send_views(self, pictures: Mapping[str, Picture]) -> int:
        """A part passes the light barrier of these cameras, all at once; its id."""
        part_id = self.next_part_id()
        self.plc.latch(part_id)
        for name, picture in pictures.items():
            self.scenes[name].show(picture, part_id)
        edge_ns = time.monotonic_ns()  # one wire for all, even if this thread is held up between them
        for name in pictures:
            self.scenes[name].pulse_line1(edge_ns)
        return part_id

    def next_part_id(self) -> int:
        self._next_part_id += 1
        return self._next_part_id

    def part(self, picture: Picture, part_id: int | None = None) -> PlcResult:
        """Sends a part and waits for its one result."""
        part_id = self.send(picture, part_id)
        return self.result(part_id)

    def result(self, part_id: int) -> PlcResult:
        wait_for(lambda: part_id in self.plc.results, f"the result of part {part_id}")
        return self.plc.results[part_id][0]

    # ---- books --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        state: dict[str, Any] = request(self.directory / "work" / "control.sock", {"command": "status"})["status"]
        return state

    def settled(self) -> bool:
        try:
            return self.status()["in_flight"] == 0
        except ControlError:
            return False

    @property
    def engine_id(self) -> str:
        return read_bundle(self.engine_path).manifest.engine_id

    def counters(self) -> dict[str, int]:
        """What the station has counted since the last `reset`, or since it started."""
        counted: dict[str, int] = self.status()["counters"]
        return {name: count - self._counters_before.get(name, 0) for name, count in counted.items()}

    def rows(self) -> list[PartRow]:
        """The parts on record since the last `reset`."""
        with open_reader(self.directory / "work" / "records") as connection:
            return list(parts(connection))[self._rows_before :]

    def counts(self) -> PartCounts:
        """What is on record since the last `reset`."""
        with open_reader(self.directory / "work" / "records") as connection:
            every = count_parts(connection)
        return PartCounts(*(now - before for now, before in zip(astuple(every), astuple(self._before), strict=True)))

    def _all_on_record(self) -> bool:
        status = self.status()
        with open_reader(self.directory / "work" / "records") as connection:
            on_record = count_parts(connection, status["session"])
        counted = status["counters"]
        return (on_record.triggers, on_record.missed) == (counted["triggers"], counted["missed"])

    def assert_balanced(self, triggers: int | None = None) -> PartCounts:
        """Every trigger has exactly one verdict, on record; a PASS is only what was inspected and scored."""
        if triggers is not None:
            wait_for(lambda: self.counts().triggers >= triggers, f"{triggers} records")
        counts = self.counts()
        assert counts.triggers == counts.passed + counts.failed + counts.review + counts.error
        if triggers is not None:
            assert counts.triggers == triggers
        for row in self.rows():
            if row.verdict == "PASS" and not row.recovered:  # the journal keeps the verdict, not the score
                assert row.score is not None
                assert row.reject_score is not None
                assert row.score <= row.reject_score
        return counts


def assert_works(bench: Bench) -> None:
    """A good part passes and a bad one fails."""
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed
    failed = bench.part(bad())
    assert (failed.result, failed.passed, failed.reject) == (Verdict.FAIL, False, True)


def _toml(sections: dict[str, dict[str, Any]]) -> str:
    return "".join(
        f"[{section}]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if value is not None)
        + "\n"
        for section, keys in sections.items()
    )
