"""From series to advice: what reaches its limit when, why, and what to do. Pure. Never an alarm without an action."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from station import said
from station.trends.crossing import crossing
from station.trends.signals import ACTIONS, SIGNALS, Cause, Series, Signal, Way
from station.trends.statistics import Slope, begin_of_slope, since_last_step, slope

WINDOWS_D = (8, 14, 28, 56)
"""Days that are looked at, the shortest first: what begins now shows there before it does in two months."""
ALPHA = 0.005
"""Of Mann-Kendall. It alone would give false advice: days hang together. So the two conditions below hold as well."""
LEAST_SHARE = 0.25
"""Of the way from normal to the limit that must be gone already."""
LEAST_SPREADS = 4.0
"""And as many robust standard deviations, of the days around the line and of those before it."""
LEAST_D = 7
"""Days that a slope is taken from."""
HORIZON_D = 90.0
"""What is further away is no advice yet."""
NORMAL_D = 7
"""Days after a step, or the first, that say what is normal."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A series with what was found in it."""

    series: Series
    normal: float
    limits: tuple[float, ...]
    since: int
    """Index of the first day after the last step."""
    found: Slope | None
    """None: too few days."""
    days_left: tuple[float, float, float] | None
    """(days, earliest, latest), 80 % between; None: nothing that counts moves."""

    @property
    def signal(self) -> Signal:
        return SIGNALS[self.series.signal]

    @property
    def share_gone(self) -> float:
        """Of the way to the nearer limit."""
        if self.found is None or not self.limits:
            return 0.0
        ways = [
            (self.found.level - self.normal) / (limit - self.normal) for limit in self.limits if limit != self.normal
        ]
        return max(ways, default=0.0)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do."""

    cause: Cause
    place: str
    trends: tuple[Trend, ...]
    """What says so, the most urgent first."""

    @property
    def days_left(self) -> tuple[float, float, float]:
        left = self.trends[0].days_left
        assert left is not None
        return left

    @property
    def action(self) -> str:
        return ACTIONS[self.cause]

    def __str__(self) -> str:
        days, earliest, latest = self.days_left
        at = f"{self.place}: " if self.place else ""
        until = f"{latest:.0f}" if latest <= 4 * HORIZON_D else "more"
        when = f"reaches its limit in {days:.0f} days (80 % between {earliest:.0f} and {until})"
        return f"{at}{self.cause.value}: {self.action}; {self.what}; {when}"

    @property
    def what(self) -> str:
        """As "sharpness -18 % in 12 days, recipes A and B alike"."""
        worst = self.trends[0]
        assert worst.found is not None
        recipes = sorted({one.series.recipe for one in self.trends if one.series.signal == worst.series.signal} - {""})
        values = {"signal": worst.series.signal, "change": _change(worst), "days": f"{worst.found.days:.0f}"}
        if len(recipes) > 1:
            return said.MOVES_ALIKE(**values, recipes=", ".join(recipes))
        return said.MOVES_ONE(**values, recipe=recipes[0]) if recipes else said.MOVES(**values)


def trend_of(series: Series) -> Trend:
    """What one series says."""
    signal = SIGNALS[series.signal]
    values = np.asarray(series.values, float)
    if not len(values):
        return Trend(series, 0.0, (), 0, None, None)
    start = float(np.median(values[:NORMAL_D]))
    least = 0.1 * max(abs(limit - start) for limit in signal.limits(start))
    since = since_last_step(series.values, least)
    days, kept = series.days[since:], values[since:]
    normal = float(np.median(kept[:NORMAL_D]))
    limits = signal.limits(normal)
    whole = slope(days, tuple(kept))
    for window in WINDOWS_D:
        inside = [index for index, day in enumerate(days) if day > days[-1] - window]
        if len(inside) < LEAST_D:
            continue
        found = slope([days[index] for index in inside], [float(kept[index]) for index in inside])
        spread = max(found.spread, _spread(kept[: inside[0]])) if found is not None else 0.0
        if found is None or found.p > ALPHA or abs(found.moved) < LEAST_SPREADS * spread:
            continue
        begin = min(begin_of_slope(days, tuple(kept)), len(days) - LEAST_D)
        steepest = slope(days[begin:], tuple(kept[begin:])) or found
        side = _reached(signal, normal, limits, steepest)
        if side is None:
            continue
        offset, share = signal.forms(normal)[side]
        left = crossing(days, tuple(map(float, kept)), offset, share, rises=limits[side] > normal)
        if left[0] <= HORIZON_D:
            return Trend(series, normal, limits, since, steepest, left)
    return Trend(series, normal, limits, since, whole, None)


def advice_of(trends: Sequence[Trend]) -> list[Advice]:
    """One line for each thing to do, the most urgent first."""
    moving = [one for one in trends if one.days_left is not None]
    found: dict[tuple[Cause, str], list[Trend]] = {}
    for place in sorted({one.series.place for one in moving}):
        here = [one for one in trends if one.series.place == place]
        for one in (each for each in moving if each.series.place == place):
            found.setdefault((_cause(one, here), place), []).append(one)
    advice = [Advice(cause, place, _in_order(these)) for (cause, place), these in found.items()]
    return sorted(advice, key=lambda one: _urgency(one.trends[0]))


def _in_order(trends: Sequence[Trend]) -> tuple[Trend, ...]:
    """The most urgent signal first, by the recipe that knows its day best: the earliest of several is too early."""
    known_best: dict[str, Trend] = {}
    for one in sorted(trends, key=_width):
        known_best.setdefault(one.series.signal, one)
    return tuple(sorted(trends, key=lambda one: (_urgency(known_best[one.series.signal]), _width(one))))


def _width(one: Trend) -> float:
    """Of the interval, days."""
    if one.days_left is None or math.isinf(one.days_left[2]):
        return math.inf
    return one.days_left[2] - one.days_left[1]


def _cause(one: Trend, here: Sequence[Trend]) -> Cause:
    """Less light alone is the lamp, less sharpness alone the focus; both together are dirt on the lens."""
    cause = one.signal.cause
    if cause not in (Cause.LAMP, Cause.FOCUS):
        return cause
    causes = {other.signal.cause for other in here if other.days_left is not None or _falls(other)}
    return Cause.LENS if {Cause.LAMP, Cause.FOCUS} <= causes else cause


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Robust standard deviation of the days before; 0: too few to say."""
    if len(values) < NORMAL_D:
        return 0.0
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _falls(one: Trend) -> bool:
    """Goes the wrong way beyond doubt, if not far yet."""
    found = one.found
    if found is None or found.p > ALPHA or one.signal.way is not Way.DOWN:
        return False
    return found.per_day < 0 and abs(found.moved) > LEAST_SPREADS * found.spread


def _reached(signal: Signal, normal: float, limits: tuple[float, ...], found: Slope) -> int | None:
    """Which of the limits it goes to, when it is far enough on its way."""
    rises = found.per_day > 0
    if (signal.way is Way.DOWN and rises) or (signal.way is Way.UP and not rises):
        return None
    for side, limit in enumerate(limits):
        if (limit > normal) == rises and (found.level - normal) / (limit - normal) >= LEAST_SHARE:
            return side
    return None


def _urgency(one: Trend) -> float:
    return one.days_left[0] if one.days_left is not None else float("inf")


def _change(one: Trend) -> str:
    assert one.found is not None
    if one.normal and one.signal.relative is not None and one.signal.absolute is None:
        return f"{100 * one.found.moved / abs(one.normal):+.0f} %"
    return f"{one.found.moved:+.3g} {one.signal.unit}".strip()
