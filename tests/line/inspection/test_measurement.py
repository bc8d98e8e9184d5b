"""Regions: position, size and length in frame pixels and millimetres, whatever the map's resolution."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from station.line.inspection.measurement import measure
from station.results import Regions, UnlistedRegions


def shrunk(frame_sized: NDArray[np.float32], map_shape: tuple[int, int]) -> NDArray[np.float32]:
    """A map as an engine would give it: the frame-sized one, averaged over the cells."""
    size = (map_shape[1], map_shape[0])
    return np.asarray(cv2.resize(frame_sized, size, interpolation=cv2.INTER_AREA), np.float32)


def test_quiet_map_has_no_regions() -> None:
    assert measure(np.full((32, 32), 0.49, np.float32), (320, 320), 0.5, 0.1) == Regions()


def test_value_at_the_threshold_counts() -> None:
    anomaly_map = np.zeros((32, 32), np.float32)
    anomaly_map[3, 4] = 0.5
    assert measure(anomaly_map, (320, 320), 0.5, 0.1).count == 1


@given(seed=st.integers(0, 2**32 - 1))
def test_cell_at_the_threshold_is_not_lost_by_interpolation(seed: int) -> None:
    anomaly_map = np.random.default_rng(seed).random((9, 9), np.float32)
    assert measure(anomaly_map, (90, 90), float(anomaly_map.max()), 0.1).count >= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_map_that_is_not_finite_is_refused(bad: float) -> None:
    anomaly_map = np.zeros((8, 8), np.float32)
    anomaly_map[2, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        measure(anomaly_map, (80, 80), 0.5, 0.1)


@pytest.mark.parametrize("shape", [(0, 4), (2, 3, 4)])
def test_map_of_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        measure(np.zeros(shape, np.float32), (80, 80), 0.5, 0.1)


def test_rectangle_at_full_resolution_is_exact() -> None:
    """Map and frame of one size, large enough that nothing is interpolated."""
    anomaly_map = np.zeros((600, 800), np.float32)
    anomaly_map[100:110, 200:240] = 2.0
    anomaly_map[105, 215] = 3.0
    (region,) = measure(anomaly_map, (600, 800, 3), 1.0, 0.1).listed
    assert region.area_mm2 == pytest.approx(10 * 40 * 0.01)
    assert region.length_mm == pytest.approx(4.0, abs=1e-4)
    assert region.centre_px == pytest.approx((219.5, 104.5))
    assert region.box_px == (200, 100, 40, 10)
    assert region.peak_score == 3.0
    assert region.contour_px == ((200, 100), (200, 109), (239, 109), (239, 100))


def test_map_is_stretched_over_a_frame_of_another_aspect() -> None:
    anomaly_map = np.zeros((600, 600), np.float32)
    anomaly_map[300:330, 60:120] = 1.0
    (region,) = measure(anomaly_map, (300, 1200), 0.5, 1.0).listed
    assert region.area_mm2 == pytest.approx(30 * 0.5 * 60 * 2)
    assert region.length_mm == pytest.approx(120.0, rel=1e-5)
    assert region.box_px == (120, 150, 120, 15)
    assert region.centre_px == pytest.approx((120 + 59.5, 150 + 7.0))


@pytest.mark.parametrize("cells", [28, 56, 112, 224])
@pytest.mark.parametrize("centre", [(600, 500), (617, 488)])
def test_disc_is_measured_finer_than_the_cells(cells: int, centre: tuple[int, int]) -> None:
    frame = np.zeros((1120, 1120), np.float32)
    cv2.circle(frame, centre, 130, 1.0, thickness=-1)
    (region,) = measure(shrunk(frame, (cells, cells)), frame.shape, 0.5, 0.02).listed
    assert region.area_mm2 == pytest.approx(np.pi * 2.6**2, rel=0.05)
    assert region.length_mm == pytest.approx(5.2, rel=0.06)
    assert region.centre_px == pytest.approx(centre, abs=2.0)


@pytest.mark.parametrize("degrees", [0, 30, 45, 80, 135])
def test_length_does_not_depend_on_direction(degrees: int) -> None:
    frame = np.zeros((900, 900), np.float32)
    along = 250 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    ends = [tuple(int(v) for v in np.rint(450 + sign * along)) for sign in (-1, 1)]
    cv2.line(frame, ends[0], ends[1], 1.0, thickness=11)
    (region,) = measure(shrunk(frame, (180, 180)), frame.shape, 0.5, 0.1).listed
    assert region.length_mm == pytest.approx(51.0, rel=0.04)


def test_regions_touching_at_a_corner_are_one() -> None:
    anomaly_map = np.zeros((600, 600), np.float32)
    anomaly_map[10, 10] = anomaly_map[11, 11] = 1.0
    assert measure(anomaly_map, (600, 600), 0.5, 1.0).count == 1


def test_peak_belongs_to_the_region_not_to_its_box() -> None:
    anomaly_map = np.zeros((600, 600), np.float32)
    anomaly_map[100:160, 100:102] = 1.0  # an L
    anomaly_map[158:160, 100:160] = 1.0
    anomaly_map[110, 150] = 9.0  # inside the L's box
    regions = measure(anomaly_map, (600, 600), 0.5, 1.0).listed
    assert [region.peak_score for region in regions] == [1.0, 9.0]


def test_small_regions_are_noise() -> None:
    anomaly_map = np.zeros((600, 600), np.float32)
    anomaly_map[10:20, 10:20] = 1.0
    anomaly_map[50, 50] = 1.0
    regions = measure(anomaly_map, (600, 600), 0.5, 1.0, min_area_mm2=2.0)
    assert regions.count == 1
    assert regions.area_mm2 == 100.0


def test_more_regions_than_listed_are_summed_up() -> None:
    anomaly_map = np.zeros((600, 600), np.float32)
    for index in range(10):  # squares with edges of 1 to 10 px
        anomaly_map[index * 20 : index * 20 + index + 1, 0 : index + 1] = 1.0
    anomaly_map[300, 100:109] = 1.0  # 9 px2, but long
    regions = measure(anomaly_map, (600, 600), 0.5, 1.0, max_regions=4)
    assert [region.area_mm2 for region in regions.listed] == [100.0, 81.0, 64.0, 49.0]
    rest = regions.unlisted
    assert (rest.count, rest.area_mm2, rest.largest_mm2) == (7, 36 + 25 + 16 + 9 + 4 + 1 + 9, 36.0)
    assert rest.longest_mm >= 9.0
    assert regions.count == 11
    assert regions.area_mm2 == sum(n * n for n in range(1, 11)) + 9


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.float32]:
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape, np.float32) ** draw(st.sampled_from([1, 4, 16]))


@given(anomaly_map=maps(), threshold=st.floats(0.0, 1.1), scale=st.integers(1, 9), limit=st.integers(0, 5))
def test_nothing_is_lost(anomaly_map: NDArray[np.float32], threshold: float, scale: int, limit: int) -> None:
    """Every cell above the threshold is in a region; areas fit in the frame; listing changes no sum."""
    height, width = anomaly_map.shape[0] * scale, anomaly_map.shape[1] * scale
    all_listed = measure(anomaly_map, (height, width), threshold, 0.5, max_regions=100_000)
    assert (all_listed.count > 0) == bool((anomaly_map >= np.float32(threshold)).any())
    assert all_listed.unlisted == UnlistedRegions()
    assert all_listed.area_mm2 <= width * height * 0.25 * 1.000001
    if all_listed.count:
        highest = max(region.peak_score for region in all_listed.listed)
        assert highest == pytest.approx(anomaly_map.max(), rel=1e-6)
    for region in all_listed.listed:
        x, y, box_width, box_height = region.box_px
        assert 0 <= x < x + box_width <= width
        assert 0 <= y < y + box_height <= height
        assert all(0 <= px < width and 0 <= py < height for px, py in region.contour_px)

    some = measure(anomaly_map, (height, width), threshold, 0.5, max_regions=limit)
    assert some.listed == all_listed.listed[:limit]
    assert some.count == all_listed.count
    assert some.area_mm2 == pytest.approx(all_listed.area_mm2)
    hidden = all_listed.listed[limit:]
    assert some.unlisted.largest_mm2 == pytest.approx(max((region.area_mm2 for region in hidden), default=0.0))
    assert some.unlisted.longest_mm >= max((region.length_mm for region in hidden), default=0.0) - 1e-3


@given(anomaly_map=maps(), low=st.floats(0.05, 0.9))
def test_lower_threshold_finds_no_less_area(anomaly_map: NDArray[np.float32], low: float) -> None:
    shape = (anomaly_map.shape[0] * 3, anomaly_map.shape[1] * 3)
    wide = measure(anomaly_map, shape, low, 1.0)
    narrow = measure(anomaly_map, shape, low + 0.1, 1.0)
    assert wide.area_mm2 >= narrow.area_mm2 - 1e-6
