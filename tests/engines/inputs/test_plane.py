"""Planes of any tilt have no height, their slope is known, and holes say what stands around them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.inputs.plane import Plane, filled, fit_plane, slopes, without_plane

ROWS, COLUMNS = 60, 90
tilts = st.floats(-0.2, 0.2)


def plane(at: float, per_x: float, per_y: float, rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.float32]:
    y, x = np.indices((rows, columns))
    return (at + per_x * x + per_y * y).astype(np.float32)


@given(at=st.floats(-50, 50), per_x=tilts, per_y=tilts, seed=st.integers(0, 99), missing=st.floats(0, 0.7))
@settings(max_examples=40, deadline=None)
def test_a_plane_of_any_tilt_has_no_height(at: float, per_x: float, per_y: float, seed: int, missing: float) -> None:
    heights = plane(at, per_x, per_y)
    valid = np.random.default_rng(seed).random((ROWS, COLUMNS)) >= missing
    heights[~valid] = 1e4  # what stands there does not count
    over = without_plane(heights.copy(), fit_plane(heights, valid))
    assert float(np.abs(over[valid]).max()) < 1e-3
    assert float(np.abs(filled(over.copy(), valid)).max()) < 1e-3


@given(per_x=tilts, per_y=tilts, share=st.floats(0.01, 0.15), depth=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_a_dent_does_not_tilt_the_plane(per_x: float, per_y: float, share: float, depth: float) -> None:
    heights = plane(1.0, per_x, per_y)
    dent = max(1, round(np.sqrt(share) * ROWS))
    heights[3 : 3 + dent, 5 : 5 + dent] += depth
    found = fit_plane(heights)
    assert found.per_x == pytest.approx(per_x, abs=1e-4)
    assert found.per_y == pytest.approx(per_y, abs=1e-4)
    assert found.at_origin == pytest.approx(1.0, abs=1e-2)


def test_noise_averages_out() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, (400, 500)).astype(np.float32)
    found = fit_plane(plane(2.0, 1e-3, -2e-3, 400, 500) + noise)
    assert found.per_x == pytest.approx(1e-3, abs=5e-6)
    assert found.per_y == pytest.approx(-2e-3, abs=5e-6)


@pytest.mark.parametrize("left", [1, 2, 3])
def test_few_heights_are_a_plane_too(left: int) -> None:
    heights = plane(3.0, 0.0, 0.0)
    valid = np.zeros((ROWS, COLUMNS), bool)
    valid.ravel()[[7, 2000, 4321][:left]] = True
    over = without_plane(heights.copy(), fit_plane(heights, valid))
    assert float(np.abs(over[valid]).max()) < 1e-4


@given(per_x=tilts, per_y=tilts, rows=st.integers(3, 40), columns=st.integers(3, 40))
@settings(max_examples=40, deadline=None)
def test_the_slope_of_a_plane_is_its_own_up_to_the_edge(per_x: float, per_y: float, rows: int, columns: int) -> None:
    heights = plane(0.0, per_x, per_y, rows, columns)
    np.testing.assert_allclose(slopes(heights, 0), per_x, atol=1e-5)
    np.testing.assert_allclose(slopes(heights, 1), per_y, atol=1e-5)


@given(radius=st.floats(80, 400))
@settings(max_examples=20, deadline=None)
def test_the_normals_of_a_sphere_point_away_from_its_centre(radius: float) -> None:
    y, x = np.indices((61, 61)) - 30.0
    heights = np.sqrt(radius**2 - x**2 - y**2).astype(np.float32)
    normals = np.stack([-slopes(heights, 0), -slopes(heights, 1), np.ones_like(heights)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    known = np.stack([x, y, heights], axis=-1) / radius
    inner = (slice(1, -1), slice(1, -1))
    assert float((normals[inner] * known[inner]).sum(axis=-1).min()) > 0.9999


@given(seed=st.integers(0, 200), missing=st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_holes_are_within_what_is_around_and_the_rest_stays(seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 50)), int(rng.integers(1, 50)))
    heights = rng.normal(0, 1, shape).astype(np.float32)
    valid = rng.random(shape) >= missing
    valid.ravel()[int(rng.integers(valid.size))] = True
    whole = filled(heights.copy(), valid)
    np.testing.assert_array_equal(whole[valid], heights[valid])
    assert heights[valid].min() - 1e-5 <= whole.min()
    assert whole.max() <= heights[valid].max() + 1e-5


def test_a_large_hole_in_a_step_takes_the_side_that_is_nearer() -> None:
    heights = np.zeros((64, 64), np.float32)
    heights[:, 32:] = 1.0
    valid = np.ones((64, 64), bool)
    valid[20:44, 4:24] = False
    assert float(filled(heights, valid)[20:44, 4:20].max()) < 0.2


def test_a_plane_says_its_heights() -> None:
    along, down = Plane(1.0, 0.5, 0.25).heights(2, 3)
    np.testing.assert_allclose(along + down, [[1.0, 1.5, 2.0], [1.25, 1.75, 2.25]])
