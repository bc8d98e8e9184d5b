"""Images that were not learned and look alike: a variant of the product, until a person says that they are defects.

Defects differ from each other in place and look; parts of another variant share both. How and where an image differs
from the kept ones is a vector (`Judge.describe`); images are alike when these vectors point the same way. Copies of one
part (twins, exposures) always do: a group must show several parts.
"""

from __future__ import annotations

import numpy as np

from engines import said
from engines.bundle.manifest import Calibration, PossibleVariants, VariantsAnswer
from engines.training.refinement.records import CellWeights, Indices, Judge, Scores

MIN_PARTS = 4
MIN_SHARE = 0.02
"""Of all images that are refined: fewer are reported as removed images, and no more."""
ALIKE = 0.5
"""Cosine of the angle between two images' differences from the kept ones."""
ALIKE_MEAN = 0.35
"""The same between an image and the mean of a group, which chance moves less. Of seven images of KolektorSDD made
brighter at one place five are a group; the others have 0.51 and 0.37 to its mean, other images at most 0.21."""
MAX_GROUPS = 100


def look_alikes(judge: Judge, left: Indices, kept: Indices, weights: CellWeights | None) -> tuple[Indices, ...]:
    """Groups of images that look alike, largest first, with several parts each.

    A group is an image that was removed, all that look like it, and all that look like their mean: no chain of
    neighbours leads from one look to another. Kept images of which places are not learned may join a group; they form
    none alone.

    Args:
        left: the images that were removed, but for those that a person calls bad.
    """
    parts = judge.parts()
    at_least = max(MIN_PARTS, round(MIN_SHARE * len(parts)))
    if len(left) == 0:
        return ()
    masked = kept[:0] if weights is None else kept[(weights[kept] == 0).any(axis=(1, 2))]
    images = np.concatenate([left, masked])
    looks = judge.describe(images, kept)
    directions = looks / (np.linalg.norm(looks, axis=1, keepdims=True) + 1e-12)
    alike = directions[: len(left)] @ directions.T >= ALIKE
    free = np.ones(len(images), bool)
    groups: list[Indices] = []
    while len(groups) < MAX_GROUPS:
        sizes = [len(np.unique(parts[images[row & free]])) * free[seed] for seed, row in enumerate(alike)]
        if max(sizes) < at_least:
            break
        members = alike[int(np.argmax(sizes))] & free
        mean = directions[members].mean(axis=0)
        members |= (directions @ mean >= ALIKE_MEAN * np.linalg.norm(mean)) & free
        groups.append(np.sort(images[members]))
        free &= ~members
    return tuple(sorted(groups, key=len, reverse=True))


def possible_variants(
    groups: tuple[Indices, ...],
    scores: Scores,
    kept_count: int,
    limits: Calibration,
    answer: VariantsAnswer | None,
) -> PossibleVariants | None:
    """What the manifest says of these groups; None: there are none.

    Args:
        scores: of all images of the groups that were not learned, by the finished detector.
        kept_count: images that were learned.
    """
    if not groups:
        return None

    def share(budget: float, limit: float) -> float:
        """Of all good parts, these images among them."""
        return (budget * kept_count + int(np.count_nonzero(scores > limit))) / (kept_count + len(scores))

    return PossibleVariants(
        images=tuple(len(group) for group in groups),
        answer=answer,
        rejected_share_if_good=share(limits.false_reject_budget, limits.reject_score),
        review_share_if_good=share(limits.review_budget, limits.review_score),
    )


def with_variants(limits: Calibration, found: PossibleVariants | None) -> Calibration:
    """The calibration with a promise that says what it is worth when removed images were good parts after all."""
    if found is None or found.answer == "keep":
        return limits
    words = said.VARIANTS_DO_NOT_COUNT(
        count=sum(found.images),
        share=f"{found.rejected_share_if_good:.1%}",
        other_share=f"{found.review_share_if_good:.1%}",
    )
    return limits.model_copy(update={"promise": f"{limits.promise} {words}"})
