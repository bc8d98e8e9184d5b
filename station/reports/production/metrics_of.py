"""The six production metrics as numbers for programs: the figures that stand on top of a report, of the same sums.

What nobody has looked at is not known: `value` is None then, and `why` says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.reports.production.drawn import detection_rate, false_reject_rate
from station.reports.production.estimators import Stratum, at_most, most_in_batch
from station.reports.production.figures import LOOK, strata_of
from station.reports.production.reading import Parts, Said

_UNSEEN = {"PASS": ("passed", "pass_share"), "FAIL": ("failed", "fail_share"), "REVIEW": ("are in REVIEW", "due_min")}
_NONE_FOUND = "no {} part was found in the samples"
_DRAWS = "over strata of verdicts, 20,000 draws"


@dataclass(frozen=True, slots=True)
class Metric:
    """One of the six. Shares are of 0 to 1; bounds are at 95 %."""

    name: str
    unit: str
    """`share`, `s`, `1/h`."""
    value: float | None
    """None: not known."""
    low: float | None
    high: float | None
    """Of the interval; None on one side: it is one-sided; on both: counted, or not known."""
    n: int
    """What the value stands on: of these shares the parts that people looked at."""
    of: int
    """All parts, gaps or decisions that it speaks of."""
    estimator: str
    why: str = ""
    """Why it is not known."""
    more: tuple[tuple[str, float], ...] = ()
    """Further numbers by name: quantiles, the most defective parts among all that passed."""


def metrics_of(parts: Parts, said: Said, hours: float) -> list[Metric]:
    """In the order of a report. `hours`: length of the period."""
    strata = strata_of(parts, said)
    return [*_rates(strata), _accepted(strata["PASS"]), _cycle(parts), _load(said, len(parts), hours), _traced(parts)]


def _rates(strata: dict[str, Stratum]) -> list[Metric]:
    rejected, passed = [strata["FAIL"], strata["REVIEW"]], [strata["PASS"]]
    seen, of = sum(strata[verdict].seen for verdict in _UNSEEN), sum(strata[verdict].parts for verdict in _UNSEEN)
    unseen = "; ".join(
        LOOK.format(f"parts that {what}", key)
        for verdict, (what, key) in _UNSEEN.items()
        if not strata[verdict].is_known
    )
    asked = (
        ("true detection rate", detection_rate(rejected, passed), "defective", "lower bound"),
        ("false reject rate", false_reject_rate(rejected, passed), "good", "two-sided"),
    )
    found = []
    for name, rate, kind, sides in asked:
        value, low, high = (None, None, None) if rate is None else (rate.value, rate.low, rate.high)
        why = (unseen or _NONE_FOUND.format(kind)) if rate is None else ""
        found.append(Metric(name, "share", value, low, high, seen, of, f"{_DRAWS}; {sides}", why))
    return found


def _accepted(passed: Stratum) -> Metric:
    name, estimator = "false accept risk", "Clopper-Pearson, upper bound; hypergeometric for these parts"
    if not passed.seen:
        why = LOOK.format("parts that passed", "pass_share")
        return Metric(name, "share", None, None, None, 0, passed.parts, estimator, why)
    bound = at_most(passed.defective, passed.seen)
    most = most_in_batch(passed.defective, passed.seen, passed.parts)
    value = passed.defective / passed.seen
    more = (("most_defective_of_these", float(most)),)
    return Metric(name, "share", value, None, bound, passed.seen, passed.parts, estimator, more=more)


def _cycle(parts: Parts) -> Metric:
    gaps: NDArray[np.float64] = np.diff(parts.wall_time)
    name, number = "cycle time", len(gaps)
    if not number:
        return Metric(name, "s", None, None, None, 0, 0, "median, trigger to trigger", "fewer than two parts")
    p50, p95, p99 = (float(each) for each in np.quantile(gaps, (0.5, 0.95, 0.99)))
    more = (("p95", p95), ("p99", p99), ("max", float(gaps.max())))
    return Metric(name, "s", p50, None, None, number, number, "median, trigger to trigger", more=more)


def _load(said: Said, parts: int, hours: float) -> Metric:
    more = (("minutes_per_1000_parts", said.looking_s / 60 / parts * 1000),) if parts else ()
    value = said.decided / hours if hours > 0 else None
    why = "" if value is not None else "the period has no length"
    return Metric("review load", "1/h", value, None, None, said.decided, said.decided, "counted", why, more)


def _traced(parts: Parts) -> Metric:
    number = len(parts)
    whole = number - parts.lacking
    estimator = "counted: row, engine, settings, image of what did not pass"
    if not number:
        return Metric("traceability", "share", None, None, None, 0, 0, estimator, "no parts")
    return Metric("traceability", "share", whole / number, None, None, whole, number, estimator)
