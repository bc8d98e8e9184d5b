"""What the page of an evaluation says first: whether the promises hold, and which mistakes somebody looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.training.evaluation.results import Result
from engines.training.evaluation.tables import Results
from engines.training.pages.look import PageVerdict

MOST_FIRST = 8
PASSED = "Defective ({kind}), and nobody would see it: it passes."
REJECTED = "Good, and it would be rejected."


@dataclass(frozen=True)
class Mistake:
    """A test image that was judged wrongly."""

    result: Result
    position: int
    """In the test set."""
    score: float
    """Raw."""
    is_defective: bool
    """And passes; else it is good and rejected."""


def shown_results(results: Results, shown_first: Sequence[str]) -> list[Result]:
    """Of each data set, detector and training set the runs of one refinement: the first of `shown_first` there is."""
    found = []
    for dataset in results.datasets:
        for detector in results.detectors:
            for column in results.columns:
                runs = (results.get(dataset, detector, refine, column) for refine in shown_first)
                found += next((each for each in runs if each), [])
    return found


def mistakes_of(result: Result, arrays: Mapping[str, NDArray[Any]]) -> list[Mistake]:
    """The worst mistakes of a run that its maps were kept of, the worst first; defects that pass before good ones."""
    if result.review_score is None or result.reject_score is None or "scores" not in arrays:
        return []
    worst = [int(position) for position in arrays.get("worst", np.empty(0, np.intp))]
    scores = arrays["scores"]
    missed = [at for at in worst if at >= result.test_good and scores[at] <= result.review_score]
    rejected = [at for at in worst if at < result.test_good and scores[at] > result.reject_score]
    missed.sort(key=lambda at: float(scores[at]))
    rejected.sort(key=lambda at: -float(scores[at]))
    return [Mistake(result, at, float(scores[at]), at >= result.test_good) for at in (*missed, *rejected)]


def first_mistakes(found: Sequence[Sequence[Mistake]]) -> list[Mistake]:
    """At most `MOST_FIRST`, taken from each run in turn, so that no data set hides the others."""
    turns = max(map(len, found), default=0)
    mixed = [run[turn] for turn in range(turns) for run in found if turn < len(run)]
    return sorted(mixed, key=lambda one: not one.is_defective)[:MOST_FIRST]


def verdict_of(results: Results, shown: Sequence[Result], look_at: int) -> PageVerdict:
    """What stands on top."""
    failed = len(results.failed)
    broken = (f"{failed} of {len(results.all)} runs failed: see below.",) if failed else ()
    if not shown:
        return PageVerdict("FAIL", "No results", broken or ("No run is done yet.",))
    judged = [result for result in shown if result.promise_refuted is not None]
    refuted = [result for result in judged if result.promise_refuted]
    if refuted:
        why = (
            f"In {len(refuted)} of {len(judged)} runs more good parts are rejected than was promised, and chance does "
            "not explain it."
        )
        return PageVerdict("FAIL", "The promise does not hold", (why, *broken))
    held = f"The promise on good parts holds in all {len(judged)} runs." if judged else "No promise was tested."
    if look_at:
        head = "Look at this one first" if look_at == 1 else f"Look at these {look_at} first"
        return PageVerdict("REVIEW", head, (f"They are judged wrongly. {held}", *broken))
    if broken or not judged:
        return PageVerdict("REVIEW", "Look at what failed first" if broken else "Not known", (held, *broken))
    return PageVerdict("PASS", "May be used", (held,))
