"""What refinement gets and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import VariantsAnswer

Scores = NDArray[np.float64]
Indices = NDArray[np.intp]
CellWeights = NDArray[np.uint8]
"""(images, map_height, map_width); 1: learned, 0: looks defective and is left out."""

REFINEMENTS = ("auto", "irp", "osr", "none")
"""`auto` is ours and the default; `irp` and `osr` are the papers' ways; `none` learns from everything."""


@dataclass(frozen=True)
class RefineOptions:
    """When an image leaves. Indices are positions in the set that is refined."""

    method: str = "auto"
    factor: float = 1.5
    """lambda of `irp` and `osr`: an image leaves when its positive score exceeds this times the median."""
    largest_only: bool = False
    """`irp` removes one image per round, as algorithm 1 of the paper; False: all above the limit, as its equation 6."""
    max_rounds: int = 0
    """0: what suits the method. The concentration steps of `auto` do not count."""
    max_removed_share: float = 0.6
    """Never remove more than this share of all images."""
    known_good: frozenset[int] = frozenset()
    """Never removed."""
    known_bad: frozenset[int] = frozenset()
    """Always removed, before the first round."""
    variants: VariantsAnswer | None = None
    """What a person says of images that look alike and would be left out: `keep` learns them. None: nothing yet."""


@dataclass(frozen=True)
class Round:
    """One round: the scores it saw and what it removed."""

    indices: Indices
    """Images that were scored, ascending."""
    scores: Scores
    """Their scores on the detector's own scale; in the last rounds of `auto` on very dirty data their oddness."""
    limit: float
    """What scored above this left (unless protected or capped)."""
    removed: Indices
    """Images that left in this round, worst first."""
    returned: Indices
    """Images that came back: a model that learned from fewer bad images found nothing wrong with them."""
    masked_share: float
    """Share of the map cells of the images still in the set that have lost their weight after this round."""


@dataclass(frozen=True)
class Refinement:
    """What is left, and how it came to that."""

    method: str
    kept: Indices
    removed: Indices
    """In the order in which they left; known-bad images first."""
    rounds: tuple[Round, ...]
    weights: CellWeights | None
    """Of all images; None: every cell of every kept image is learned."""
    final_scores: Scores
    """Of all images by the last models, each unseen by the model that scored it where the method knows such; `none`
    scores nothing (0). On the scale of the last round."""
    final_limit: float
    capped: bool
    """More images were above the limit than may be removed."""
    dirt_share: float
    """Estimated share of defective images; 0: the data look clean."""
    variants: tuple[Indices, ...]
    """Images that look alike and unlike the others: a product variant rather than defects? Removed, or not learned
    where they differ; with the answer `keep` they are learned. Largest group first."""
    protected: Indices
    """Known-good images that would have left."""
    suspects: Indices
    """Of the removed ones those that are far enough out to be examples of defects, until a person says otherwise."""
    doubtful: Indices
    """Of the removed ones those that are hardly out: many may be good, and no part is rejected for being like them."""


@dataclass(frozen=True)
class Found:
    """What the rounds of a method came to."""

    rounds: list[Round]
    kept: Indices
    weights: CellWeights | None
    scores: Scores
    """Of all images."""
    limit: float
    capped: bool
    dirt_share: float
    doubtful: Indices
    """Images that left although they are hardly out."""


class Judge(Protocol):
    """Trains and scores; the only thing refinement knows of detectors."""

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        """Scores of the images `kept` by the model trained on them; `continued`: fine-tune the last one."""
        ...

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        """Scores of all images, each by a model that learned from `learned` but not from it, and (images, map_height,
        map_width) cell scores."""
        ...

    def positive(self, scores: Scores) -> Scores:
        """Scores on a positive scale with a meaningful zero."""
        ...

    def describe(self, images: Indices, kept: Indices) -> NDArray[np.float32]:
        """(len(images), k): how and where each of `images` differs from those `kept`; 0 where it does not."""
        ...

    def recurring(self, differs: NDArray[np.bool_], learned: Indices) -> NDArray[np.bool_]:
        """(images, map_height, map_width): where an image differs as several parts of `learned` do at that place.

        Args:
            differs: (images, map_height, map_width), where an image lies out of the ordinary.
        """
        ...

    def parts(self) -> Indices:
        """For each image a number; images with the same number show nearly the same, as those of one part do."""
        ...


class Checkpoint(Protocol):
    """Keeps finished rounds, so that a killed training goes on where it was."""

    def load(self) -> list[Round]:
        """Rounds of an earlier run on the same data with the same options; empty when there is none."""
        ...

    def save(self, rounds: list[Round]) -> None:
        """Keep these rounds."""
        ...
