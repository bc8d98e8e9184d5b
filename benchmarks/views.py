"""What it brings to score the views of a part in one call of the engine instead of one after the other.

    python benchmarks/views.py --engine DIR [--views 2,3,4,8] [--threads 1,2] [--rounds 30] [--json FILE]

The same pictures both ways, in turn, so other work on the machine slows both alike. Ratio: one call for all against one
call each; below 1, batching is faster. `cpu` is processor time, which other work changes least. The scores of the two
ways are compared, too: they may differ by what floating point sums in another order.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.engine import Engine, EngineOutput, open_engine
from engines.errors import PartNotLocated
from station.simulation.parts.rendered import DEFECTS, GOOD, render

Outputs = list[EngineOutput | PartNotLocated]
WARM_UP = 3


def timed(call: Callable[[], Outputs]) -> tuple[float, float, Outputs]:
    """(wall ms, processor ms, what it gave)."""
    wall, cpu = time.perf_counter(), time.process_time()
    outputs = call()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, outputs


def scores(outputs: Outputs) -> np.ndarray:
    return np.array([np.nan if isinstance(one, PartNotLocated) else one.image_score for one in outputs])


def measure(engine: Engine, count: int, rounds: int) -> dict[str, float]:
    """Medians of both ways for this many views."""
    kinds = (GOOD, *DEFECTS)
    images = [render(seed, kinds[seed % len(kinds)]) for seed in range(count)]
    ways: dict[str, Callable[[], Outputs]] = {
        "single": lambda: [engine.score(image) for image in images],
        "batch": lambda: engine.score_batch(images),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    difference = 0.0
    for number in range(WARM_UP + rounds):
        given = {}
        for name, call in ways.items():
            wall_ms, cpu_ms, given[name] = timed(call)
            if number >= WARM_UP:
                wall[name].append(wall_ms)
                cpu[name].append(cpu_ms)
        single, batch = scores(given["single"]), scores(given["batch"])
        difference = max(difference, float(np.nanmax(np.abs(batch - single) / np.maximum(1.0, np.abs(single)))))
    medians = {
        f"{name}_{clock}_ms": float(np.median(times[name]))
        for clock, times in (("wall", wall), ("cpu", cpu))
        for name in ways
    }
    return {
        **{name: round(value, 2) for name, value in medians.items()},
        "wall_ratio": round(medians["batch_wall_ms"] / medians["single_wall_ms"], 3),
        "cpu_ratio": round(medians["batch_cpu_ms"] / medians["single_cpu_ms"], 3),
        "largest_relative_difference": difference,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--views", default="2,3,4,8")
    parser.add_argument("--threads", default="1,2", help="of the engine")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = []
    for threads in map(int, options.threads.split(",")):
        with open_engine(options.engine, threads=threads) as engine:
            for count in map(int, options.views.split(",")):
                row = {"threads": threads, "views": count, **measure(engine, count, options.rounds)}
                report.append(row)
                print(row)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
