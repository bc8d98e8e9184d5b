"""The score without ignored zones: what lies wholly inside never counts, what reaches out does, and it never rises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.bundle.manifest import InputSpec, MapScore
from engines.ignored_zones import FrameZone, IgnoredZones, score_of
from engines.location.pose import Pose, TurnedPlacement
from engines.preprocess import Placement, place

HOTTEST = MapScore(hottest_share=1e-9)
SPATIAL = MapScore(hottest_share=0.02, log=True)
WHOLE = place(640, 320, InputSpec(width=160, height=80))
SHAPE = (10, 20)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def zone(polygon: tuple[tuple[float, float], ...] = LEFT, *, ignore: bool = True, name: str = "left") -> FrameZone:
    return FrameZone(name, polygon, ignore)


def hot(row: int, column: int) -> np.ndarray:
    anomaly_map = np.zeros(SHAPE, np.float32)
    anomaly_map[row, column] = 5.0
    return anomaly_map


def test_inside_never_counts_and_outside_does() -> None:
    zones = IgnoredZones([zone()], HOTTEST)
    assert zones.score(hot(4, 9), WHOLE) == 0.0
    assert zones.score(hot(4, 10), WHOLE) == 5.0


def test_a_cell_that_reaches_out_counts() -> None:
    zones = IgnoredZones([zone(((0.0, 0.0), (0.48, 0.0), (0.48, 1.0), (0.0, 1.0)))], HOTTEST)
    assert zones.score(hot(4, 8), WHOLE) == 0.0
    assert zones.score(hot(4, 9), WHOLE) == 5.0  # four tenths of it lie outside


def test_the_first_zone_decides() -> None:
    strict = zone(((0.2, 0.2), (0.3, 0.2), (0.3, 0.4), (0.2, 0.4)), ignore=False, name="strict")
    assert IgnoredZones([strict, zone()], HOTTEST).score(hot(3, 5), WHOLE) == 5.0
    assert IgnoredZones([zone(), strict], HOTTEST).score(hot(3, 5), WHOLE) == 0.0


def test_zones_are_fixed_in_the_frame_wherever_the_model_looks() -> None:
    """Borders around the frame, and a part that was found and turned."""
    zones = IgnoredZones([zone()], HOTTEST)
    padded = place(320, 320, InputSpec(width=160, height=80))  # the frame fills the columns 5 to 14
    assert zones.score(hot(4, 9), padded) == 0.0
    assert zones.score(hot(4, 10), padded) == 5.0
    assert zones.score(hot(4, 3), padded) == 5.0  # a border is no part of the zone
    upside_down = TurnedPlacement(Pose(320, 160, 640, 320, 180.0), 640, 320, 160, 80)
    assert zones.score(hot(4, 9), upside_down) == 5.0
    assert zones.score(hot(4, 10), upside_down) == 0.0


def test_what_cannot_be_ignored_is_said() -> None:
    assert IgnoredZones([zone()], HOTTEST).problem(WHOLE, SHAPE) == ""
    tiny = zone(((0.51, 0.51), (0.53, 0.51), (0.53, 0.54)), name="date code")
    assert 'zone "date code" holds no whole cell' in IgnoredZones([tiny], HOTTEST).problem(WHOLE, SHAPE)
    everything = zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    zones = IgnoredZones([everything], SPATIAL)
    assert "outside ignored zones are 0 cells of the engine's map, its score needs 4" in zones.problem(WHOLE, SHAPE)
    assert math.isnan(zones.score(hot(1, 1), WHOLE))  # an error of that part, never a PASS


def test_the_mask_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    zones = IgnoredZones([zone()], HOTTEST)
    first = zones.counted(WHOLE, SHAPE)
    assert zones.counted(WHOLE, SHAPE) is first
    assert zones.counted(Placement(0, 0, 80, 80, 160, 80), SHAPE) is not first


def test_a_map_that_is_not_finite_has_no_score() -> None:
    broken = hot(4, 15)
    broken[4, 16] = np.nan
    assert math.isnan(IgnoredZones([zone()], HOTTEST).score(broken, WHOLE))


@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.001, 0.5),
    log=st.booleans(),
    zone_share=st.floats(0.1, 0.9),
)
def test_the_score_never_rises(seed: int, share: float, log: bool, zone_share: float) -> None:
    """So that the promise on good parts holds whatever is ignored."""
    rule = MapScore(hottest_share=share, log=log)
    anomaly_map = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    whole = score_of(anomaly_map, anomaly_map.size, rule)
    part = zone(((0.0, 0.0), (zone_share, 0.0), (zone_share, 1.0), (0.0, 1.0)))
    score = IgnoredZones([part], rule).score(anomaly_map, WHOLE)
    assert math.isnan(score) or score <= whole + 1e-9
