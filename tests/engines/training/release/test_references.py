"""Which images may stand for a good part: none that was removed, masked, or that the engine itself would not pass."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.training.release.references import reference_images

KEPT = np.array([0, 1, 2, 4, 5, 7, 8, 9], np.intp)
"""3 and 6 were removed."""


def learned(scores: dict[int, float] | None = None, masked: tuple[int, ...] = ()) -> Any:
    """What teaching knows after learning, as far as it decides here."""
    weights = np.ones((10, 4, 4), np.uint8)
    weights[list(masked), 1, 2] = 0
    held_out = [(scores or {}).get(int(image), 0.1) for image in KEPT]
    return SimpleNamespace(
        refinement=SimpleNamespace(kept=KEPT, weights=weights if masked else None),
        held_out=SimpleNamespace(image_scores=np.array(held_out)),
        calibration=SimpleNamespace(review_score=0.4),
    )


def test_what_was_removed_is_none() -> None:
    assert reference_images(learned(), 200).tolist() == KEPT.tolist()


def test_what_shows_dirt_is_none() -> None:
    assert reference_images(learned(masked=(3, 4, 9)), 200).tolist() == [0, 1, 2, 5, 7, 8]


def test_what_the_engine_would_not_pass_is_none() -> None:
    assert reference_images(learned({5: 0.41, 7: 0.4}), 200).tolist() == [0, 1, 2, 4, 7, 8, 9]


@pytest.mark.parametrize(("most", "expected"), [(0, []), (1, [0]), (3, [0, 5, 9]), (8, KEPT.tolist())])
def test_they_are_spread_over_the_order_of_capture(most: int, expected: list[int]) -> None:
    assert reference_images(learned(), most).tolist() == expected
