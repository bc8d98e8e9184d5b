"""From what the station recorded and what the line saw to the figures of the demo's report.

Pure: outcomes in, a dictionary out, in the form that is written as JSON. Parts with the verdict ERROR were not
inspected: they count in the ledger, not in the confusion, the AUROC or the times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from station.results import Verdict
from station.simulation.parts.pictures import GOOD
from station.simulation.plant.belt import Bin
from station.simulation.plant.plc import ID_NOT_ACKNOWLEDGED, NOT_READY

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One part: what it was, what the station said, where it ended."""

    part_id: int
    truth: str
    verdicts: tuple[Verdict, ...]
    """Exactly one when all is well; the records of the station with this part id."""
    end: Bin | None
    """None when the part did not leave the belt before the line stopped."""
    fired_error_counts: int | None = None
    """Where the part was when the ejector hit it, in counts from the middle of the ejector."""
    why_rejected: str = ""
    """What the PLC said."""
    reason: str = ""
    """What the station said."""
    score: float | None = None
    latency_ms: float | None = None
    engine_ms: float | None = None
    recipe: str = ""
    """Under which it was judged."""
    product: str = ""
    """What it was, where each product has its recipe of that name; empty: there is one recipe."""

    @property
    def verdict(self) -> Verdict | None:
        return self.verdicts[0] if len(self.verdicts) == 1 else None

    @property
    def defective(self) -> bool:
        return self.truth != GOOD

    @property
    def inspected(self) -> bool:
        return self.verdict not in (None, Verdict.ERROR)


def auroc(negatives: Sequence[float], positives: Sequence[float]) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Mann-Whitney: (sum of the positives' ranks - n (n + 1) / 2) / (n m) with average ranks for ties. None when one of
    the two is empty.
    """
    n, m = len(positives), len(negatives)
    if not n or not m:
        return None
    scores = np.concatenate([np.asarray(positives, np.float64), np.asarray(negatives, np.float64)])
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    ranks = (last_rank - (counts - 1) / 2)[inverse]
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def spread(values: Sequence[float], percentiles: Sequence[int] = PERCENTILES) -> dict[str, float | None]:
    """`{"p50": ..., ...}` with linear interpolation; None when there are no values."""
    if not values:
        return {f"p{percentile}": None for percentile in percentiles}
    return {f"p{percentile}": round(float(np.percentile(values, percentile)), 3) for percentile in percentiles}


def ledger(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Triggers and verdicts of these parts, as recorded."""
    verdicts = Counter(verdict for outcome in outcomes for verdict in outcome.verdicts)
    return {
        "triggers": sum(verdicts.values()),
        "pass": verdicts[Verdict.PASS],
        "fail": verdicts[Verdict.FAIL],
        "review": verdicts[Verdict.REVIEW],
        "error": verdicts[Verdict.ERROR],
    }


def confusion(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Truth against verdict, over the inspected parts."""
    table = {f"{truth}_{verdict}": 0 for truth in ("good", "defective") for verdict in ("pass", "review", "fail")}
    for outcome in outcomes:
        if outcome.inspected and outcome.verdict is not None:
            table[f"{'defective' if outcome.defective else 'good'}_{outcome.verdict.name.lower()}"] += 1
    return table


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Verdicts per kind of part (`good`, `scratch`, ...)."""
    kinds: dict[str, dict[str, int]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.defective, outcome.truth)):
        row = kinds.setdefault(outcome.truth, {"pass": 0, "review": 0, "fail": 0, "error": 0})
        for verdict in outcome.verdicts:
            row[verdict.name.lower()] += 1
    return kinds


def by_recipe(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Ledger and confusion of the parts of each product, and which were judged as another one."""
    products = {}
    for product in sorted({outcome.product for outcome in outcomes}):
        parts = [outcome for outcome in outcomes if outcome.product == product]
        products[product] = {"ledger": ledger(parts), "confusion": confusion(parts)}
    return {"products": products, "judged_as_another": under_another_recipe(outcomes)}


def under_another_recipe(outcomes: Sequence[Outcome]) -> list[int]:
    """Parts that were judged as another product."""
    return [outcome.part_id for outcome in outcomes if outcome.verdicts and outcome.product not in ("", outcome.recipe)]


def problems(outcomes: Sequence[Outcome], counted: Mapping[str, int], unexposed: Collection[int] = ()) -> list[str]:
    """What must never be, in words; empty when all is well.

    `counted` is the ledger over all parts; `unexposed` are parts that left the camera's view before an exposure.
    """
    found = []
    verdicts = sum(counted[name] for name in ("pass", "fail", "review", "error"))
    if counted["triggers"] != verdicts:
        found.append(f"the ledger does not balance: {counted['triggers']} triggers, {verdicts} verdicts")
    without: dict[str, list[int]] = {}
    for outcome in outcomes:
        if not outcome.verdicts:
            without.setdefault(outcome.why_rejected or "no reason known", []).append(outcome.part_id)
    for why, part_ids in without.items():
        text = f"parts without a verdict: {ids_in_words(part_ids)}; the PLC says: {why}"
        if why in (ID_NOT_ACKNOWLEDGED, NOT_READY):
            text += "; this machine is too slow or too busy for this --rate"
        found.append(text)
    twice = [outcome.part_id for outcome in outcomes if len(outcome.verdicts) > 1]
    if twice:
        found.append(f"parts with more than one verdict: {ids_in_words(twice)}")
    slipped = [outcome.part_id for outcome in outcomes if outcome.end is Bin.GOOD and outcome.verdict != Verdict.PASS]
    if slipped:
        found.append(f"parts in the good bin without a PASS: {ids_in_words(slipped)}")
    mistaken = [outcome.part_id for outcome in outcomes if outcome.inspected and outcome.part_id in unexposed]
    if mistaken:
        found.append(
            "parts that were judged by a picture taken after they had left the camera's view: "
            f"{ids_in_words(mistaken)}; this machine is too slow or too busy for this --rate"
        )
    if wrong := under_another_recipe(outcomes):
        found.append(f"parts judged under the recipe of another product: {ids_in_words(wrong)}")
    lost = [outcome.part_id for outcome in outcomes if outcome.end is None]
    if lost:
        found.append(f"parts that never left the belt: {ids_in_words(lost)}")
    return found


def report(outcomes: Sequence[Outcome], engine_id: str) -> dict[str, Any]:
    """The keys of the report that other tools rely on, and per kind, reasons and ejections beside them."""
    inspected = [outcome for outcome in outcomes if outcome.inspected]
    scored = [outcome for outcome in inspected if outcome.score is not None]
    latency = [outcome.latency_ms for outcome in inspected if outcome.latency_ms is not None]
    engine = [outcome.engine_ms for outcome in inspected if outcome.engine_ms is not None]
    overhead = [
        outcome.latency_ms - outcome.engine_ms
        for outcome in inspected
        if outcome.latency_ms is not None and outcome.engine_ms is not None
    ]
    area = auroc(
        [outcome.score for outcome in scored if outcome.score is not None and not outcome.defective],
        [outcome.score for outcome in scored if outcome.score is not None and outcome.defective],
    )
    rejected = [outcome for outcome in outcomes if outcome.end is Bin.REJECT]
    hits = [outcome.fired_error_counts for outcome in rejected if outcome.fired_error_counts is not None]
    return {
        "ledger": ledger(outcomes),
        "truth": {
            "good": sum(not outcome.defective for outcome in outcomes),
            "defective": sum(outcome.defective for outcome in outcomes),
        },
        "confusion": confusion(outcomes),
        "latency_ms": {**spread(latency), "max": round(max(latency), 3) if latency else None},
        "engine_ms": spread(engine, (50, 99)),
        "overhead_ms": spread(overhead, (50, 99)),
        "engine_share": round(sum(engine) / sum(latency), 4) if latency else None,
        "engine_id": engine_id,
        "ejected_part_ids": [outcome.part_id for outcome in rejected],
        "image_auroc": None if area is None else round(area, 6),
        "by_kind": by_kind(outcomes),
        "error_parts_by_reason": dict(
            Counter(outcome.reason for outcome in outcomes if outcome.verdict is Verdict.ERROR).most_common()
        ),
        "passed_but_ejected": {
            str(outcome.part_id): outcome.why_rejected for outcome in rejected if outcome.verdict is Verdict.PASS
        },
        "ejector_error_counts": {
            "mean": round(float(np.mean(hits)), 1) if hits else None,
            "max": max(hits, key=abs) if hits else None,
        },
        "parts": [
            {
                "part_id": outcome.part_id,
                "truth": outcome.truth,
                "verdict": outcome.verdict.name if outcome.verdict else None,
                "reason": outcome.reason,
                "score": outcome.score,
                "latency_ms": None if outcome.latency_ms is None else round(outcome.latency_ms, 3),
                "bin": outcome.end.value if outcome.end else None,
                "why_rejected": outcome.why_rejected,
                "fired_error_counts": outcome.fired_error_counts,
            }
            for outcome in outcomes
        ],
    }


def ids_in_words(ids: Sequence[int]) -> str:
    """The first of them, and how many there are more."""
    shown = ", ".join(map(str, ids[:20]))
    return shown if len(ids) <= 20 else f"{shown} and {len(ids) - 20} more"
