"""Why a shadow is a process: how late a thread of the line runs beside an engine in a thread, and in a process, of the
lowest priority.

    python -m benchmarks.shadow_thread [--engine DIR] [--seconds 20] [--rounds 4] [--json FILE]

A thread like that of signalling wakes every 5 ms and works for half a millisecond in Python; measured is how late it
is done. In turn: alone, beside an engine in a SCHED_IDLE thread, beside one in a SCHED_IDLE process. Another process
keeps one core busy, as a camera process or the engine of the line does.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engines.engine import open_engine
from station.daemon.daemon import GIL_SWITCH_S
from tests.bench.engines.small_engine import write_small_engine

WAKES_S, WORK_S = 0.005, 0.0005
QUANTILES = (50, 99, 99.9)


def _give_way() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _score(engine: Path, ends: Callable[[], bool]) -> None:
    _give_way()
    with open_engine(engine, threads=1) as loaded:
        spec = loaded.manifest.input
        picture = np.random.default_rng(0).integers(0, 255, (spec.height, spec.width, 3), np.uint8)
        while not ends():
            loaded.score(picture)


def _burn() -> None:
    while True:
        sum(range(1000))


@contextmanager
def _nothing(_engine: Path) -> Iterator[None]:
    yield


@contextmanager
def _thread(engine: Path) -> Iterator[None]:
    end = threading.Event()
    thread = threading.Thread(target=_score, args=(engine, end.is_set))
    thread.start()
    time.sleep(2.0)
    yield
    end.set()
    thread.join()


@contextmanager
def _process(engine: Path) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_score, args=(engine, bool), daemon=True)
    process.start()
    time.sleep(4.0)
    yield
    process.kill()
    process.join()


def late_ms(seconds: float) -> list[float]:
    """How much later than it should the thread has woken and worked, in ms."""
    found = []
    end = due = time.perf_counter()
    end += seconds
    while due < end:
        due += WAKES_S
        time.sleep(max(0.0, due - time.perf_counter()))
        until = time.perf_counter() + WORK_S
        while time.perf_counter() < until:
            pass
        found.append(1e3 * (time.perf_counter() - due - WORK_S))
        due = max(due, time.perf_counter() - WAKES_S)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sys.setswitchinterval(GIL_SWITCH_S)
    burning = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    burning.start()
    found: dict[str, list[float]] = {"alone": [], "thread": [], "process": []}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        engine = options.engine or write_small_engine(Path(folder) / "engine", width=512, height=512)
        for _ in range(options.rounds):
            for name, beside in (("alone", _nothing), ("thread", _thread), ("process", _process)):
                with beside(engine):
                    found[name] += late_ms(options.seconds)
    burning.kill()
    report: dict[str, Any] = {
        name: {f"p{q:g}": round(float(np.percentile(values, q)), 3) for q in QUANTILES} | {"max": round(max(values), 3)}
        for name, values in found.items()
    }
    report["load_before_after"] = [round(load, 2), round(os.getloadavg()[0], 2)]
    for name, value in report.items():
        print(f"{name:<20}", value)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
