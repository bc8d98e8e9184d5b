"""Which of the images that were left out stand for defects."""

from __future__ import annotations

import numpy as np
import pytest

from engines.training.refinement.records import Found
from engines.training.refinement.suspects import suspects_of

COUNT = 200
START = np.arange(COUNT)


def found(far_out: int, *, deviations: float = 8.0, dirt_share: float = 0.1) -> Found:
    """Scores of good images, the last ones some deviations above, those that were left out with ten more."""
    scores = np.random.default_rng(0).normal(size=COUNT)
    if far_out:
        scores[-far_out:] = deviations
    kept = START[: COUNT - far_out - 10]
    return Found([], kept, None, scores, 3.0, capped=False, dirt_share=dirt_share, doubtful=kept[:0])


def test_those_far_out_stand_for_defects_and_the_others_that_left_do_not() -> None:
    assert suspects_of(found(12), START, ()).tolist() == list(range(COUNT - 12, COUNT))


@pytest.mark.parametrize(
    "nothing",
    [
        found(12, deviations=3.0),  # not beyond doubt
        found(12, dirt_share=0.0),  # the data look clean
        found(5),  # as many rare good parts clean data have
        found(0),
    ],
)
def test_what_may_be_good_stands_for_nothing(nothing: Found) -> None:
    assert suspects_of(nothing, START, ()).tolist() == []


def test_images_that_look_alike_are_asked_about_first() -> None:
    alike = np.arange(COUNT - 4, COUNT)
    assert suspects_of(found(12), START, (alike,)).tolist() == list(range(COUNT - 12, COUNT - 4))


def test_known_bad_images_are_labels_and_no_suspects() -> None:
    start = START[:-6]
    assert suspects_of(found(16), start, ()).tolist() == list(range(COUNT - 16, COUNT - 6))
