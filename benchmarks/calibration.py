"""Which limit keeps its promise at the least cost: simulated calibrations against the true distribution.

    python benchmarks/calibration.py [--trials 150] [--budget 0.01]

Per distribution, number of images and kind of limit: how often the true false-reject rate is within the budget (0.9 is
promised), and the median of that rate (the closer below the budget, the less was given away in escapes).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engines.training.calibration.calibrate import calibrate
from engines.training.calibration.sample import CONFIDENCE
from engines.training.calibration.tail import TAIL_SHARE, exceeding_rank, order_limit, tail_limit

Scores = NDArray[np.float64]
TRUTH_SIZE = 400_000
COUNTS = (20, 53, 100, 209, 400, 1000)
DIRT_SHARE = 0.02


def exponential(scores: Scores, budget: float) -> float:
    """The tail is exponential; upper bound of its scale by chi-square."""
    exceeding = max(8, int(TAIL_SHARE * len(scores)))
    ordered = np.sort(scores)
    scale = float(np.mean(ordered[-exceeding:] - ordered[-exceeding - 1]))
    bound = scale * 2 * exceeding / stats.chi2.ppf(1 - CONFIDENCE, 2 * exceeding)
    return float(ordered[-exceeding - 1] + bound * max(0.0, np.log(exceeding / len(scores) / budget)))


def distribution_free(scores: Scores, budget: float) -> float:
    """Not defined for few images."""
    if exceeding_rank(len(scores), budget, CONFIDENCE) < 0:
        return float("nan")
    return order_limit(scores, budget, CONFIDENCE, len(scores))


LIMITS: dict[str, Callable[[Scores, float], float]] = {
    "quantile": lambda scores, budget: float(np.quantile(scores, 1 - budget)),
    "exponential": exponential,
    "Pareto": lambda scores, budget: tail_limit(scores, budget, CONFIDENCE, len(scores)),
    "order": distribution_free,
    "calibrate": lambda scores, budget: calibrate(scores, scores, budget, order_is_capture_order=False).reject_score,
}


def distributions(rng: np.random.Generator) -> dict[str, Callable[[int], Scores]]:
    """Image scores of good parts, with their like in practice from light to heavy tails."""
    return {
        "normal": lambda size: rng.normal(size=size),
        "gamma 2": lambda size: rng.gamma(2.0, size=size),
        "log-normal 0.5": lambda size: np.exp(0.5 * rng.normal(size=size)),
        "log-normal 1": lambda size: np.exp(rng.normal(size=size)),
        "t 5": lambda size: rng.standard_t(5, size=size),
        "exp of t 5 / 4": lambda size: np.exp(0.25 * rng.standard_t(5, size=size)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--budget", type=float, default=0.01)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"| distribution | images | {' | '.join(LIMITS)} |")
    print("| --- | --- |" + " --- |" * len(LIMITS))
    for name, draw in distributions(rng).items():
        _table(name, draw, draw, arguments)

    def dirty(size: int) -> Scores:
        scores = rng.normal(size=size)
        dirt = rng.random(size) < DIRT_SHARE
        scores[dirt] += rng.uniform(2, 8, int(dirt.sum()))
        return scores

    _table(f"normal, {DIRT_SHARE:.0%} dirt", dirty, distributions(rng)["normal"], arguments)


def _table(
    name: str, draw: Callable[[int], Scores], draw_good: Callable[[int], Scores], arguments: argparse.Namespace
) -> None:
    truth = np.sort(draw_good(TRUTH_SIZE))
    for count in COUNTS:
        samples = [draw(count) for _ in range(arguments.trials)]
        cells = []
        for limit in LIMITS.values():
            limits = np.array([limit(sample, arguments.budget) for sample in samples])
            if np.isnan(limits).any():
                cells.append("-")
                continue
            rates = 1 - np.searchsorted(truth, limits, side="right") / TRUTH_SIZE
            cells.append(f"{np.mean(rates <= arguments.budget):.2f}, {np.median(rates):.2%}")
        print(f"| {name} | {count} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
