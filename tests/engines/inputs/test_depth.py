"""From heights to pictures: a fixed scale, missing values filled, and what people see of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.inputs.depth import Heights, NoHeights, depth_picture, missing_share, relief, shaded
from engines.inputs.depth_spec import CHANNELS, DepthSpec

SCALE = 0.001
SPEC = DepthSpec(range_mm=0.5, slope_range_mm=0.05)
SHAPE = (64, 80)


def values_of(heights_mm: NDArray[np.float64], at_mm: float = 20.0) -> NDArray[np.uint16]:
    return np.rint((heights_mm + at_mm) / SCALE).astype(np.uint16)


def tilted(per_x: float = 0.01, per_y: float = -0.02) -> NDArray[np.float64]:
    y, x = np.indices(SHAPE)
    return per_x * x + per_y * y


def picture(values: NDArray[np.uint16], spec: DepthSpec = SPEC, **changes: Any) -> NDArray[np.uint8]:
    return depth_picture(values, SCALE, 0.0, changes.pop("invalid", 0), spec, **changes)


@given(per_x=st.floats(-0.1, 0.1), per_y=st.floats(-0.1, 0.1), offset=st.floats(-1e4, 1e4))
@settings(max_examples=30, deadline=None)
def test_a_tilted_plane_at_any_distance_is_grey(per_x: float, per_y: float, offset: float) -> None:
    seen = depth_picture(values_of(tilted(per_x, per_y)), SCALE, offset, 0, SPEC)
    # A step of the camera is 0.001 mm: 0.13 grey levels in height, 1.3 of a slope, Sobel halves it.
    assert int(np.abs(seen.astype(int) - 127.5).max()) <= 2


@pytest.mark.parametrize("height_mm", [-0.7, -0.25, 0.1, 0.25, 0.6])
def test_heights_have_the_scale_of_the_range(height_mm: float) -> None:
    bumped = tilted()
    bumped[20:30, 30:40] += height_mm
    seen = picture(values_of(bumped))
    expected = np.clip(127.5 + 127.5 * height_mm / SPEC.range_mm, 0, 255)
    assert abs(float(seen[25, 35, 0]) - expected) <= 1
    assert abs(int(seen[50, 60, 0]) - 128) <= 1


def test_slopes_have_the_scale_of_their_range() -> None:
    y, x = np.indices(SHAPE)
    roof = np.where(x < 40, 0.02 * x, 0.02 * (80 - x)) + 0.0 * y
    spec = DepthSpec(10.0, 0.05, ("height", "slope_x", "slope_y"), "camera", 20.0)
    seen = picture(values_of(roof), spec)
    assert abs(int(seen[30, 20, 1]) - round(127.5 * (1 + 0.02 / 0.05))) <= 2
    assert abs(int(seen[30, 60, 1]) - round(127.5 * (1 - 0.02 / 0.05))) <= 2
    assert abs(int(seen[30, 20, 2]) - 128) <= 2


def test_the_axis_of_the_camera_is_a_reference_too() -> None:
    spec = DepthSpec(1.0, 1.0, ("height",), "camera", 19.5)
    seen = picture(values_of(np.zeros(SHAPE)), spec)
    assert seen.shape == SHAPE
    np.testing.assert_allclose(seen, round(127.5 * 1.5), atol=1)
    away = depth_picture(values_of(np.zeros(SHAPE)), SCALE, 0.25, 0, spec)
    np.testing.assert_allclose(away, round(127.5 * 1.75), atol=1)


def test_missing_values_are_what_is_around_them_and_known() -> None:
    heights = values_of(tilted())
    plain = picture(heights)
    rng = np.random.default_rng(3)
    missing = rng.random(SHAPE) < 0.1
    missing[10:22, 30:50] = True
    heights[missing] = 0
    seen = picture(heights)
    assert int(np.abs(seen.astype(int) - plain).max()) <= 3
    found = Heights(heights, SCALE, 0.0, 0, SPEC)
    np.testing.assert_array_equal(found.missing, missing)
    assert missing_share(found.missing) == pytest.approx(missing.mean())
    assert Heights(heights, SCALE, 0.0, None, SPEC).missing is None
    assert Heights(values_of(tilted()), SCALE, 0.0, 0, SPEC).missing is None


def test_a_frame_without_any_height_is_no_picture() -> None:
    with pytest.raises(NoHeights, match="all 5120 pixels are invalid"):
        picture(np.zeros(SHAPE, np.uint16))
    with pytest.raises(NoHeights, match="value 65535"):
        picture(np.full(SHAPE, 65535, np.uint16), invalid=65535)


def test_intensity_goes_along_as_it_is() -> None:
    grey = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    spec = DepthSpec(0.5, 0.05, ("height", "slope_x", "intensity"))
    out = np.empty((*SHAPE, 3), np.uint8)
    seen = picture(values_of(tilted()), spec, intensity=grey, out=out)
    assert seen is out
    np.testing.assert_array_equal(seen[..., 2], grey)
    with pytest.raises(ValueError, match="the frame has none"):
        picture(values_of(tilted()), spec)
    with pytest.raises(ValueError, match=r"the frame has one of \(3, 3\)"):
        picture(values_of(tilted()), spec, intensity=np.zeros((3, 3), np.uint8))


def test_two_channels_leave_the_third_empty() -> None:
    seen = picture(values_of(tilted()), DepthSpec(0.5, 0.05, ("slope_x", "slope_y")))
    assert seen.shape == (*SHAPE, 3)
    assert (seen[..., 2] == 128).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"range_mm": 0.0}, {"slope_range_mm": -1.0}, {"range_mm": float("nan")}, {"zero_mm": float("inf")},
        {"channels": ()}, {"channels": ("height", "height")}, {"channels": ("depth",)}, {"channels": CHANNELS},
    ],
)  # fmt: skip
def test_what_makes_no_picture_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"range_mm|channels"):
        DepthSpec(**{"range_mm": 1.0, "slope_range_mm": 1.0, **changes})


def test_a_spec_is_a_line_of_text() -> None:
    spec = DepthSpec(0.5, 0.05, ("height", "slope_x", "intensity"), "camera", 3.25)
    assert DepthSpec.of_text(spec.as_text) == spec
    assert "\n" not in spec.as_text
    for text in ("", "{}", "[1]", '{"range_mm": 1}', "nonsense"):
        with pytest.raises(ValueError, match=r"does not say|Expecting"):
            DepthSpec.of_text(text)


@pytest.mark.parametrize("channels", [("height",), ("slope_x", "slope_y"), ("height", "slope_x", "slope_y")])
def test_people_see_a_dent_by_its_light_and_shadow(channels: Any) -> None:
    y, x = np.indices(SHAPE)
    dent = tilted() - 0.3 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / 50)
    seen = shaded(picture(values_of(dent), DepthSpec(0.5, 0.05, channels)), channels)
    assert seen.shape == (*SHAPE, 3)
    assert (seen == seen[..., :1]).all(), "grey: colours are those of the heat map"
    # The light comes from the upper left: that side of a dent lies in the shadow.
    assert int(seen[34, 44, 0]) > int(seen[5, 5, 0]) > int(seen[26, 36, 0])


def test_a_stored_picture_of_heights_is_seen_as_relief_and_others_as_they_are() -> None:
    for channels in (("height",), ("height", "slope_x", "slope_y")):
        spec = DepthSpec(0.5, 0.05, channels)
        made = picture(values_of(tilted()), spec)
        rgb = made if made.ndim == 3 else np.dstack([made] * 3)
        np.testing.assert_array_equal(relief(rgb, spec.as_text), shaded(made, spec.channels))
    for mark in ("", "nonsense", '{"range_mm": 1}'):
        assert relief(rgb, mark) is rgb


def test_intensity_alone_is_seen_as_it_is() -> None:
    grey = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    np.testing.assert_array_equal(shaded(grey, ("intensity",))[..., 1], grey)
