"""Do the bounds of an agreement study hold? Simulated studies, each with parts of its own that are easy or hard.

Each part is missed (or rejected though good) with a probability of its own, drawn from a beta distribution: trials of
the same part hang together. True shares are known, so it is counted how often the bounds hold them.

    python -m benchmarks.agreement --studies 2000 --output benchmarks/results/agreement.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from station.msa.bounds import exact, share, share_of_decisions
from station.msa.statistics import against

PARTS, DEFECTIVE, TRIALS = 50, 20, 3
MISS, FALSE_ALARM = (0.3, 5.7), (0.2, 5.8)
"""Beta distributions with means of 5 % and 3.3 %: most parts are easy, a few are decided by a coin."""


def coverage(studies: int, seed: int) -> dict[str, float]:
    """The share of studies whose bounds hold the true value, by figure and kind of bound."""
    generator = np.random.default_rng(seed)
    reference = np.array([[number >= DEFECTIVE] for number in range(PARTS)], np.int8)
    true = _true(generator)
    held: dict[str, int] = {}
    for _ in range(studies):
        wrong = np.concatenate([generator.beta(*MISS, DEFECTIVE), generator.beta(*FALSE_ALARM, PARTS - DEFECTIVE)])
        is_wrong = generator.random((PARTS, TRIALS)) < wrong[:, None]
        ratings = np.where(is_wrong, 1 - reference, reference).astype(np.int8)
        counts = is_wrong.sum(axis=1)
        effective = share(int((counts == 0).sum()), PARTS)
        miss = share_of_decisions([int(one) for one in counts[:DEFECTIVE]], TRIALS)
        alarm = share_of_decisions([int(one) for one in counts[DEFECTIVE:]], TRIALS)
        kappa = against(reference, ratings)
        bounds = {
            "effectiveness, exact": (effective.exact, true["effectiveness"]),
            "effectiveness, Wilson": (effective.wilson, true["effectiveness"]),
            "miss rate, exact": (miss.exact, true["miss"]),
            "miss rate, Wilson": (miss.wilson, true["miss"]),
            "false alarm rate, exact": (alarm.exact, true["alarm"]),
            "false alarm rate, Wilson": (alarm.wilson, true["alarm"]),
            "miss rate, as if decisions were independent": (exact(miss.count, miss.of), true["miss"]),
            "kappa": ((kappa.low, kappa.high), true["kappa"]),
        }
        for name, ((low, high), value) in bounds.items():
            held[name] = held.get(name, 0) + (low <= value <= high)
    return {name: count / studies for name, count in held.items()}


def _true(generator: np.random.Generator) -> dict[str, float]:
    draws = 1_000_000
    right = [float(np.mean((1 - generator.beta(*of, draws)) ** TRIALS)) for of in (MISS, FALSE_ALARM)]
    miss, alarm = (first / (first + second) for first, second in (MISS, FALSE_ALARM))
    bad = DEFECTIVE / PARTS
    agreed = bad * (1 - miss) + (1 - bad) * (1 - alarm)
    accepted = bad * miss + (1 - bad) * (1 - alarm)
    by_chance = accepted * (1 - bad) + (1 - accepted) * bad
    return {
        "effectiveness": bad * right[0] + (1 - bad) * right[1],
        "miss": miss,
        "alarm": alarm,
        "kappa": (agreed - by_chance) / (1 - by_chance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found = coverage(options.studies, options.seed)
    for name, value in found.items():
        print(f"{name:50} {100 * value:.1f} %")
    if options.output is not None:
        shown = {"studies": options.studies, "parts": PARTS, "defective": DEFECTIVE, "trials": TRIALS, "covered": found}
        options.output.write_text(json.dumps(shown, indent=2) + "\n")


if __name__ == "__main__":
    main()
