"""Rejects in a row, and one place again and again; both end when parts pass."""

from __future__ import annotations

import pytest

from station.codes import WarningCode
from station.monitoring.seen import SeenPart, SeenView
from station.monitoring.simple_alarms import QUIET_PASSES, SAME_PLACE_COUNT, SimpleAlarms
from station.results import Verdict


def part(verdict: Verdict, defect: tuple[float, float] | None = None, camera: str = "top") -> SeenPart:
    return SeenPart("r", "e", verdict, False, 0.5, (SeenView(camera, 100.0, 0.0, 1.0, None, defect),))


NOT_INSPECTED = SeenPart("r", "e", Verdict.ERROR, True, float("nan"), ())


def test_rejects_in_a_row_alarm_and_passes_end_it() -> None:
    alarms = SimpleAlarms(3)
    for verdict in (Verdict.FAIL, Verdict.FAIL, Verdict.PASS, Verdict.FAIL, Verdict.FAIL):
        alarms.add(part(verdict))
    assert not alarms.standing
    alarms.add(NOT_INSPECTED)  # says nothing of the product
    alarms.add(part(Verdict.FAIL))
    assert alarms.standing == {WarningCode.REJECTS_IN_A_ROW: "3 parts in a row were rejected"}
    for _ in range(QUIET_PASSES):
        assert alarms.standing
        alarms.add(part(Verdict.PASS))
    assert not alarms.standing


def test_none_is_asked_for() -> None:
    alarms = SimpleAlarms(0)
    for _ in range(50):
        alarms.add(part(Verdict.FAIL))
    assert not alarms.standing


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.REVIEW])
def test_one_place_again_and_again(verdict: Verdict) -> None:
    alarms = SimpleAlarms(0)
    for number in range(SAME_PLACE_COUNT):
        assert not alarms.standing
        alarms.add(part(verdict, (0.30 + 0.001 * number, 0.70)))
        alarms.add(part(Verdict.PASS))
    assert (
        "30% from the left" in alarms.standing[WarningCode.SAME_PLACE]
        or "31%" in alarms.standing[WarningCode.SAME_PLACE]
    )


def test_defects_here_and_there_are_defects() -> None:
    alarms = SimpleAlarms(0)
    for number in range(60):
        alarms.add(part(Verdict.FAIL, ((number * 0.37) % 1, (number * 0.61) % 1)))
        alarms.add(part(Verdict.FAIL, (0.5, 0.5), camera=f"camera {number % 4}"))
    assert not alarms.standing


def test_what_is_remembered_outlives_a_restart() -> None:
    first, second = SimpleAlarms(3), SimpleAlarms(3)
    first.add(part(Verdict.FAIL, (0.5, 0.5)))
    first.add(part(Verdict.FAIL, (0.5, 0.5)))
    second.restore(first.memory)
    second.add(part(Verdict.FAIL, (0.5, 0.5)))
    assert WarningCode.REJECTS_IN_A_ROW in second.standing
    assert second.memory["places"] == [["top", 0.5, 0.5]] * 3
