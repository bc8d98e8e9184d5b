"""Iterative refinement at image level: remove what does not look like the rest, score again, until nothing is left.

Aqeel et al., "Self-Supervised Iterative Refinement for Anomaly Detection in Industrial Quality Control" (VISAPP 2025):
remove every image whose score exceeds lambda times the median (equation 6 of the paper; its algorithm 1 removes only
the largest: `largest_only`), retrain, repeat. The scores must be positive; below zero a multiple of the median means
nothing. Unlike the paper, each image should be scored by a model that did not see it, or dirt hides itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.training.errors import TrainingError

Scores = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class IrpOptions:
    """When an image leaves."""

    factor: float = 3.0
    """lambda: an image leaves when its score exceeds this times the median."""
    max_rounds: int = 5
    max_removed_share: float = 0.5
    """Never remove more than this share of all images."""
    largest_only: bool = False


@dataclass(frozen=True)
class Round:
    """One round: the scores it saw and what it removed."""

    indices: Indices
    """Images still in the set, in ascending order."""
    scores: Scores
    """Their scores, positive."""
    removed: Indices
    """Those that left, worst first."""


@dataclass(frozen=True)
class Refinement:
    """What is left and how it came to that."""

    kept: Indices
    rounds: tuple[Round, ...]
    capped: bool
    """True when more images were above the limit than may be removed."""

    @property
    def removed(self) -> Indices:
        """All that left, in the order in which they did."""
        return np.concatenate([entry.removed for entry in self.rounds]) if self.rounds else np.empty(0, np.intp)


def refine(score: Callable[[Indices], Scores], count: int, options: IrpOptions) -> Refinement:
    """Remove outliers among `count` images round by round.

    Args:
        score: trains on the given images and returns their positive scores in the same order.
        count: number of images.

    Raises:
        TrainingError: a score is not a positive number.
    """
    kept: Indices = np.arange(count)
    allowed = int(options.max_removed_share * count)
    rounds: list[Round] = []
    capped = False
    while len(rounds) < options.max_rounds:
        scores = score(kept)
        if not (np.isfinite(scores).all() and (scores > 0).all()):
            raise TrainingError(
                "refinement needs positive finite scores, found "
                f"{scores[~np.isfinite(scores)][:3] if not np.isfinite(scores).all() else scores.min()}"
            )
        worst = above_median(scores, options.factor)
        if options.largest_only:
            worst = worst[:1]
        capped = len(worst) > allowed
        worst = worst[:allowed]
        rounds.append(Round(kept, scores, kept[worst]))
        if len(worst) == 0:
            break
        allowed -= len(worst)
        kept = np.delete(kept, worst)
    return Refinement(kept, tuple(rounds), capped)


def above_median(scores: Scores, factor: float) -> Indices:
    """Positions of scores above `factor` times their median, largest first (ties in order of position)."""
    above = np.flatnonzero(scores > factor * np.median(scores))
    return above[np.argsort(-scores[above], kind="stable")]
