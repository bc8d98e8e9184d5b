"""Engines are exchanged while parts run: missed triggers, parts judged by half a change, and what it costs.

    python -m benchmarks.between_parts [--swaps 1000] [--rate 20] [--block 50] [--pause 0.2] [--json FILE]

The real daemon with the software camera and a PLC that polls it, parts at a fixed rate all the time. Blocks of swaps
(another version in station.toml, then a reload, `--pause` s between two) run in turn with some time without.
Each row must name one engine, and its score must be that engine's. The goals: none missed, none half, p99 within 10 %.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shadow import ask, last_part, latencies, line, quantiles
from engines.store.store import EngineStore
from station.records.schema import open_reader
from tests.bench.bench import Bench, bad

SETTINGS: dict[str, Any] = {
    "engine__path": None,
    "engine__store": "engines",
    "station__deadline_ms": 2000,
    "plc__heartbeat_timeout_s": 0.0,
    "log__level": "warning",
}


class Pulses:
    """Parts at a fixed rate until it is stopped."""

    def __init__(self, bench: Bench, rate: float) -> None:
        self._bench, self._rate = bench, rate
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        due = time.perf_counter()
        while not self._stop.wait(max(0.0, due - time.perf_counter())):
            self._bench.scene.pulse_line1()
            self.sent += 1
            due += 1 / self._rate

    def stop(self) -> None:
        """Ends them."""
        self._stop.set()
        self._thread.join()


def swap(bench: Bench, number: int) -> None:
    """Another version is active when this returns."""
    bench.write_config(**SETTINGS, engine__version=1 + number % 2)
    ask(bench, {"command": "reload"})


def half_changes(bench: Bench) -> tuple[int, int]:
    """Parts whose score is not that of the engine in their row; and parts in ERROR."""
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        rows = connection.execute(
            "SELECT engine_id, ROUND(score, 4), COUNT(*) FROM parts WHERE score IS NOT NULL GROUP BY 1, 2"
        )
        counts: dict[str, list[int]] = {}
        for engine_id, _, count in rows:
            counts.setdefault(engine_id, []).append(count)
        errors = connection.execute("SELECT COUNT(*) FROM parts WHERE verdict = 'ERROR'").fetchone()[0]
    return sum(sum(each) - max(each) for each in counts.values()), errors


def measured(  # noqa: PLR0917
    bench: Bench, swaps: int, block: int, rate: float, pause_s: float, quiet_share: float
) -> dict[str, Any]:
    """Blocks with and without swaps in turn."""
    bench.scene.show(bad())
    blocks: dict[str, list[tuple[int, int]]] = {"without": [], "with": []}
    took: list[float] = []
    load, sent = os.getloadavg()[0], 0
    for _ in range(max(1, swaps // block)):
        first = last_part(bench)
        pulses, began = Pulses(bench, rate), time.monotonic()
        for _ in range(block):
            at = time.monotonic()
            swap(bench, len(took))
            took.append(time.monotonic() - at)
            time.sleep(pause_s)
        pulses.stop()
        sent += pulses.sent
        lasted = time.monotonic() - began
        middle = last_part(bench)
        blocks["with"].append((first, middle))
        pulses = Pulses(bench, rate)
        time.sleep(quiet_share * lasted)
        pulses.stop()
        sent += pulses.sent
        blocks["without"].append((middle, last_part(bench)))
    half, errors = half_changes(bench)
    counts = bench.counts()
    values = {name: latencies(bench, each) for name, each in blocks.items()}
    p99 = {name: float(np.percentile(each, 99)) for name, each in values.items()}
    return {
        "swaps": len(took),
        "rate": rate,
        "triggers": sent,
        "on_record": counts.triggers,
        "missed": counts.missed,
        "errors": errors,
        "half": half,
        "seconds_of_a_swap": {f"p{q}": round(float(np.percentile(took, q)), 3) for q in (50, 99)},
        "without": quantiles(values["without"]),
        "with": quantiles(values["with"]),
        "p99_more_percent": round(100 * (p99["with"] / p99["without"] - 1), 1),
        "between_parts": _said(bench),
        "load_before_after": [round(load, 2), round(os.getloadavg()[0], 2)],
    }


def _said(bench: Bench) -> int:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        query = "SELECT COUNT(*) FROM events WHERE kind = 'exchanged' AND detail = 'between two parts'"
        return int(connection.execute(query).fetchone()[0])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--block", type=int, default=50)
    parser.add_argument("--pause", type=float, default=0.2)
    parser.add_argument("--quiet", type=float, default=1.0, help="time without swaps, as share of that with")
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="swaps-") as folder, line(Path(folder), []) as bench:
        assert EngineStore(Path(folder) / "engines" / "default").versions()
        report = measured(bench, options.swaps, options.block, options.rate, options.pause, options.quiet)
        bench.terminate()
    for name, value in report.items():
        print(f"{name:<20}", value)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    whole = report["missed"] == report["half"] == report["errors"] == 0 and report["triggers"] == report["on_record"]
    return 0 if whole and report["p99_more_percent"] <= 10 else 1


if __name__ == "__main__":
    raise SystemExit(main())
