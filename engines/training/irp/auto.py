"""Refinement as we do it: held-out scores, a robust core first, then images and places, and nothing where nothing is.

Each image is scored by models that did not see it: scored by its own model, dirt hides itself. The first rounds are
concentration steps (Rousseeuw and Van Driessen 1999, "A fast algorithm for the minimum covariance determinant
estimator"): learn from the half that looks most alike, score everything, take the best half again. Then the limit is
drawn from the densest half of the scores and every image below it is learned again, so clean images come back and what
stays above it stays out. If that leaves signs of dirt, places in the kept images whose score is out of the ordinary
for their location lose their weight, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engines.training.irp.guards import Guards
from engines.training.irp.records import CellWeights, Checkpoint, Found, Indices, Judge, RefineOptions, Round, Scores
from engines.training.irp.thresholds import shortest_half

IMAGE_DEVIATIONS = 5.0
"""An image leaves when it scores so many deviations above the centre of the densest half. Good images have a tail to
the right; a lower limit removes their rarer ones."""
CELL_DEVIATIONS = 3.0
"""A place loses its weight so many robust deviations above the median of its location."""
CORE_ROUNDS = 2
MAX_ROUNDS = 7
MASK_ROUNDS = 2
MAD_TO_DEVIATION = 1.4826
MIN_DIRT_SHARE = 0.03
"""With fewer outlying images than this the data count as clean: even good data have a few."""


def auto_rounds(
    judge: Judge, guards: Guards, options: RefineOptions, checkpoint: Checkpoint | None, on_round: Callable[[], None]
) -> Found:
    """Rounds until no image leaves or comes back."""
    start = guards.start
    rounds = checkpoint.load() if checkpoint else []
    learned = start
    for done in rounds:
        learned = np.union1d(np.setdiff1d(learned, done.removed), done.returned)
    max_rounds = options.max_rounds or MAX_ROUNDS
    capped = False
    while len(rounds) < max_rounds and not _settled(rounds):
        all_scores, _ = judge.unseen(learned, None)
        if len(rounds) < CORE_ROUNDS:
            limit = float(np.median(all_scores[start]))
            capped = False
        else:
            limit = _limit(all_scores[start])
            limit, capped = _within_cap(all_scores, limit, guards)
        above = start[all_scores[start] > limit]
        above = guards.removable(above[np.argsort(-all_scores[above], kind="stable")])
        removed = above[np.isin(above, learned)]
        kept = np.setdiff1d(start, above)
        rounds.append(Round(start, all_scores[start], limit, removed, np.setdiff1d(kept, learned), 0.0))
        learned = kept
        if checkpoint:
            checkpoint.save(rounds)
        on_round()
    all_scores, cells = judge.unseen(learned, None)
    dirt_share = 1 - len(learned) / len(start)
    clean = dirt_share < MIN_DIRT_SHARE
    found = Found(rounds, learned, None, all_scores, rounds[-1].limit, capped, 0.0 if clean else dirt_share)
    return found if clean else _mask(judge, found, cells, on_round)


def _mask(judge: Judge, found: Found, cells: NDArray[np.float32], on_round: Callable[[], None]) -> Found:
    """Take the weight of outlying places in images that stay."""
    weights = cell_weights(cells, found.kept)
    for _ in range(MASK_ROUNDS):
        scores, cells = judge.unseen(found.kept, weights)
        weights = cell_weights(cells, found.kept)
        on_round()
    masked_share = 1 - float(weights[found.kept].mean())
    rounds = [*found.rounds[:-1], replace(found.rounds[-1], masked_share=masked_share)]
    return replace(found, rounds=rounds, weights=weights, scores=scores)


def cell_weights(cells: NDArray[np.float32], learned: Indices) -> CellWeights:
    """1 where a cell is in the ordinary range of its location among the learned images, else 0.

    The deviation of a location is drawn half way to the typical one: few images make it uncertain.
    """
    median = np.median(cells[learned], axis=0)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(cells[learned] - median), axis=0)
    deviation = (deviation + np.median(deviation)) / 2
    weights: CellWeights = (cells <= median + CELL_DEVIATIONS * deviation).astype(np.uint8)
    return weights


def _settled(rounds: list[Round]) -> bool:
    """True once a round after the concentration steps changed nothing."""
    return len(rounds) > CORE_ROUNDS and len(rounds[-1].removed) == 0 and len(rounds[-1].returned) == 0


def _limit(scores: Scores) -> float:
    centre, deviation = shortest_half(scores)
    return centre + IMAGE_DEVIATIONS * deviation


def _within_cap(all_scores: Scores, limit: float, guards: Guards) -> tuple[float, bool]:
    """The limit, raised if more images are above it than may be removed; True when it was."""
    ordered = np.sort(all_scores[guards.start])
    at_least = len(ordered) - guards.allowance(guards.start)
    lowest = float(ordered[at_least - 1])
    return max(limit, lowest), limit < lowest
