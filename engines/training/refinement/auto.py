"""Refinement as we do it: held-out scores, a robust core first, then images and places, and nothing where nothing is.

Each image is scored by models that did not see it: scored by its own model, dirt hides itself. The first rounds are
concentration steps (Rousseeuw and Van Driessen 1999, "A fast algorithm for the minimum covariance determinant
estimator"): learn from the half that looks most alike, score everything, take the best half again. Then the limit is
drawn from the densest third of the scores and every image below it is learned again, so clean images come back and what
stays above it stays out. If that leaves signs of dirt, places in the kept images whose score is out of the ordinary
for their location lose their weight, too; of clean data they take hardly anything. Many signs say that much of the dirt
is too weak to stand out: then more images leave, and suspect ones lose more places. Of KolektorSDD with 10 % dirt twice
as many good ones leave as defective ones: those that are hardly out are doubtful, see `Refinement.doubtful`.

What recurs is spared: a place where several parts differ from the ordinary in the same way is how the product varies
(an edge that some pictures show), and a model that must not learn it takes good parts for defects.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engines.training.refinement.guards import Guards
from engines.training.refinement.records import (
    CellWeights,
    Checkpoint,
    Found,
    Indices,
    Judge,
    RefineOptions,
    Round,
    Scores,
)
from engines.training.refinement.thresholds import densest_third

IMAGE_DEVIATIONS = 5.0
"""An image leaves when it scores this many deviations above the centre of the densest third. Good images have a tail to
the right; a lower limit removes their rarer ones."""
CORE_ROUNDS = 2
MAX_ROUNDS = 7
MIN_DIRT_SHARE = 0.03
"""With fewer outlying images than this, and clean cells, the data count as clean: even good data have a few."""

TAIL_DEVIATIONS = 4.0
CLEAN_TAIL_SHARE = 0.005
"""Share of cells that far above the median of their location that good parts have, too. Measured once the outlying
images had left: 0.0015 on clean bottles, 0.003 on clean magnetic tile and 0.005 with 10 % dirt, but 0.007 on clean
KolektorSDD: so what is done above this must cost clean data nothing."""
CELL_DEVIATIONS = 2.0
CELL_PEAK_DEVIATIONS = 3.0
"""In data with more, connected cells lose their weight beyond the first, if one of them is beyond the second. Without
the second, clean KolektorSDD lost so much of its ordinary spread that 0.35 of the defects passed in place of 0.19."""
MASKED_IMAGE_DEVIATIONS = 4.0
"""And an image leaves: in dirty data more of what is far out is dirt."""
VERY_DIRTY_TAIL_SHARE = 0.007
"""With more outlying cells than that much dirt is weak, and it is what is learned. Images are judged by their oddness
from here on, see `oddness`."""
ODD_IMAGE_DEVIATIONS = 2.0
SUSPECT_CELL_DEVIATIONS = 1.0
"""Cells beyond it lose their weight in images that are odder than the ordinary one; the others keep all: they hold up
the spread."""
RECURRING_DEVIATIONS = 1.0
"""What lies further out is compared with other parts: where several differ in the same way, it keeps its weight."""
DOUBTFUL_DEVIATIONS = 6.0
"""What leaves below that may be good, though it may be an example of defects, too (`suspects.py`). With 5, 3.9 % of the
good test parts of KolektorSDD with 10 % dirt are rejected, with 6 or 8 the 1 % that was promised."""
HOTTEST_SHARE = 0.02
MASK_ROUNDS = 3
MAD_TO_DEVIATION = 1.4826
MIN_DEVIATION = 1e-6
"""Of cells that never vary."""
ALL_CELLS = np.ones((3, 3), np.bool_)
NO_CELL = np.zeros((3, 3), np.bool_)
"""Which neighbours are connected, in one image and between images."""


def auto_rounds(
    judge: Judge, guards: Guards, options: RefineOptions, checkpoint: Checkpoint | None, on_round: Callable[[], None]
) -> Found:
    """Rounds until no image leaves or comes back."""
    start = guards.start
    rounds = checkpoint.load() if checkpoint else []
    learned = start
    for done in rounds:
        learned = np.union1d(np.setdiff1d(learned, done.removed), done.returned)
    max_rounds = CORE_ROUNDS + options.max_rounds if options.max_rounds else MAX_ROUNDS
    while len(rounds) < max_rounds and not _settled(rounds):
        all_scores, _ = judge.unseen(learned, None)
        if len(rounds) < CORE_ROUNDS:
            limit = float(np.median(all_scores[start]))
        else:
            limit = _within_cap(all_scores, _limit(all_scores[start], IMAGE_DEVIATIONS), guards)
        kept, removed = _split(all_scores, limit, guards, learned)
        rounds.append(Round(start, all_scores[start], limit, removed, np.setdiff1d(kept, learned), 0.0))
        learned = kept
        if checkpoint:
            checkpoint.save(rounds)
        on_round()
    all_scores, cells = judge.unseen(learned, None)
    share = 1 - len(learned) / len(start)
    limit = rounds[-1].limit
    capped = _limit(rounds[-1].scores, IMAGE_DEVIATIONS) < limit
    dirt_share = share if share >= MIN_DIRT_SHARE else 0.0
    found = Found(rounds, learned, None, all_scores, limit, capped, dirt_share, start[:0])
    tail_share = float(np.mean(_deviations(cells, learned)[learned] > TAIL_DEVIATIONS))
    if tail_share <= CLEAN_TAIL_SHARE:
        return found
    return _mask(judge, found, cells, guards, very_dirty=tail_share > VERY_DIRTY_TAIL_SHARE, on_round=on_round)


def _mask(
    judge: Judge,
    found: Found,
    cells: NDArray[np.float32],
    guards: Guards,
    *,
    very_dirty: bool,
    on_round: Callable[[], None],
) -> Found:
    """Take the weight of outlying places in images that stay, and let the sharper model look at the images again."""
    rounds = found.rounds
    learned = found.kept
    scores = found.scores
    start = guards.start
    limit, capped = found.limit, found.capped
    spared = judge.recurring(_deviations(cells, learned) > RECURRING_DEVIATIONS, learned)
    spared[guards.known_good] = True  # what is odd about them is what they were vouched for
    weigh = suspect_weights if very_dirty else cell_weights
    deviations = ODD_IMAGE_DEVIATIONS if very_dirty else MASKED_IMAGE_DEVIATIONS
    weights = weigh(cells, learned, spared)
    for _ in range(MASK_ROUNDS):
        scores, cells = judge.unseen(learned, weights)
        if very_dirty:
            scores = oddness(cells, learned)
        wanted = _limit(scores[start], deviations)
        limit = _within_cap(scores, wanted, guards)
        capped = wanted < limit
        kept, removed = _split(scores, limit, guards, learned)
        weights = weigh(cells, kept, spared)
        returned = np.setdiff1d(kept, learned)
        masked_share = 1 - float(weights[kept].mean())
        rounds = [*rounds, Round(start, scores[start], limit, removed, returned, masked_share)]
        learned = kept
        on_round()
    out = np.setdiff1d(start, learned)
    doubtful = out[scores[out] <= _limit(scores[start], DOUBTFUL_DEVIATIONS)] if very_dirty else out[:0]
    return Found(rounds, learned, weights, scores, limit, capped, len(out) / len(start), doubtful)


def _split(all_scores: Scores, limit: float, guards: Guards, learned: Indices) -> tuple[Indices, Indices]:
    """The images to learn next, and those of `learned` that leave, worst first."""
    above = guards.start[all_scores[guards.start] > limit]
    above = guards.removable(above[np.argsort(-all_scores[above], kind="stable")])
    return np.setdiff1d(guards.start, above), above[np.isin(above, learned)]


def cell_weights(cells: NDArray[np.float32], learned: Indices, spared: NDArray[np.bool_]) -> CellWeights:
    """0 where connected cells, corners included, are out of the ordinary range of their location among the learned
    images and one of them is far out, else 1; `spared` ones (as `cells`) are 1 in any case.
    """
    deviations = _deviations(cells, learned)
    regions, count = ndimage.label(deviations > CELL_DEVIATIONS, structure=np.stack([NO_CELL, ALL_CELLS, NO_CELL]))
    peaks = ndimage.maximum(deviations, regions, np.arange(1, count + 1))
    far_out = np.r_[False, np.asarray(peaks) > CELL_PEAK_DEVIATIONS]
    weights: CellWeights = (~far_out[regions]).astype(np.uint8)
    weights[spared] = 1
    return weights


def suspect_weights(cells: NDArray[np.float32], learned: Indices, spared: NDArray[np.bool_]) -> CellWeights:
    """0 where a cell is above the ordinary one of its location, in images odder than the ordinary one; 1 as above."""
    odd = oddness(cells, learned)
    is_suspect = odd > densest_third(odd)[0]
    above = _deviations(cells, learned) > SUSPECT_CELL_DEVIATIONS
    weights = (~(above & is_suspect[:, np.newaxis, np.newaxis])).astype(np.uint8)
    weights[spared] = 1
    return weights


def oddness(cells: NDArray[np.float32], learned: Indices) -> Scores:
    """For every image how far its hottest cells lie above the ordinary of their locations, less half of what the whole
    image does: good images differ in exposure all over, defects in a place.

    Of KolektorSDD's training images with 40 % dirt this puts 0.82 of the pairs in the right order (AUROC), the score
    0.74; of bottle's and magnetic tile's both as many.
    """
    flat = _deviations(cells, learned).reshape(len(cells), -1)
    count = max(1, round(HOTTEST_SHARE * flat.shape[1]))
    hottest = np.partition(flat, flat.shape[1] - count, axis=1)[:, flat.shape[1] - count :]
    odd: Scores = hottest.mean(axis=1, dtype=np.float64) - np.median(flat, axis=1) / 2
    return odd


def _deviations(cells: NDArray[np.float32], learned: Indices) -> NDArray[np.float32]:
    """How many robust deviations each cell is above the median of its location among the learned images.

    The deviation of a location is drawn half way to the typical one: few images make it uncertain.
    """
    median = np.median(cells[learned], axis=0)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(cells[learned] - median), axis=0)
    deviation = (deviation + np.median(deviation)) / 2
    above: NDArray[np.float32] = (cells - median) / np.maximum(deviation, MIN_DEVIATION)
    return above


def _settled(rounds: list[Round]) -> bool:
    """True once a round after the concentration steps changed nothing."""
    return len(rounds) > CORE_ROUNDS and len(rounds[-1].removed) == 0 and len(rounds[-1].returned) == 0


def _limit(scores: Scores, deviations: float) -> float:
    centre, deviation = densest_third(scores)
    return centre + deviations * deviation


def _within_cap(all_scores: Scores, limit: float, guards: Guards) -> float:
    """The limit, raised if more images are above it than may be removed."""
    ordered = np.sort(all_scores[guards.start])
    at_least = len(ordered) - guards.allowance(guards.start)
    return max(limit, float(ordered[at_least - 1]))
