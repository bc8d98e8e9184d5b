"""Synthetic defects: as large as asked for, the same each time, and the mask holds exactly what changed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.bundle.detection import KINDS, DefectKind
from engines.training.synthesis.defects import blur_of, blurred, paint, sign_of, stamp_of

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 10_000)


def extent(mask: np.ndarray) -> float:
    """The largest distance of two pixels, outer edges included."""
    points = np.argwhere(mask)
    hull = cv2.convexHull(points.astype(np.float32).reshape(-1, 1, 2)).reshape(-1, 2)
    return float(np.hypot(*(hull[:, np.newaxis] - hull).T).max()) + 1


@settings(deadline=None, max_examples=40)
@given(kind=kinds, size_px=st.floats(2, 220), seed=seeds)
def test_a_defect_is_as_large_as_asked_for(kind: DefectKind, size_px: float, seed: int) -> None:
    stamp = stamp_of(kind, size_px, np.random.default_rng(seed))
    assert stamp.dtype == np.float32
    assert stamp.shape[0] % 2 == stamp.shape[1] % 2 == 1
    assert stamp.min() >= 0
    assert 0.6 < stamp.max() <= 1.0001
    assert abs(extent(stamp >= 0.5) - size_px) <= max(2.0, 0.1 * size_px)


@settings(deadline=None, max_examples=40)
@given(kind=kinds, size_px=st.floats(2, 60), seed=seeds, colour=st.booleans())
def test_the_mask_holds_exactly_what_changed(kind: DefectKind, size_px: float, seed: int, colour: bool) -> None:
    x, y = (int(each) for each in np.random.default_rng([seed, 1]).integers(-9, 99, 2))
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (70, 90, 3) if colour else (70, 90), np.uint8)
    before = image.copy()
    painted, mask = paint(image, stamp_of(kind, size_px, rng), (x, y), sign_of(kind, rng) * 80)
    assert (image == before).all()
    assert painted.dtype == mask.dtype == np.uint8
    changed = painted != image
    assert ((mask == 255) == (changed.any(axis=2) if colour else changed)).all()
    assert set(np.unique(mask)) <= {0, 255}


@settings(deadline=None, max_examples=40)
@given(kind=kinds, size_px=st.floats(2, 60), seed=seeds)
def test_the_same_seed_draws_the_same_defect(kind: DefectKind, size_px: float, seed: int) -> None:
    first, second = (stamp_of(kind, size_px, np.random.default_rng(seed)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_is_in_grey_levels_and_its_sign_is_that_of_the_kind(kind: DefectKind) -> None:
    rng = np.random.default_rng(1)
    image = np.full((101, 101), 128, np.uint8)
    signs = {sign_of(kind, rng) for _ in range(40)}
    assert signs == {"bright spot": {1}, "scratch": {1}, "soft brightness": {1, -1}}.get(kind, {-1})
    painted, _ = paint(image, stamp_of(kind, 40, rng), (50, 50), -30)
    assert 97 <= int(painted.min()) <= 103
    assert painted.max() == 128


def test_a_size_below_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size_px 0\.5"):
        stamp_of("cut", 0.5, np.random.default_rng(0))


def test_blur_is_measured_and_takes_contrast_from_small_defects_first() -> None:
    sharp = np.zeros((200, 200), np.uint8)
    cv2.rectangle(sharp, (40, 50), (150, 140), 200, cv2.FILLED)
    assert blur_of(sharp) == 0
    for sigma in (2.0, 5.0):
        soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8)
        assert blur_of(soft) == pytest.approx(sigma, rel=0.35)
    rng = np.random.default_rng(0)
    small, large = (blurred(stamp_of("dark spot", size, rng), 3.0).max() for size in (3, 40))
    assert small < 0.2
    assert large > 0.9
    assert blur_of(np.full((60, 60), 90, np.uint8)) == 0
