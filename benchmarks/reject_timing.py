"""How exactly the station pushes: jitter of the ejector pulse against the part's true position.

    python -m benchmarks.reject_timing [--parts 150] [--speed 4000] [--json FILE]

The real daemon with the software camera; belt, encoder and PLC are this process and its clock: the true position of a
part is speed times the time since its trigger, as the camera took it. Measured is where the part is when the output
rises, against the place of the ejector, for each way of knowing where the belt is and of driving the ejector:

    encoder  plc      EncoderNow, written by a PLC with a scan of 5 ms     camera   EncoderValue of the camera
             time     no encoder
    output   bit      Ejector1, as seen by a client that reads it without a pause
             line     an output line of the camera (exact: the camera notes the time)

once as the machine is, and once with a process beside it that keeps one core busy. A mean is a matter of `lead_ms`;
what cannot be adjusted away is the spread. p99 is that of the distance from the median. A stand-in engine is used: the
engine has no part in this. What stands for hardware runs with real-time priority where the system allows it, the
station does not. Other load on the machine shows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyModbusTCP.client import ModbusClient

from drivers.camera.simtl import Scene
from station.simulation.run.processes import StationProcess, stopped_in_order
from station.simulation.run.workspace import prepare
from tests.bench.engines.small_engine import write_small_engine

WIDTH, HEIGHT = 160, 128
PART_EVERY_S, TRANSIT_S, WINDOW_S, PULSE_S = 0.3, 0.6, 0.15, 0.1
SCAN_S = 0.005
TRIGGER_ENABLE, ENCODER_NOW, TRIGGER_READY, EJECTOR1 = 0, 8, 1, 20
WAYS = (("plc", "bit"), ("plc", "line"), ("camera", "line"), ("time", "bit"), ("time", "line"))


@dataclass
class Belt:
    """Runs at a constant speed, so the truth is a matter of the clock."""

    speed: float
    start_ns: int

    def counts(self, time_ns: int) -> int:
        return int((time_ns - self.start_ns) * self.speed / 1e9)


def configuration(port: int, encoder: str, output: str, speed: float) -> str:
    def length(seconds: float) -> str:
        return f"ms = {seconds * 1000}" if encoder == "time" else f"counts = {round(seconds * speed)}"

    return f"""
[station]
work_dir = "."
[cameras.top]
producer = "simtl"
pixel_format = "Mono8"
exposure_time_us = 500.0
[engine]
path = "engine"
threads = 1
[plc]
port = {port}
heartbeat_timeout_s = 0.0
[records]
pass_image_share = 0.0
[log]
level = "error"
[reject]
by = "station"
encoder = "{encoder}"
window_{length(WINDOW_S)}
[[reject.ejectors]]
distance_{length(TRANSIT_S)}
pulse_ms = {PULSE_S * 1000}
output = "{"camera" if output == "line" else "plc"}"
"""


class Plc:
    """Writes the encoder every 5 ms, as a PLC does."""

    def __init__(self, port: int, belt: Belt, scene: Scene) -> None:
        self._client = ModbusClient("127.0.0.1", port)
        self._belt = belt
        self._scene = scene
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plc")

    def __enter__(self) -> Plc:
        self._client.write_single_coil(TRIGGER_ENABLE, True)
        while not (self._client.read_discrete_inputs(TRIGGER_READY, 1) or [False])[0]:
            time.sleep(0.05)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        as_hardware()
        due = time.perf_counter()
        while not self._stop.is_set():
            count = self._belt.counts(time.monotonic_ns())
            self._scene.set_encoder(count)
            self._client.write_multiple_registers(ENCODER_NOW, [count >> 16 & 0xFFFF, count & 0xFFFF])
            due += SCAN_S
            time.sleep(max(0.0, due - time.perf_counter()))


class CameraEncoder:
    """The encoder wired to the camera moves all the time, not once a scan."""

    def __init__(self, belt: Belt, scene: Scene) -> None:
        self._belt, self._scene = belt, scene
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encoder")

    def __enter__(self) -> CameraEncoder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        as_hardware()
        while not self._stop.is_set():
            self._scene.set_encoder(self._belt.counts(time.monotonic_ns()))
            time.sleep(0.0005)


def as_hardware() -> None:
    """Real-time priority for the calling thread; what it starts is not concerned."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))


def rises(read: Any, count: int, until_s: float) -> list[int]:
    """Times at which a level rose; `read` gives (level, time in ns)."""
    found: list[int] = []
    level = False
    while len(found) < count and time.perf_counter() < until_s:
        now, time_ns = read()
        if now and not level:
            found.append(time_ns)
        level = now
    return found


def measure(encoder: str, output: str, parts: int, speed: float, folder: Path) -> dict[str, Any]:
    """One run; errors in ms, at the given speed."""
    workspace = prepare(folder)
    write_small_engine(workspace.engine, width=WIDTH, height=HEIGHT)
    port = 20000 + os.getpid() % 20000
    workspace.configuration.write_text(configuration(port, encoder, output, speed))
    bad = np.full((HEIGHT, WIDTH), 64, np.uint8)
    bad[40:72, 40:72] = 220
    triggers: list[int] = []
    with Scene(workspace.scene_prefix, WIDTH, HEIGHT, 1) as scene:
        belt = Belt(speed, time.monotonic_ns())
        scene.show(bad)
        with StationProcess(
            workspace.configuration, workspace.control_socket, workspace.station_log, scene.environment()
        ) as station:
            station.wait_ready()
            reader = ModbusClient("127.0.0.1", port)

            def bit() -> tuple[bool, int]:
                bits = reader.read_discrete_inputs(EJECTOR1, 1)
                time.sleep(0.0002)
                return bool(bits and bits[0]), time.monotonic_ns()

            def line() -> tuple[bool, int]:
                time.sleep(0.005)
                state = scene.output("Line2")
                return state.level, state.changed_ns

            def feed() -> None:
                as_hardware()
                for _ in range(parts):
                    scene.pulse_line1()
                    time.sleep(0.02)
                    triggers.append(scene.exposure().trigger_ns)
                    time.sleep(PART_EVERY_S - 0.02)

            with Plc(port, belt, scene), CameraEncoder(belt, scene):
                time.sleep(0.5)
                feeder = threading.Thread(target=feed, name="feeder")
                feeder.start()
                until_s = time.perf_counter() + parts * PART_EVERY_S * 1.5 + 10
                with ThreadPoolExecutor(1, initializer=as_hardware) as observer:
                    pushed = observer.submit(rises, bit if output == "bit" else line, parts, until_s).result()
                feeder.join()
            reader.close()
            status = station.status()
    if len(pushed) != parts or len(set(triggers)) != parts:
        raise SystemExit(f"{encoder}, {output}: {without_pulse(triggers, pushed)}\n{json.dumps(status, indent=1)}")
    late_ms = [(at - trigger) / 1e6 - TRANSIT_S * 1000 for trigger, at in zip(triggers, pushed, strict=True)]
    return spread(late_ms, speed)


def without_pulse(triggers: list[int], pushed: list[int]) -> str:
    """Which parts were not pushed, for whoever has to find out why."""
    taken = sorted(set(triggers))
    due = [trigger + TRANSIT_S * 1e9 for trigger in taken]
    missing = [n for n, at in enumerate(due) if not any(abs(at - time) < PART_EVERY_S * 5e8 for time in pushed)]
    return f"{len(triggers)} parts, {len(taken)} exposures, {len(pushed)} pulses, none for the exposures {missing}"


def spread(late_ms: list[float], speed: float) -> dict[str, Any]:
    values = np.array(late_ms)
    away = np.abs(values - np.median(values))
    in_ms = {
        "median": float(np.median(values)),
        "p50": float(np.percentile(away, 50)),
        "p99": float(np.percentile(away, 99)),
        "max": float(away.max()),
    }
    return {
        "ms": {name: round(value, 3) for name, value in in_ms.items()},
        "counts": {name: round(value * speed / 1000, 1) for name, value in in_ms.items()},
    }


def burn() -> None:
    while True:
        sum(range(10_000))


@contextmanager
def busy_core() -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=burn, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=150)
    parser.add_argument("--speed", type=float, default=4000.0, help="of the belt, in counts/s")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    print(f"{options.parts} parts at {options.speed:g} counts/s; away from the median, p50 and p99")
    for load in ("alone", "one core busy"):
        for encoder, output in WAYS:
            with tempfile.TemporaryDirectory(prefix="reject-") as folder:
                if load == "alone":
                    found = measure(encoder, output, options.parts, options.speed, Path(folder) / "w")
                else:
                    with busy_core():
                        found = measure(encoder, output, options.parts, options.speed, Path(folder) / "w")
            report.setdefault(load, {})[f"{encoder}, {output}"] = found
            ms, counts = found["ms"], found["counts"]
            print(
                f"{load:<14} encoder {encoder:<7} output {output:<5} median {ms['median']:+6.2f} ms"
                f"   p50 {ms['p50']:5.2f} ms {counts['p50']:5.1f} counts"
                f"   p99 {ms['p99']:5.2f} ms {counts['p99']:5.1f} counts   max {ms['max']:5.2f} ms",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    with stopped_in_order():
        sys.exit(main())
