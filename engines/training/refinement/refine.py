"""Entry point: picks the method, applies the guards, reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.refinement.auto import auto_rounds
from engines.training.refinement.guards import Guards
from engines.training.refinement.paper import paper_rounds
from engines.training.refinement.records import (
    REFINEMENTS,
    CellWeights,
    Checkpoint,
    Found,
    Indices,
    Judge,
    Refinement,
    RefineOptions,
    Round,
    Scores,
)
from engines.training.refinement.suspects import suspects_of
from engines.training.refinement.variants import look_alikes

MAX_REMOVED_SHARE = 0.9
MAX_TIMES_KEPT = 3
"""How often images that look alike are taken back, with the answer `keep`."""


def refine(
    judge: Judge,
    count: int,
    options: RefineOptions,
    checkpoint: Checkpoint | None = None,
    on_round: Callable[[], None] = lambda: None,
) -> Refinement:
    """Find the images, out of `count`, that are fit to learn from.

    Args:
        judge: trains and scores.
        checkpoint: keeps finished rounds; None: a killed run starts anew.
        on_round: called after each.

    Raises:
        TrainingError: options that contradict each other, scores that are not finite, everything removed.
    """
    if options.method not in REFINEMENTS:
        raise TrainingError(f'unknown refinement "{options.method}"; known: {", ".join(REFINEMENTS)}')
    if not options.factor > 1:
        raise TrainingError(f"lambda {options.factor}: must be above 1, it is a multiple of the median score")
    if not 0 <= options.max_removed_share <= MAX_REMOVED_SHARE:
        raise TrainingError(
            f"max_removed_share {options.max_removed_share}: allowed is 0 to {MAX_REMOVED_SHARE}, not all can leave"
        )
    guards = Guards.of(count, options)
    if len(guards.start) < 2:
        raise TrainingError(
            f"{len(guards.known_bad)} of {count} images are known-bad: fewer than 2 are left to learn from"
        )
    judge = _Checked(judge)
    if options.method == "none":
        return _untouched(guards)
    found = _rounds(judge, guards, options, checkpoint, on_round)
    groups = _look_alikes(judge, guards, found)
    if options.variants == "keep":
        learned = groups
        for _ in range(MAX_TIMES_KEPT):  # with one variant learned, another one may show
            if not groups:
                break
            options = replace(options, known_good=options.known_good.union(*(group.tolist() for group in groups)))
            guards = Guards.of(count, options)
            found = _rounds(judge, guards, options, None, on_round)
            groups = _look_alikes(judge, guards, found)
            learned = (*learned, *groups)
        groups = learned
    out = np.setdiff1d(guards.start, found.kept)
    return Refinement(
        method=options.method,
        kept=found.kept,
        removed=np.concatenate([guards.known_bad, _in_order(found.rounds, out)]),
        rounds=tuple(found.rounds),
        weights=found.weights,
        final_scores=found.scores,
        final_limit=found.limit,
        capped=found.capped,
        dirt_share=found.dirt_share,
        variants=groups,
        protected=_protected(found, guards),
        suspects=suspects_of(found, guards.start, groups) if options.method == "auto" else out[:0],
        doubtful=np.setdiff1d(found.doubtful, np.concatenate([*groups, out[:0]])),  # about groups a person is asked
    )


def _rounds(
    judge: Judge, guards: Guards, options: RefineOptions, checkpoint: Checkpoint | None, on_round: Callable[[], None]
) -> Found:
    rounds = auto_rounds if options.method == "auto" else paper_rounds
    return rounds(judge, guards, options, checkpoint, on_round)


def _look_alikes(judge: Judge, guards: Guards, found: Found) -> tuple[Indices, ...]:
    return look_alikes(judge, np.setdiff1d(guards.start, found.kept), found.kept, found.weights)


def _untouched(guards: Guards) -> Refinement:
    scores = np.zeros(guards.count)
    nothing = np.empty(0, np.intp)
    return Refinement(
        "none", guards.start, guards.known_bad, (), None, scores, np.inf, False, 0.0, (), nothing, nothing, nothing
    )


class _Checked:
    """A judge whose scores are finite, or refinement ends."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.positive = judge.positive
        self.describe = judge.describe
        self.recurring = judge.recurring
        self.parts = judge.parts

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        """See `Judge.own`."""
        return _finite(self._judge.own(kept, continued=continued), kept)

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        """See `Judge.unseen`."""
        scores, cells = self._judge.unseen(learned, weights)
        return _finite(scores, np.arange(len(scores))), cells


def _finite(scores: Scores, images: Indices) -> Scores:
    broken = ~np.isfinite(scores)
    if broken.any():
        raise TrainingError(
            f"image number {images[broken][0]} scores {scores[broken][0]}: the features or the training are broken"
        )
    return scores


def _in_order(rounds: list[Round], out: Indices) -> Indices:
    """The images that are out in the end, by the round in which they last left, worst first."""
    left: dict[int, None] = {}
    for entry in rounds:
        for index in entry.removed.tolist():
            left.pop(index, None)
            left[index] = None
    stays_out = set(out.tolist())
    return np.array([index for index in left if index in stays_out], np.intp)


def _protected(found: Found, guards: Guards) -> Indices:
    known_good = np.array(sorted(guards.options.known_good), np.intp)
    return known_good[found.scores[known_good] > found.limit]
