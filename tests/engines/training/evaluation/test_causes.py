"""Why defective parts pass: every one that passes has one cause."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.bundle.manifest import InputSpec
from engines.location.pose import Pose, turned_placement
from engines.preprocess import place
from engines.training.evaluation.causes import pass_causes, seen_share

GOOD = np.linspace(0, 1, 101)


def test_each_cause_has_its_share() -> None:
    """The limit that 10 % of the good exceed is 0.9, the calibrated one 1.2."""
    defective = np.array([0.5, 0.9, 0.95, 1.1, 1.3, 0.2])
    seen = np.array([1.0, 1.0, 1.0, 0.6, 0.0, 0.4])
    found = pass_causes(GOOD, defective, seen, review_score=1.2, review_budget=0.1)
    assert found == pytest.approx({"location": 1 / 6, "limit": 2 / 6, "ranking": 2 / 6})


@given(
    defective=st.lists(st.floats(0, 3), min_size=1, max_size=20),
    limit=st.floats(0, 3),
    budget=st.floats(0.01, 0.4),
    seed=st.integers(0, 9),
)
def test_the_causes_are_all_that_passes(defective: list[float], limit: float, budget: float, seed: int) -> None:
    scores = np.array(defective)
    seen = np.random.default_rng(seed).random(len(scores))
    found = pass_causes(GOOD, scores, seen, review_score=limit, review_budget=budget)
    assert sum(found.values()) == pytest.approx(np.mean(scores <= limit))


def test_a_defect_beside_the_located_part_is_not_seen() -> None:
    spec = InputSpec(width=64, height=64)
    image = np.zeros((100, 200, 3), np.uint8)
    mask = np.zeros((100, 200), np.bool_)
    mask[40:60, 90:110] = True
    assert seen_share(mask, place(200, 100, spec)) == 1.0
    assert seen_share(mask, turned_placement(image, Pose(100, 50, 60, 60, 30.0), spec)) == 1.0
    assert seen_share(mask, turned_placement(image, Pose(130, 50, 60, 60), spec)) == 0.5
    assert seen_share(mask, turned_placement(image, Pose(170, 50, 60, 60), spec)) == 0.0
