"""Which limit keeps its promise at the least cost: simulated calibrations against the true distribution.

    python benchmarks/calibration.py [--of tails|neighbours|dirt|folds] [--trials 150] [--budget 0.01]

Per distribution, number of images and kind of limit: how often the true false-reject rate is within the budget (0.9 is
promised), and the median of that rate (the closer below the budget, the less was given away in escapes).

`neighbours`: images that resemble their neighbours, and two ways to say how many independent ones they are worth.
`dirt`: defects among the calibration images, and ways to leave images out by the share of their places that was masked.
`folds`: few images, each scored by a model that did not learn it, and how many such models there are.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from engines.training.calibration.calibrate import calibrate
from engines.training.calibration.sample import CONFIDENCE
from engines.training.calibration.tail import (
    TAIL_SHARE,
    effective_count,
    exceeding_rank,
    order_limit,
    tail_limit,
    upper_limit,
)
from engines.training.fitting.crossfit import FOLDS, FOLDS_OF_FEW, fold_of

Scores = NDArray[np.float64]
TRUTH_SIZE = 400_000
COUNTS = (20, 53, 100, 209, 400, 1000)
DIRT_SHARE = 0.02
PLACES, DIRECTIONS, HOTTEST = 32, 24, 2
FURTHER = 1500
"""Good images that show what a limit really does."""


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


def all_scores_count(scores: Scores) -> float:
    """The effective count that calibrations used before: of the normal scores of all ranks, not of the tail alone."""
    count = len(scores)
    normal = special.ndtri((stats.rankdata(scores) - 0.5) / count)
    total = 0.0
    for lag in range(1, count // 4 + 1):
        correlation = float(normal[:-lag] @ normal[lag:] / (normal @ normal))
        if correlation < 2 / math.sqrt(count):
            break
        total += correlation
    return count / (1 + 2 * total)


def processes(rng: np.random.Generator) -> dict[str, Callable[[int], Scores]]:
    """Normal scores in the order of capture."""

    def chained(correlation: float) -> Callable[[int], Scores]:
        def draw(size: int) -> Scores:
            steps = rng.normal(size=size) * math.sqrt(1 - correlation**2)
            scores = np.empty(size)
            last = rng.normal()
            for place, step in enumerate(steps):
                scores[place] = last = correlation * last + step
            return scores

        return draw

    def shared(images: int, own: float) -> Callable[[int], Scores]:
        """`images` of one part after the other; `own`: what of the deviation is their own."""

        def draw(size: int) -> Scores:
            parts = np.repeat(rng.normal(size=size // images + 1), images)[:size]
            return math.sqrt(1 - own**2) * parts + own * rng.normal(size=size)

        return draw

    return {
        "independent": lambda size: rng.normal(size=size),
        "each like the last, 0.3": chained(0.3),
        "0.6": chained(0.6),
        "0.8": chained(0.8),
        "two images a part": shared(2, 0.2),
        "six images a part": shared(6, 0.2),
        "eight faces of a part": shared(8, 0.7),
    }


def neighbours(rng: np.random.Generator, trials: int, budget: float) -> None:
    """Coverage when images resemble their neighbours; needs a budget that order statistics reach to be quick."""
    ways = {"of all scores": all_scores_count, "of the tail (in use)": effective_count}
    print(f"| neighbours | images | {' | '.join(ways)} |\n| --- | --- |" + " --- |" * len(ways))
    for name, draw in processes(rng).items():
        for count in (60, 120, 240, 480):
            samples = [draw(count) for _ in range(trials)]
            cells = []
            for worth in ways.values():
                limits = [upper_limit(each, budget, CONFIDENCE, max(1.0, worth(each))) for each in samples]
                cells.append(_covered(special.ndtr(-np.array(limits)), budget))
            print(f"| {name} | {count} | {' | '.join(cells)} |", flush=True)


def least_masked(share: float) -> Callable[[Scores, Scores, int], Scores]:
    """The scores of this share of the images, those with the fewest masked places."""
    return lambda scores, masked, _: scores[np.argsort(masked)[: round(share * len(scores))]]


DIRT_WAYS: Mapping[str, Callable[[Scores, Scores, int], Scores]] = {
    "all kept (in use)": lambda scores, _masked, _dirty: scores,
    "least masked 70 %": least_masked(0.7),
    "least masked 85 %": least_masked(0.85),
    "as many out as are dirty": lambda scores, masked, dirty: scores[np.argsort(masked)[: len(scores) - dirty]],
    "as many of the highest out": lambda scores, _, dirty: np.sort(scores)[: len(scores) - dirty],
}
"""From scores, masked shares and the true number of dirty images, which nobody knows, to scores of a calibration."""


def dirt(rng: np.random.Generator, trials: int, budget: float, count: int = 200) -> None:
    """Coverage on good parts when dirt is left among `count` images.

    Good scores are normal; the masked share of good images follows their score with the given correlation. Dirt scores
    `further` deviations higher, and is masked one deviation more than its score explains.
    """
    heads = "| dirt | correlation | further | " + " | ".join(DIRT_WAYS) + " |"
    print(heads + "\n|" + " --- |" * (heads.count("|") - 1))
    for share in (0.0, 0.1, 0.35):
        for correlation in (0.0, 0.7, 0.85):
            for further in (1.0, 2.0) if share else (0.0,):
                rates: dict[str, list[float]] = {name: [] for name in DIRT_WAYS}
                for _ in range(trials):
                    dirty = round(share * count)
                    is_dirty = np.arange(count) < dirty
                    scores = rng.normal(size=count) + further * is_dirty
                    own = math.sqrt(1 - correlation**2) * rng.normal(size=count)
                    masked = correlation * scores + own + is_dirty
                    for name, way in DIRT_WAYS.items():
                        used = way(scores, masked, dirty)
                        limit = upper_limit(used, budget, CONFIDENCE, len(used))
                        rates[name].append(float(special.ndtr(-limit)))
                cells = " | ".join(_covered(np.array(found), budget) for found in rates.values())
                print(f"| {share:.0%} | {correlation} | {further:g} | {cells} |", flush=True)


def folds(rng: np.random.Generator, trials: int, budget: float) -> None:
    """Coverage of limits from cross-fitted scores, counted on further good images of the model of all images."""
    ways = (FOLDS, FOLDS_OF_FEW)
    print("| images | " + " | ".join(f"{way} folds" for way in ways) + " |\n| --- |" + " --- |" * len(ways))
    for count in (26, 40, 52, 65, 79):
        rates: dict[int, list[float]] = {way: [] for way in ways}
        for _ in range(trials):
            # Cells of one image share something; some directions of a cell vary more than others.
            spread = rng.gamma(2.0, size=(PLACES, DIRECTIONS))
            images = spread * (_images(rng, count + FURTHER))
            learned, further = images[:count], images[count:]
            reached = _scores(learned, further)
            for way in ways:
                place = fold_of(np.arange(count), way)
                held_out = np.empty(count)
                for fold in range(way):
                    held_out[place == fold] = _scores(learned[place != fold], learned[place == fold])
                limit = calibrate(held_out, held_out, 0.01, budget).review_score
                rates[way].append(float(np.mean(reached > limit)))
        print(f"| {count} | {' | '.join(_covered(np.array(found), budget) for found in rates.values())} |", flush=True)


def _images(rng: np.random.Generator, count: int) -> Scores:
    """(count, PLACES, DIRECTIONS) of good parts: heavier tails than normal, as features have them."""
    return rng.standard_t(8, size=(count, PLACES, DIRECTIONS)) + 0.5 * rng.normal(size=(count, 1, DIRECTIONS))


def _scores(learned: Scores, judged: Scores) -> Scores:
    """As the default detector does: a covariance per place, drawn to the pooled one; log of the mean of the hottest."""
    away = learned - learned.mean(axis=0)
    own = np.einsum("npd,npe->pde", away, away) / len(learned)
    covariance = 0.8 * own + 0.2 * own.mean(axis=0)
    inner = np.linalg.inv(covariance + 1e-3 * np.trace(covariance, axis1=1, axis2=2).mean() * np.eye(DIRECTIONS))
    off = judged - learned.mean(axis=0)
    deviance = np.einsum("npd,pde,npe->np", off, inner, off) / DIRECTIONS
    return np.asarray(np.log(np.sort(deviance, axis=1)[:, -HOTTEST:].mean(axis=1)), np.float64)


def _covered(rates: Scores, budget: float) -> str:
    return f"{np.mean(rates <= budget):.2f}, {np.median(rates):.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=("tails", "neighbours", "dirt", "folds"), default="tails")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--budget", type=float, default=0.01)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    if arguments.of == "neighbours":
        neighbours(rng, arguments.trials, arguments.budget)
        return
    if arguments.of == "folds":
        folds(rng, arguments.trials, arguments.budget)
        return
    if arguments.of == "dirt":
        dirt(rng, arguments.trials, arguments.budget)
        return
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
            cells.append(_covered(rates, arguments.budget))
        print(f"| {name} | {count} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
