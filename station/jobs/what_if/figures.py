"""Two decisions on each part, and what they come to: verdicts, parts that change, good and defective ones by label."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from station.jobs.what_if.alike import Numbered
from station.records.parts import PartRow
from station.reports.production.estimators import at_most, wilson
from station.results import SEVERITY, Verdict

LISTED = 60
"""Parts that change and are named one by one, the most important first."""
Note = Literal["other engine", "measured otherwise", "not inspected", "without image", "longest not known", "sampled"]


class NoEngine(Exception):
    """The engine is not there; the message says what to do."""


class Replayed(NamedTuple):
    """A part under the limits of now and under others."""

    part: PartRow | Numbered
    before: Verdict
    after: Verdict
    weight: float = 1.0
    """For how many parts it stands: more than one where only a sample keeps its image."""


RowsOf = Callable[[Sequence[int]], Mapping[int, PartRow]]
"""The rows of parts that are known by their number."""


@dataclass
class Outcome:
    """Everything that is said of a what-if."""

    from_images: bool
    parts: int = 0
    before: dict[str, float] = field(default_factory=dict)
    """Parts by verdict."""
    after: dict[str, float] = field(default_factory=dict)
    moves: dict[str, float] = field(default_factory=dict)
    """By "FAIL > PASS"."""
    sampled: int = 0
    """PASS parts that stand for more than themselves."""
    changed: list[dict[str, Any]] = field(default_factory=list)
    changed_parts: int = 0
    good: dict[str, Any] = field(default_factory=dict)
    """Of parts that people labelled good: how many are rejected, and in review."""
    defective: dict[str, Any] = field(default_factory=dict)
    """Of those labelled defective: how many pass."""
    notes: dict[str, int] = field(default_factory=dict)
    """How many parts were left out, or are not exact, and why."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def outcome_of(
    replayed: Iterable[Replayed],
    labels: Mapping[tuple[str, int], str],
    notes: Counter[Note],
    *,
    from_images: bool,
    rows_of: RowsOf = lambda _numbers: {},
) -> Outcome:
    """`labels`: good or defective, by session and number of the part. `rows_of`: the rows of those that are named."""
    done = Outcome(from_images)
    weights: dict[tuple[Verdict, Verdict], float] = {}
    changed: list[tuple[Replayed, str]] = []
    labelled: list[tuple[Replayed, str]] = []
    for one in replayed:
        label = labels.get((one.part.session, one.part.acquisition_id), "") if labels else ""
        done.parts += 1
        done.sampled += one.weight > 1
        move = (one.before, one.after)
        weights[move] = weights.get(move, 0.0) + one.weight
        if one.before is not one.after:
            changed.append((one, label))
        if label:
            labelled.append((one, label))
    before, after, moves = Counter[str](), Counter[str](), Counter[str]()
    for (was, would), weight in weights.items():
        before[was.name] += weight  # type: ignore[assignment]  # a Counter may hold floats
        after[would.name] += weight  # type: ignore[assignment]
        if was is not would:
            moves[f"{was.name} > {would.name}"] += weight  # type: ignore[assignment]
    done.before, done.after, done.moves = (_rounded(each) for each in (before, after, moves))
    done.changed_parts = len(changed)
    listed = heapq.nsmallest(LISTED, changed, key=_importance)
    rows = rows_of([one.part.number for one, _ in listed if isinstance(one.part, Numbered)])
    done.changed = [_line(one, label, rows) for one, label in listed]
    done.good = _good([one for one, label in labelled if label == "good"])
    done.defective = _defective([one for one, label in labelled if label == "defective"])
    done.notes = {str(note): count for note, count in notes.items()}
    return done


def _good(parts: Sequence[Replayed]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(parts)}
    for name, verdicts in (("rejected", (Verdict.FAIL, Verdict.ERROR)), ("review", (Verdict.REVIEW,))):
        for when in ("before", "after"):
            count = sum(getattr(one, when) in verdicts for one in parts)
            found[f"{name}_{when}"] = count
            if parts:
                share = wilson(count, len(parts))
                found[f"{name}_{when}_share"] = [round(each or 0.0, 5) for each in (share.value, share.low, share.high)]
    return found


def _defective(parts: Sequence[Replayed]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(parts)}
    for when in ("before", "after"):
        count = sum(getattr(one, when) is Verdict.PASS for one in parts)
        found[f"passed_{when}"] = count
        if parts:
            found[f"passed_{when}_at_most"] = round(at_most(count, len(parts)), 5)
    return found


def _importance(change: tuple[Replayed, str]) -> tuple[bool, bool, bool, int, float]:
    """Labelled defects that would pass first, then whatever would pass, then the largest steps, newest first."""
    one, label = change
    passes = one.after is Verdict.PASS
    step = abs(SEVERITY[one.after] - SEVERITY[one.before])
    return not (passes and label == "defective"), not passes, label != "defective", -step, -one.part.wall_time


def _line(one: Replayed, label: str, rows: Mapping[int, PartRow]) -> dict[str, Any]:
    part = rows[one.part.number] if isinstance(one.part, Numbered) else one.part
    shown = next((view.camera for view in part.views if view.image_path), "")
    return {
        "session": part.session,
        "acquisition_id": part.acquisition_id,
        "part_id": part.part_id,
        "score": part.score,
        "before": one.before.name,
        "after": one.after.name,
        "label": label,
        "camera": shown,
    }


def _rounded(counts: Counter[str]) -> dict[str, float]:
    return {name: round(count, 1) for name, count in sorted(counts.items())}
