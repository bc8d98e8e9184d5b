"""The figures of a report: each with its value, how many parts it is of, its interval, and how it was got.

What nobody has looked at is *not known*: no figure here is better than the sample that it stands on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from station.records.engines.virtual import VirtualRun
from station.reports.counts import reason_text
from station.reports.production.drawn import detection_rate, false_reject_rate, kappa
from station.reports.production.estimators import Estimate, Stratum, at_most, most_in_batch, wilson
from station.reports.production.reading import VERDICTS, Parts, Period, Said, Word

NOT_KNOWN = "not known"
WITHOUT_CLASS = "without a class"
LOOK = "nobody has looked at {}: page Review, [review] {}"
LISTED = 20
TREND_POINTS = 24


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    name: str
    value: str
    interval: str
    """Empty: it was counted."""
    of: str
    how: str
    is_key: bool = False
    """One of the figures that stand on top."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Shares of rejected parts over time, with the limits of a p-chart from the period before."""

    starts: tuple[float, ...]
    parts: tuple[int, ...]
    shares: tuple[float, ...]
    centre: float | None
    """None: there was no period before."""

    def limits(self, number: int) -> tuple[float, float] | None:
        """Three standard deviations around the centre, for the parts of this point."""
        if self.centre is None or not self.parts[number]:
            return None
        half = 3 * (self.centre * (1 - self.centre) / self.parts[number]) ** 0.5
        return max(0.0, self.centre - half), min(1.0, self.centre + half)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says, before anything is drawn."""

    station: str
    period: Period
    figures: tuple[Figure, ...]
    pareto: tuple[tuple[str, int], ...]
    """Why parts did not pass."""
    classes: tuple[tuple[str, str, int], ...]
    """Class, severity, and how many parts people gave it."""
    trend: Trend
    centres: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    incomplete: tuple[tuple[str, int], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "period"
    """`shift` or `period`."""
    recipe: str = ""
    """Empty: parts of all recipes."""
    made_at: float = 0.0
    made_by: str = ""
    """Empty: by a timer, or from a shell."""


def strata_of(parts: Parts, said: Said) -> dict[str, Stratum]:
    """By verdict: all parts, those people decided, the defective ones. Of PASS and FAIL the random sample alone."""
    looked: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for key, verdict in zip(parts.key, parts.verdict.tolist(), strict=True):
        word: Word | None = said.words.get(key)
        if word is not None and (verdict == "REVIEW" or key in said.sampled):
            looked[verdict] += 1
            bad[verdict] += word.label == "defective"
    return {verdict: Stratum(parts.count(verdict), looked[verdict], bad[verdict]) for verdict in VERDICTS}


def figures_of(
    parts: Parts, said: Said, missed: int, *, deadline_ms: float, hours: float, challenges: Sequence[VirtualRun] = ()
) -> list[Figure]:
    """In the order in which they are printed. `challenges`: virtual ones of this period that could show something."""
    strata = strata_of(parts, said)
    return [
        *_quality(strata),
        _challenged(challenges),
        *_flow(parts, missed, deadline_ms),
        *_reviews(said, len(parts), hours),
        _traceability(parts),
    ]


def _quality(strata: dict[str, Stratum]) -> list[Figure]:
    rejected, passed = [strata["FAIL"], strata["REVIEW"]], strata["PASS"]
    unseen = [
        LOOK.format(f"parts that {what}", key)
        for what, verdict, key in (
            ("passed", "PASS", "pass_share"),
            ("failed", "FAIL", "fail_share"),
            ("are in REVIEW", "REVIEW", "due_min"),
        )
        if not strata[verdict].is_known
    ]
    seen = ", ".join(f"{one.seen} of {one.parts} {name}" for name, one in strata.items() if name != "ERROR")
    detection = detection_rate(rejected, [passed])
    wrong = false_reject_rate(rejected, [passed])
    why = "; ".join(unseen) or "no defective part was found in the samples"
    return [
        Figure(
            "true detection rate",
            NOT_KNOWN if detection is None or detection.low is None else f"at least {percent(detection.low)}",
            "" if detection is None else f"{percent(detection.value)} in the samples",
            seen,
            why if detection is None else "defective parts that were rejected, over strata; 20,000 draws, 95 %",
            is_key=True,
        ),
        Figure(
            "false reject rate",
            NOT_KNOWN if wrong is None else percent(wrong.value),
            "" if wrong is None else between(wrong),
            seen,
            ("; ".join(unseen) or "no good part was found in the samples")
            if wrong is None
            else "good parts that were rejected, over strata; 20,000 draws, 95 %",
            is_key=True,
        ),
        _false_accepts(passed),
    ]


def _false_accepts(passed: Stratum) -> Figure:
    name, of = "false accept risk", f"{passed.seen} of {passed.parts} PASS"
    if not passed.seen:
        return Figure(name, NOT_KNOWN, "", of, LOOK.format("parts that passed", "pass_share"), is_key=True)
    bound = at_most(passed.defective, passed.seen)
    most = most_in_batch(passed.defective, passed.seen, passed.parts)
    value = f"{passed.defective} of {passed.seen} sampled"
    interval = f"at most {percent(bound)}; of these {passed.parts} parts at most {most} are defective"
    return Figure(name, value, interval, of, "Clopper-Pearson, hypergeometric; one-sided 95 %", is_key=True)


def _challenged(runs: Sequence[VirtualRun]) -> Figure:
    """What the engines in use found of synthetic defects: it needs nobody who looks, and says nothing of real ones."""
    name, shown = "virtual challenge", sum(run.shown for run in runs)
    if not shown:
        return Figure(name, NOT_KNOWN, "", f"{shown} defects", "none in this time: [monitoring] virtual_challenge_min")
    share = wilson(shown - sum(run.missed for run in runs), shown)
    of = f"{shown} defects in {len(runs)} challenges"
    how = "synthetic defects that were found in good pictures of this time; Wilson 95 %"
    return Figure(name, f"{percent(share.value)} found", between(share), of, how)


def _flow(parts: Parts, missed: int, deadline_ms: float) -> list[Figure]:
    found = []
    number = len(parts)
    for verdict in VERDICTS:
        count = parts.count(verdict)
        share = wilson(count, number) if number else None
        value = f"{count}" if share is None else f"{count} ({percent(share.value)})"
        found.append(
            Figure(verdict, value, "" if share is None else between(share), f"{number} parts", "counted; Wilson 95 %")
        )
    found.append(Figure("missed", str(missed), "", f"{number} parts", "came while the station was not ready: counted"))
    cycle = np.diff(parts.wall_time)
    found.append(Figure("cycle time", _quantiles(cycle, "s"), "", f"{len(cycle)} gaps", "trigger to trigger", True))
    latency = parts.signalled_ms[np.isfinite(parts.signalled_ms)]
    over = int((latency > deadline_ms).sum() + parts.late.sum())
    found.append(Figure("latency", _quantiles(latency, "ms"), "", f"{len(latency)} parts", "trigger to result"))
    late = wilson(over, number) if number else None
    found.append(
        Figure(
            "over the deadline",
            "0" if late is None else f"{over} ({percent(late.value)})",
            "" if late is None else between(late),
            f"{number} parts",
            f"deadline {deadline_ms:g} ms, as it is configured now; Wilson 95 %",
        )
    )
    return found


def _reviews(said: Said, number: int, hours: float) -> list[Figure]:
    timed_out = sum(one.treatment == "timed out" for one in said.treated)
    per_hour = f"{said.decided / hours:.1f} decisions an hour" if hours > 0 else NOT_KNOWN
    per_thousand = f"{said.looking_s / 60 / number * 1000:.1f} min for 1,000 parts" if number else NOT_KNOWN
    took = np.array(said.took_s) / 60
    quick = (
        f"median {np.median(took):.0f} min, 90 % within {np.quantile(took, 0.9):.0f} min" if len(took) else NOT_KNOWN
    )
    found = [
        Figure("review load", per_hour, per_thousand, f"{said.decided} decisions", "counted", is_key=True),
        Figure("time to a decision", quick, "", f"{len(took)} parts", "from the queue to the first decision"),
        Figure("waiting", str(said.waiting), "", "parts of this period", "counted now"),
        Figure(
            "timed out", str(timed_out), "", f"{len(said.treated)} REVIEW", "nobody decided: treated as FAIL, no label"
        ),
    ]
    agreement = kappa(said.pairs)
    if agreement is None:
        how = "no two people have decided the same part blindly: [review] blind_share"
        return [*found, Figure("reviewers agree", NOT_KNOWN, "", f"{len(said.pairs)} parts", how)]
    same = sum(one == other for one, other in said.pairs)
    share = wilson(same, len(said.pairs))
    value = f"{percent(share.value)}, kappa {agreement.value:.2f}"
    interval = f"{between(share)}, kappa {agreement.low:.2f} to {agreement.high:.2f}"
    return [
        *found,
        Figure("reviewers agree", value, interval, f"{len(said.pairs)} parts", "blind pairs; Wilson, bootstrap"),
    ]


def _traceability(parts: Parts) -> Figure:
    whole = len(parts) - parts.lacking
    value = percent(whole / len(parts)) if len(parts) else NOT_KNOWN
    how = "row, engine, settings, image of what did not pass; what is missing is listed"
    return Figure("traceability", value, "", f"{whole} of {len(parts)} parts", how, is_key=True)


def pareto_of(parts: Parts) -> tuple[tuple[str, int], ...]:
    """First reasons with their verdict, most frequent first."""
    return tuple((f"{verdict}: {reason_text(code)}", count) for (code, verdict), count in parts.reasons.most_common(12))


def classes_of(said: Said) -> tuple[tuple[str, str, int], ...]:
    """What people called the defects, most frequent first."""
    found = Counter(
        (word.defect_class or WITHOUT_CLASS, word.severity or "")
        for word in said.words.values()
        if word.label == "defective"
    )
    return tuple((name, severity, count) for (name, severity), count in found.most_common(12))


def trend_of(parts: Parts, period: Period, before: tuple[int, int]) -> Trend:
    """`before`: rejected and all parts of the period before."""
    edges = np.linspace(period.since, period.until, TREND_POINTS + 1)
    rejected = np.isin(parts.verdict, ("FAIL", "REVIEW"))
    numbers, _ = np.histogram(parts.wall_time, edges)
    bad, _ = np.histogram(parts.wall_time[rejected], edges)
    shares = bad / np.maximum(numbers, 1)
    centre = before[0] / before[1] if before[1] else None
    starts: list[float] = edges[:-1].tolist()
    return Trend(tuple(starts), tuple(map(int, numbers)), tuple(map(float, shares)), centre)


def percent(share: float) -> str:
    """With the digits that say something: 99.12 %, 12.3 %, 0.034 %."""
    value = 100 * share
    near = round(min(value, 100 - value), 9)
    return f"{value:.{3 if 0 < near < 0.1 else 2 if 0 < near < 1 else 1}f} %"


def between(estimate: Estimate) -> str:
    """The interval in words."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def _quantiles(values: NDArray[np.float64], unit: str) -> str:
    if not len(values):
        return NOT_KNOWN
    p50, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99))
    return f"p50 {_short(p50)}, p95 {_short(p95)}, p99 {_short(p99)}, max {_short(values.max())} {unit}"


def _short(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
