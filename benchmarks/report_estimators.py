"""Do the intervals of the report hold what they promise? Lines with known truth, sampled as a station samples them.

    python -m benchmarks.report_estimators [--runs 2000] [--json FILE]

Each line has its own size, share of defects, detection and false rejects, and its own shares that people look at; the
report's bounds are held against what really happened. Exit code 1: a bound covers less than 93 %.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from station.reports.production.drawn import detection_rate, false_reject_rate
from station.reports.production.estimators import Stratum, at_most, most_in_batch

AT_LEAST = 0.93


@dataclass
class Coverage:
    """How often a bound held, of how many lines it was given for; the worst group of lines beside it."""

    held: int = 0
    given: int = 0

    @property
    def share(self) -> float:
        return self.held / self.given if self.given else 1.0

    def add(self, holds: bool) -> None:
        self.held += holds
        self.given += 1


def line(generator: np.random.Generator) -> tuple[list[Stratum], Stratum, float, float]:
    """One line: (FAIL and REVIEW), PASS, its true detection rate and false reject rate."""
    parts = int(generator.choice([500, 3000, 20_000, 100_000]))
    defective = int(generator.binomial(parts, 10 ** generator.uniform(-3.5, -1)))
    good = parts - defective
    detected, rejected = generator.uniform(0.6, 0.995), 10 ** generator.uniform(-3, -1)
    reviewed = generator.uniform(0.1, 0.7)
    bad = generator.multinomial(defective, [detected * (1 - reviewed), detected * reviewed, 1 - detected])
    fine = generator.multinomial(good, [rejected * (1 - reviewed), rejected * reviewed, 1 - rejected])
    shares = (generator.choice([0.02, 0.1, 1.0]), generator.uniform(0.5, 1.0), generator.choice([0.002, 0.01, 0.05]))
    strata = []
    for number, share in enumerate(shares):
        total = int(bad[number] + fine[number])
        seen = int(generator.binomial(total, share))
        found = int(generator.hypergeometric(bad[number], fine[number], seen)) if seen else 0
        strata.append(Stratum(total, seen, found))
    detection = float(bad[:2].sum() / defective) if defective else 1.0
    return strata[:2], strata[2], detection, float(fine[:2].sum() / good)


def covered(runs: int, seed: int = 1) -> dict[str, Coverage]:
    """By figure: how often its bounds hold the truth."""
    generator = np.random.default_rng(seed)
    found = {name: Coverage() for name in ("detection", "false rejects", "false accepts", "false accepts in a batch")}
    for _ in range(runs):
        rejected, passed, detection, false_rejects = line(generator)
        bound = detection_rate(rejected, [passed])
        if bound is not None and bound.low is not None:
            found["detection"].add(bound.low <= detection + 1e-12)
        interval = false_reject_rate(rejected, [passed])
        if interval is not None and interval.low is not None and interval.high is not None:
            found["false rejects"].add(interval.low - 1e-12 <= false_rejects <= interval.high + 1e-12)
        share = 10 ** generator.uniform(-4, -1)
        seen = int(generator.integers(30, 1000))
        found["false accepts"].add(share <= at_most(int(generator.binomial(seen, share)), seen))
        batch = int(generator.integers(seen, 20_000))
        inside = int(generator.binomial(batch, share))
        drawn = int(generator.hypergeometric(inside, batch - inside, seen))
        found["false accepts in a batch"].add(inside <= most_in_batch(drawn, seen, batch))
    return found


def main() -> int:
    """Prints a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = covered(options.runs)
    for name, one in found.items():
        print(f"{name:26} covers {one.share:6.1%} of {one.given} lines")
    if options.json is not None:
        rows = {name: {"lines": one.given, "covered": round(one.share, 4)} for name, one in found.items()}
        options.json.write_text(json.dumps({"runs": options.runs, "figures": rows}, indent=2) + "\n")
    return int(any(one.share < AT_LEAST for one in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
