"""What the station adds to its engine, from trigger to result, and how much of the engine's throughput is left.

    python benchmarks/line_path.py --engine DIR [--images DIR] [--parts 200] [--rate 4] [--limit-s 240] [--json FILE]

1. Overhead: the real daemon with the software camera (0.5 ms exposure) at a fixed rate, a PLC that polls it; per part,
   trigger to result minus the bare engine call, with the time of every step from the records. Every fourth part is
   defective. The simulated belt of the demo does not run: on two cores its pictures would cost the engine more than
   the line does.
2. Throughput: back-to-back triggers, a few in flight at a time, against the same engine called in a loop in this
   process, before and after, without anything else.

Both run on the machine as it is: other load shows. The goals (docs/decisions/0019-line-path-faster.md) are for 2 cores
that nothing else uses. Whatever ends the benchmark, the time limit or a signal, ends the station too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pyModbusTCP.client import ModbusClient

from drivers.camera.simtl import Scene
from engines.engine import open_engine
from station.line.inspection.loading import engine_threads
from station.records.parts import parts
from station.records.schema import open_reader
from station.simulation.parts.pictures import GOOD, Canvas, open_folder
from station.simulation.parts.rendered import render
from station.simulation.run.processes import StationProcess, stopped_in_order
from station.simulation.run.workspace import EXPOSURE_TIME_US, configuration, prepare

STEPS = ("received", "inspection_start", "engine_start", "engine_end", "decided", "signalled")
LOOP_S, THROUGHPUT_PARTS, IN_FLIGHT = 4.0, 300, 4
READY_S = 30.0
PLC_CYCLE_S = 0.005
TRIGGER_ENABLE, COUNTERS, COUNTER_REGISTERS = 0, 30, 12
GOALS = {"overhead_p50_ms": 2.2, "overhead_p99_ms": 3.5, "throughput_ratio": 0.93}


def percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 95, 99, 99.9)} | {
        "max": round(float(max(values)), 2)
    }


@contextmanager
def line(engine: Path, picture: np.ndarray, work: Path, threads: int) -> Iterator[tuple[Scene, ModbusClient]]:
    """The real daemon on a software camera, ready, with the PLC's connection. Nothing else runs."""
    workspace = prepare(work)
    height, width = picture.shape[:2]
    canvas = Canvas(width, height, 1 if picture.ndim == 2 else 3)
    port = 20000 + os.getpid() % 20000
    text = configuration(canvas, engine, port, trigger="line")
    text = text.replace(f"port = {port}", f"port = {port}\nheartbeat_timeout_s = 0.0")
    text = text.replace("[decision]", f"threads = {threads}\n\n[decision]") + '[log]\nlevel = "warning"\n'
    workspace.configuration.write_text(text)
    with Scene(workspace.scene_prefix, width, height, canvas.channels) as scene:
        scene.show(picture)
        with StationProcess(
            workspace.configuration, workspace.control_socket, workspace.station_log, scene.environment()
        ) as station:
            station.wait_ready()
            client = ModbusClient("127.0.0.1", port)
            client.write_single_coil(TRIGGER_ENABLE, True)
            wait_until_ready(station)
            yield scene, client
            client.close()


def wait_until_ready(station: StationProcess) -> None:
    """Raises SystemExit when the station takes no parts in time."""
    end = time.monotonic() + READY_S
    while not (status := station.status())["ready"]:
        if time.monotonic() > end:
            raise SystemExit(f"the station is not ready after {READY_S:g} s; offline: {status['offline_reason']}")
        time.sleep(0.05)


def overhead(  # noqa: PLR0917
    engine: Path, pictures: list[np.ndarray], count: int, rate: float, work: Path, threads: int
) -> dict[str, Any]:
    """Parts at a fixed rate, a PLC that polls the status block every 5 ms; the times of every part from the records.

    Pulses are rows, or lost, or refused by the camera, which takes none while it exposes (after a stall of this loop).
    """
    with line(engine, pictures[0], work, threads) as (scene, client):
        start = time.perf_counter()
        for index in range(count):
            scene.show(pictures[index % len(pictures)])
            scene.pulse_line1()
            while time.perf_counter() < start + (index + 1) / rate:
                counters(client)
                time.sleep(PLC_CYCLE_S)
        refused = scene.exposure().missed_triggers
    with open_reader(work / "records") as connection:
        recorded = list(parts(connection))
    rows = [row for row in recorded if row.engine_ms is not None]
    lost = count - refused - len(recorded)
    if lost or len(rows) != len(recorded):
        reasons = dict(Counter(row.reasons for row in recorded if row.engine_ms is None))
        raise SystemExit(
            f"of {count} pulses {refused} were refused by the camera and {lost} lost; not inspected: {reasons}"
        )
    times = {step: np.array([getattr(row.views[0], f"{step}_ms") for row in rows], float) for step in STEPS[:-1]}
    times["signalled"] = np.array([row.signalled_ms for row in rows], float)
    engine_ms = times["engine_end"] - times["engine_start"]
    steps, before = {}, np.zeros(len(rows))
    for step in STEPS:
        steps[step] = percentiles(list(times[step] - before))
        before = times[step]
    return {
        "parts": len(rows),
        "refused": refused,
        "lost": lost,
        "verdicts": dict(Counter(row.verdict for row in rows)),
        "overhead_ms": percentiles(list(times["signalled"] - engine_ms)),
        "engine_ms": percentiles(list(engine_ms)),
        "steps_ms": steps,
    }


def bare_loop(engine: Path, picture: np.ndarray, threads: int) -> float:
    """Scores per second of the engine alone."""
    with open_engine(engine, threads=threads) as loaded:
        for _ in range(5):
            loaded.score(picture)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < LOOP_S:
            loaded.score(picture)
            count += 1
        return count / (time.perf_counter() - start)


def counters(client: ModbusClient) -> tuple[int, int]:
    """(parts with a result, missed triggers) from the status block."""
    words = client.read_input_registers(COUNTERS, COUNTER_REGISTERS)
    assert words is not None, "the station does not respond"
    values = [words[at] << 16 | words[at + 1] for at in range(0, COUNTER_REGISTERS, 2)]
    return sum(values[1:5]), values[5]


def throughput(engine: Path, picture: np.ndarray, work: Path, threads: int) -> dict[str, Any]:
    """Triggers as fast as results come, with a few parts in flight."""
    before = bare_loop(engine, picture, threads)
    with line(engine, picture, work, threads) as (scene, client):
        sent = done = 0
        start = next_pulse = time.perf_counter()
        while done < THROUGHPUT_PARTS:
            while sent < THROUGHPUT_PARTS and sent - done < IN_FLIGHT:
                if scene.exposure().exposures < sent or time.perf_counter() < next_pulse:
                    break  # the sensor still exposes the last part
                scene.pulse_line1()
                sent += 1
                next_pulse = time.perf_counter() + 3 * EXPOSURE_TIME_US / 1e6
            time.sleep(PLC_CYCLE_S)
            done, missed = counters(client)
            missed += scene.exposure().missed_triggers
            if missed:
                raise SystemExit(f"{done} of {sent} parts have a result, {missed} triggers were missed")
        seconds = time.perf_counter() - start
    after = bare_loop(engine, picture, threads)
    bare, station = (before + after) / 2, THROUGHPUT_PARTS / seconds
    return {
        "bare_per_s": round(bare, 1),
        "bare_before_after": [round(before, 1), round(after, 1)],
        "line_per_s": round(station, 1),
        "ratio": round(station / bare, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--images", type=Path, help="MVTec layout; default: rendered parts")
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=0, help="of the engine; default: all cores but one")
    parser.add_argument("--limit-s", type=int, default=240, help="ends the run, and its station, after this time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    engine, threads = options.engine.resolve(), engine_threads(options.threads)  # the station runs in another folder
    if not (engine / "manifest.json").is_file():
        parser.error(f"--engine {options.engine}: not the folder of an engine (no manifest.json); see: station teach")
    try:
        with stopped_in_order(options.limit_s), tempfile.TemporaryDirectory(prefix="line-") as folder:
            pictures, work = pictures_for(options.images), Path(folder) / "station"
            load = os.getloadavg()[0]
            report = overhead(engine, pictures, options.parts, options.rate, work, threads)
            report["throughput"] = throughput(engine, pictures[0], work, threads)
            report["load_before_after"] = [round(load, 2), round(os.getloadavg()[0], 2)]
    except KeyboardInterrupt:
        raise SystemExit(f"stopped, or not finished within {options.limit_s} s (--limit-s)") from None
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{report['parts']} parts at {options.rate:g}/s, engine threads {threads}: {report['verdicts']}")
    for name in ("overhead_ms", "engine_ms"):
        print(f"{name:<18}", report[name])
    for step, values in report["steps_ms"].items():
        print(f"  to {step:<16}", values)
    print("throughput        ", report["throughput"])
    print("load of the machine, before and after", report["load_before_after"])
    reached = {
        "overhead_p50_ms": report["overhead_ms"]["p50"] <= GOALS["overhead_p50_ms"],
        "overhead_p99_ms": report["overhead_ms"]["p99"] <= GOALS["overhead_p99_ms"],
        "throughput_ratio": report["throughput"]["ratio"] >= GOALS["throughput_ratio"],
    }
    print(
        "goals             ", {name: f"{'reached' if ok else 'MISSED'} ({GOALS[name]})" for name, ok in reached.items()}
    )
    return 0 if all(reached.values()) else 1


def pictures_for(images: Path | None) -> list[np.ndarray]:
    """What the camera sees: three good parts, then a defective one; made before anything is measured."""
    if images is None:
        return [*(render(seed) for seed in range(3)), render(3, "scratch")]
    folder = open_folder(images)
    good = [image for image in folder.test if image.truth == GOOD][:3]
    return [folder.pixels(image) for image in (*good, next(i for i in folder.test if i.truth != GOOD))]


if __name__ == "__main__":
    sys.exit(main())
