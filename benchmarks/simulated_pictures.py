"""What monitoring calls the ageing of the simulated line, from its pictures and a real engine, without the clock.

    python -m benchmarks.simulated_pictures ENGINE [--looks 60] [--runs 20] [--json FILE]

As `benchmarks.ageing_line`, which needs a machine that keeps up with a real line: the pictures are those of `station
demo --age`, the engine is one that a demo has taught (`WORK/engine`), the numbers go the way from inspection to watch;
left out are camera, PLC and time. A line is drawn from the looks with replacement; each learns anew. The section
`simulated_line` of the file is brought up to date, the others stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ageing_line import WITHIN_A_SHIFT
from benchmarks.monitoring import LEARNING, MOST, STATION, Delays, delay
from station.configuration.model import Configuration
from station.line.inspection.inspector import Inspector
from station.line.inspection.loading import load_inspector
from station.monitoring.seen import SeenPart, seen_of
from station.monitoring.watch import Promise, Watch
from station.results import Frame, Pixels, Verdict
from station.simulation.parts.ageing import Kind, aged, parse_ageing
from station.simulation.parts.rendered import DEFECTS, GOOD, render
from tests.bench.sample_parts import PartMaker

DEFECTIVE = 0.01
"""Of a line that is well."""
SEED = 7_000_000


def seen(inspector: Inspector, pictures: Sequence[Pixels]) -> list[SeenPart]:
    """What monitoring takes from each."""
    record, found = PartMaker().inspected(1, Verdict.PASS), []
    for number, pixels in enumerate(pictures, start=1):
        (view,) = inspector.inspect([inspector.begin(Frame("top", number, pixels, 0, 0))])
        part = seen_of(replace(record, views=(view,), decision=view.decision, engine_id=inspector.engine_id))
        assert part is not None
        found.append(part)
    return found


def line(
    good: Sequence[SeenPart], bad: Sequence[SeenPart], share: float, count: int, random: np.random.Generator
) -> Iterator[SeenPart]:
    """`share` of them defective."""
    for _ in range(count):
        of = bad if random.random() < share else good
        yield of[int(random.integers(len(of)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--looks", type=int, default=60, help="pictures of each kind")
    parser.add_argument("--runs", type=int, default=20, help="lines of each change")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    settings = Configuration.model_validate({"cameras": {"top": {"producer": "simtl"}}, "engine": {"path": "e"}})
    inspector = load_inspector(options.engine, settings, {})
    assert inspector is not None
    good = [render(SEED + number, GOOD) for number in range(options.looks)]
    bad = [render(SEED + number, DEFECTS[number % len(DEFECTS)]) for number in range(options.looks // 3)]
    well, defective = seen(inspector, good), seen(inspector, bad)
    table: dict[str, Any] = {}
    for scenario in WITHIN_A_SHIFT:
        ageing = parse_ageing(scenario.age)
        share = ageing.most if ageing.kind is Kind.DEFECTS else DEFECTIVE
        worn, worn_bad = (seen(inspector, [aged(each, (ageing,), 1.0) for each in those]) for those in (good, bad))
        results, before = [], 0
        for run in range(options.runs):
            random = np.random.default_rng(run)
            watch = Watch(STATION, Promise(*inspector.promised))
            for part in line(well, defective, DEFECTIVE, LEARNING, random):
                watch.add(part)
            before += watch.finding is not None
            results.append(delay(watch, line(worn, worn_bad, share, MOST, random)))
        found = Delays([parts for parts, _ in results], [name for _, name in results]).as_dict()
        allowed = sorted({code.name for code in scenario.names})
        table[scenario.name] = {**found, "right": allowed, "false_before": before,
                                "not_passed": float(np.mean([part.verdict is not Verdict.PASS for part in worn]))}  # fmt: skip  # noqa: E501
        print(scenario.name, table[scenario.name], flush=True)
        if options.json is not None:
            known = json.loads(options.json.read_text()) if options.json.exists() else {}
            options.json.write_text(json.dumps({**known, "simulated_line": table}, indent=1) + "\n")
    inspector.scorer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
