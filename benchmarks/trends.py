"""Trends for maintenance on simulated stations: false advice for healthy ones, and how early the right one comes.

A station has two cameras, two recipes, an ejector; its daily medians wander (autocorrelation 0.5), follow the week,
change with the recipe of the season, and jump when the lens is cleaned. It is looked at every day, as `station trends`
does.

    python -m benchmarks.trends --stations 200 --output benchmarks/results/trends.json
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.trends.advice import Advice, advice_of, trend_of
from station.trends.signals import SIGNALS, Cause, Series

DAYS = 90
FIRST_DAY = 10
RHO = 0.5
NORMAL = {
    "mean grey": (120.0, 1.2),
    "saturated share": (0.004, 0.0006),
    "sharpness": (0.030, 0.0006),
    "trigger to frame": (18.0, 0.3),
    "trigger jitter": (1.2, 0.12),
    "waiting for the engine": (1.5, 0.2),
    "engine": (24.0, 0.5),
    "trigger to result": (52.0, 0.9),
    "ejector error": (1.0, 0.5),
    "rejects not confirmed": (0.001, 0.0007),
    "reject confirmed after": (45.0, 1.5),
    "confirmation jitter": (12.0, 1.5),
    "encoder counts a part": (2000.0, 4.0),
    "reconnects a day": (0.2, 0.4),
    "temperature": (58.0, 1.5),
    "disk free": (0.42, 0.004),
}
"""Level and standard deviation of a daily median."""
OF_CAMERA = ("mean grey", "saturated share", "sharpness", "trigger to frame", "trigger jitter")
RECIPES, CAMERAS = ("A", "B"), ("left", "right")


@dataclass(frozen=True)
class Ageing:
    """What wears out, and which signal of which place it moves by which share of the way to its limit a day."""

    name: str
    cause: Cause
    place: str
    moves: Mapping[str, float]
    """Signal: share of its way to the limit when the leading one has gone all of it."""


AGEINGS = (
    Ageing("lamp", Cause.LAMP, "left", {"mean grey": 1.0}),
    Ageing("dust on the lens", Cause.LENS, "left", {"sharpness": 1.0, "mean grey": 0.5}),
    Ageing("defocus", Cause.FOCUS, "left", {"sharpness": 1.0}),
    Ageing("worn valve", Cause.VALVE, "ejector 1", {"reject confirmed after": 1.0, "confirmation jitter": 0.7}),
    Ageing("late ejector", Cause.VALVE, "ejector 1", {"ejector error": 1.0, "rejects not confirmed": 0.6}),
    Ageing("encoder slip", Cause.ENCODER, "", {"encoder counts a part": -1.0}),
    Ageing("trigger sensor", Cause.TRIGGER, "left", {"trigger jitter": 1.0}),
    Ageing("busy computer", Cause.COMPUTER, "", {"engine": 1.0, "trigger to result": 1.0}),
    Ageing("loose plug", Cause.CAMERA_LINK, "left", {"reconnects a day": 1.0}),
    Ageing("clogged filter", Cause.HEAT, "computer", {"temperature": 1.0}),
    Ageing("full disk", Cause.DISK, "computer", {"disk free": 1.0}),
)
PLACES = {
    **dict.fromkeys(OF_CAMERA, CAMERAS),
    "reconnects a day": CAMERAS,
    "ejector error": ("ejector 1",),
    "rejects not confirmed": ("ejector 1",),
    "reject confirmed after": ("ejector 1",),
    "confirmation jitter": ("ejector 1",),
    "temperature": ("computer",),
    "disk free": ("computer",),
}


def station(seed: int, ageing: Ageing | None = None, begin: int = 0, length: int = 0) -> list[Series]:
    """Ninety days. `ageing` begins on a day and reaches the limit `length` days later."""
    draw = np.random.default_rng(seed)
    season = draw.integers(20, 70)
    made = []
    for name, (level, spread) in NORMAL.items():
        for place in PLACES.get(name, ("",)):
            for recipe in RECIPES if name in OF_CAMERA else ("",):
                values = level * (1.1 if recipe == "B" else 1.0) + spread * _wandering(draw)
                values += 0.3 * spread * np.sin(2 * math.pi * np.arange(DAYS) / 7)
                if name == "sharpness":
                    values = values * _cleaned(draw)
                if ageing is not None and place == ageing.place and name in ageing.moves:
                    values += _aged(name, level * (1.1 if recipe == "B" else 1.0), ageing.moves[name], begin, length)
                if name in ("saturated share", "rejects not confirmed", "reconnects a day"):
                    values = np.maximum(values, 0.0)
                if name == "reconnects a day":
                    values = np.round(values)
                days = [day for day in range(DAYS) if not recipe or (day < season) == (recipe == "A") or day % 3 == 0]
                made.append(
                    Series(name, place, recipe, tuple(map(float, days)), tuple(float(values[day]) for day in days))
                )
    return made


def looked_at(series: list[Series], day: int) -> list[Advice]:
    """The advice of the evening of a day."""
    known = []
    for one in series:
        count = sum(at <= day for at in one.days)
        if count and one.days[count - 1] > day - 10:
            known.append(Series(one.signal, one.place, one.recipe, one.days[:count], one.values[:count]))
    return advice_of([trend_of(one) for one in known])


def false_advice(seed: int, every: int = 1) -> list[str]:
    """What a healthy station is given in a quarter: each thing once."""
    series = station(seed)
    given = {}
    for day in range(FIRST_DAY, DAYS, every):
        for advice in looked_at(series, day):
            given[(advice.cause, advice.place)] = str(advice)
    return list(given.values())


def first_right(seed: int, ageing: Ageing, every: int = 1) -> tuple[float | None, set[Cause], list[bool]]:
    """(share of the time to the limit that was left when it was named rightly, other causes that were named at its
    place before, whether each 80 % interval on the way held the true day)."""
    draw = np.random.default_rng(seed + 7)
    length = int(draw.integers(25, 60))
    begin = int(draw.integers(15, DAYS - length + 1))
    series = station(seed, ageing, begin, length)
    others: set[Cause] = set()
    held: list[bool] = []
    left: float | None = None
    for day in range(begin, begin + length, every):
        for advice in looked_at(series, day):
            if advice.place != ageing.place:
                continue
            if advice.cause is not ageing.cause:
                if left is None:
                    others.add(advice.cause)
                continue
            if left is None:
                left = (begin + length - day) / length
            _, early, late = advice.days_left
            held.append(early <= begin + length - day <= late)
    return left, others, held


def _wandering(draw: np.random.Generator) -> NDArray[np.float64]:
    noise = draw.normal(size=DAYS) * math.sqrt(1 - RHO**2)
    values = np.empty(DAYS)
    values[0] = draw.normal()
    for day in range(1, DAYS):
        values[day] = RHO * values[day - 1] + noise[day]
    return values


def _cleaned(draw: np.random.Generator) -> NDArray[np.float64]:
    """A little dirt, up to 4 %, which the weekly to monthly cleaning takes away."""
    every = int(draw.integers(7, 30))
    return 1.0 - 0.04 * (np.arange(DAYS) % every) / every


def _aged(name: str, level: float, share: float, begin: int, length: int) -> NDArray[np.float64]:
    limits = SIGNALS[name].limits(level)
    limit = min(limits) if share < 0 or SIGNALS[name].way.value == "falls" else max(limits)
    return (limit - level) * abs(share) * np.clip((np.arange(DAYS) - begin) / length, 0.0, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--ageing", type=int, default=30, help="stations of each ageing")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these ageings; default: all")
    parser.add_argument("--every", type=int, default=1, help="days between two looks")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    given = [false_advice(seed, options.every) for seed in range(options.stations)]
    counts = [len(one) for one in given]
    print(f"healthy: {sum(counts)} pieces of advice in {len(counts)} quarters, at most {max(counts)} in one")
    for text in sorted({text for one in given for text in one})[:10]:
        print("   ", text)
    rows = []
    for ageing in AGEINGS:
        if options.only and ageing.name not in options.only:
            continue
        found = [first_right(1000 + seed, ageing, options.every) for seed in range(options.ageing)]
        lefts = [left for left, _, _ in found if left is not None]
        held = [one for _, _, each in found for one in each]
        wrong = sorted({cause.name for _, others, _ in found for cause in others})
        row = {
            "ageing": ageing.name,
            "named": len(lefts),
            "of": len(found),
            "half_left": sum(left >= 0.5 for left in lefts),
            "least_left": min(lefts, default=0.0),
            "median_left": float(np.median(lefts)) if lefts else 0.0,
            "interval_held": float(np.mean(held)) if held else None,
            "looks": len(held),
            "named_otherwise_before": wrong,
        }
        rows.append(row)
        print(row, flush=True)
    if options.output is not None:
        healthy = {"quarters": len(counts), "advice": sum(counts), "most_in_one": max(counts)}
        options.output.write_text(json.dumps({"healthy": healthy, "ageing": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
