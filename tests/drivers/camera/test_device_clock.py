"""The camera's clock on the host's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.device_clock import ClockMap

SECOND = 1_000_000_000
times = st.integers(0, 2**62)
drifts = st.floats(-1e-4, 1e-4)


@given(device=times, host=times, elapsed=st.integers(-100 * SECOND, 100 * SECOND))
def test_one_latch_is_an_offset(device: int, host: int, elapsed: int) -> None:
    assert ClockMap(device, host).to_host(device + elapsed) == host + elapsed


@given(device=times, host=times, drift=drifts, baseline_s=st.integers(10, 3600), later_s=st.integers(0, 60))
def test_two_latches_follow_the_drift(device: int, host: int, drift: float, baseline_s: int, later_s: int) -> None:
    def host_at(elapsed_ns: int) -> int:
        return host + elapsed_ns + round(elapsed_ns * drift)

    baseline, later = baseline_s * SECOND, (baseline_s + later_s) * SECOND
    clock = ClockMap(device, host_at(0)).latched_again(device + baseline, host_at(baseline))
    assert clock.to_host(device + later) == pytest.approx(host_at(later), abs=20)


@given(device=times, host=times, jump=st.integers(-(2**62), 2**62))
def test_after_a_jump_of_the_device_clock_the_new_latch_holds(device: int, host: int, jump: int) -> None:
    clock = ClockMap(device, host).latched_again(device + jump, host + 30 * SECOND)
    assert clock.to_host(device + jump) == host + 30 * SECOND
    assert abs(clock.rate - 1.0) <= 1e-3


def test_latches_close_together_do_not_make_a_rate() -> None:
    clock = ClockMap(0, 0).latched_again(SECOND, SECOND + 500_000)
    assert clock.rate == 1.0
