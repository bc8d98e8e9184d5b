"""Images that were left out and look alike: found, kept, counted in the promise, or left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.training.calibration.calibrate import calibrate
from engines.training.refinement.records import Indices, Refinement, RefineOptions
from engines.training.refinement.refine import refine
from engines.training.refinement.variants import possible_variants, with_variants
from tests.bench.engines.mixtures import GOOD, GaussianJudge, good_maps

VARIANT = np.arange(GOOD, GOOD + 8)
SCATTERED = np.arange(GOOD + 8, GOOD + 18)


@dataclass
class PartsJudge(GaussianJudge):
    """Knows which images show one part."""

    same_part: tuple[int, ...] = ()

    def parts(self) -> Indices:
        parts = super().parts()
        parts[list(self.same_part)] = min(self.same_part, default=0)
        return parts


def maps_with_variant() -> NDArray[np.float64]:
    """Good images, then a variant with one mark at one place, then defects each at another place."""
    maps = good_maps(GOOD + 18, seed=0)
    maps[VARIANT, 2:4, 2:4] += 9
    maps[SCATTERED, np.arange(10) % 6, np.arange(10) // 6] += 20
    return maps


def refined(judge: GaussianJudge, **options: object) -> Refinement:
    return refine(judge, len(judge.maps), RefineOptions(**options))  # type: ignore[arg-type]


def test_images_that_are_odd_in_the_same_way_at_the_same_place_are_asked_about_and_scattered_ones_are_not() -> None:
    found = refined(GaussianJudge(maps_with_variant()))
    assert set(found.removed) >= {*VARIANT, *SCATTERED}
    (group,) = found.variants
    assert group.tolist() == VARIANT.tolist()


def test_the_same_place_with_another_look_is_another_group() -> None:
    maps = maps_with_variant()
    looks = maps.reshape(len(maps), -1).astype(np.float32)
    looks[VARIANT[4:]] *= -1
    groups = refined(GaussianJudge(maps, looks=looks)).variants
    assert [group.tolist() for group in groups] == [VARIANT[:4].tolist(), VARIANT[4:].tolist()]


def test_what_looks_like_the_mean_of_a_group_belongs_to_it() -> None:
    """A mark that is weak in two of the images: no other one is alike by itself."""
    maps = maps_with_variant()
    looks = np.zeros((len(maps), 40), np.float32)
    looks[VARIANT, 0] = 1.0
    looks[VARIANT, 1 + np.arange(8)] = 0.7  # each its own
    weak, other = VARIANT[-2:], SCATTERED[0]
    looks[weak, 0], looks[weak, 7 + np.arange(2)] = 0.4, 0.85
    looks[SCATTERED, 10 + np.arange(10)] = 1.0
    looks[other, 0] = 0.2
    (group,) = refined(GaussianJudge(maps, looks=looks)).variants
    assert group.tolist() == VARIANT.tolist()


@pytest.mark.parametrize("copies", [VARIANT, VARIANT[:6]])
def test_copies_of_a_few_parts_are_no_variant(copies: Indices) -> None:
    assert refined(PartsJudge(maps_with_variant(), same_part=tuple(copies.tolist()))).variants == ()


def test_keep_learns_them_all_over_and_leaves_the_others_out() -> None:
    maps = maps_with_variant()
    found = refined(GaussianJudge(maps), variants="keep")
    assert set(VARIANT) <= set(found.kept)
    assert set(SCATTERED) <= set(found.removed)
    assert found.weights is None or found.weights[VARIANT].all()
    (group,) = found.variants  # still said
    assert group.tolist() == VARIANT.tolist()


def test_remove_changes_nothing_but_the_question() -> None:
    asked, answered = (refined(GaussianJudge(maps_with_variant()), variants=answer) for answer in (None, "remove"))
    assert asked.kept.tolist() == answered.kept.tolist()
    assert [group.tolist() for group in asked.variants] == [group.tolist() for group in answered.variants]


def test_the_promise_counts_images_whose_removal_may_have_been_wrong() -> None:
    scores = np.random.default_rng(0).normal(size=72)
    limits = calibrate(scores, scores, 0.01, 0.1)
    outside = np.full(8, limits.reject_score + 1.0)
    found = possible_variants((VARIANT,), outside, 72, limits, None)
    assert found is not None
    assert found.images == (8,)
    assert found.rejected_share_if_good == pytest.approx((0.01 * 72 + 8) / 80)
    assert found.review_share_if_good == pytest.approx((0.1 * 72 + 8) / 80)
    promise = with_variants(limits, found).promise
    assert promise.startswith(limits.promise)
    assert (
        "8 images that look alike do not count: if they show good parts, up to 10.9% of the good parts are" in promise
    )
    learned = possible_variants((VARIANT,), np.empty(0), 80, limits, "keep")
    assert learned is not None
    assert learned.rejected_share_if_good == pytest.approx(limits.false_reject_budget)
    assert with_variants(limits, learned) == limits
    assert possible_variants((), np.empty(0), 80, limits, None) is None
