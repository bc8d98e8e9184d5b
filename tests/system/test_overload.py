"""More pulses than the station can take: every one of them is a part, missed, or refused by the camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.bench import Bench, good
from tests.bench.waiting import wait_for

PULSES = 360
PULSE_S = 1 / 240
LOST = 5


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path, station__max_parts_in_flight=4) as bench:
        bench.start()
        bench.scene.show(good(), 1)
        yield bench


def unaccounted(bench: Bench) -> int:
    """Exposures that the station counts neither as a trigger nor as missed."""
    counters = bench.status()["counters"]
    return int(bench.scene.exposure().exposures - counters["triggers"] - counters["missed"])


def pulses_taken(bench: Bench) -> int:
    camera = bench.scene.exposure()
    return camera.exposures + camera.missed_triggers


def expose(bench: Bench, exposures: int) -> None:
    """Pulses until the camera has taken so many pictures in all: it refuses a pulse while it exposes."""

    def exposed() -> bool:
        pulses = pulses_taken(bench) + 1
        assert bench.scene.pulse_line1()
        wait_for(lambda: pulses_taken(bench) == pulses, "the pulse")
        return bench.scene.exposure().exposures == exposures

    wait_for(exposed, f"{exposures} exposures")


def test_lost_frames_of_an_overloaded_line_are_parts_or_missed(bench: Bench) -> None:
    """Pulses = triggers + missed + exposures that the camera refused."""
    next_s = time.monotonic()
    for number in range(PULSES):
        if number % 40 == 20:
            bench.scene.fail_dropped(1 + number % 3)
        next_s += PULSE_S
        time.sleep(max(0.0, next_s - time.monotonic()))  # the pace of the line, which does not wait for the station
        assert bench.scene.pulse_line1()
    wait_for(lambda: pulses_taken(bench) == PULSES, "the pulses")
    wait_for(bench.settled, "the results")
    bench.scene.fail_dropped(0)  # the last frame has to come, or its loss shows nowhere
    expose(bench, bench.scene.exposure().exposures + 1)
    wait_for(lambda: unaccounted(bench) == 0, "a trigger or a missed one for each of them")
    wait_for(bench.settled, "the results")
    assert bench.terminate() == 0
    assert bench.assert_balanced().triggers > 0


def test_frames_lost_at_the_end_are_seen_with_the_next_frame(bench: Bench) -> None:
    """A camera counts its frames: a gap shows with the frame behind it and, without latched ids, not before."""
    expose(bench, 1)
    wait_for(lambda: unaccounted(bench) == 0, "the first part")
    bench.scene.fail_dropped(LOST)
    for number in range(LOST):
        expose(bench, number + 2)
    wait_for(bench.settled, "the first result")
    assert unaccounted(bench) == LOST
    expose(bench, LOST + 2)
    wait_for(lambda: unaccounted(bench) == 0, "the lost frames")
    assert bench.terminate() == 0
    bench.assert_balanced()
