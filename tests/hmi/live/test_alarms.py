"""What needs a person stays until somebody has seen it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from station.hmi.live.alarms import MOST, Alarms, Cause

CAMERA: Cause = ("camera", 0, "top")
DISK: Cause = ("warning", 3, "")


def shown(alarms: Alarms) -> list[tuple[Cause, bool, bool]]:
    return [(alarm.cause, alarm.stands, bool(alarm.seen_by)) for alarm in alarms.shown]


def test_it_comes_is_seen_and_goes_with_its_cause() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA], 1.0)
    assert shown(alarms) == [(CAMERA, True, False)]
    assert alarms.seen(["camera:0:top"], "anna") == 1
    assert shown(alarms) == [(CAMERA, True, True)]
    alarms.stand([], 2.0)
    assert shown(alarms) == []


def test_what_has_gone_before_anybody_saw_it_is_still_there() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA], 1.0)
    alarms.stand([], 2.0)
    assert shown(alarms) == [(CAMERA, False, False)]
    assert alarms.seen(["camera:0:top"], "anna") == 1
    assert shown(alarms) == []


def test_what_comes_again_after_it_was_seen_is_new() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA], 1.0)
    alarms.seen(["camera:0:top"], "anna")
    alarms.stand([], 2.0)
    alarms.stand([CAMERA], 3.0)
    assert shown(alarms) == [(CAMERA, True, False)]


def test_how_often_it_came_unseen_is_counted() -> None:
    alarms = Alarms()
    for at in range(3):
        alarms.stand([CAMERA], float(at))
        alarms.stand([], at + 0.5)
    assert [alarm.times for alarm in alarms.shown] == [3]


def test_only_what_a_page_showed_is_seen() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA, DISK], 1.0)
    assert alarms.seen(["camera:0:top", "nonsense"], "anna") == 1
    assert shown(alarms) == [(DISK, True, False), (CAMERA, True, True)], "not seen first"


def test_what_stands_is_before_what_was() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA], 1.0)
    alarms.stand([DISK], 2.0)
    assert shown(alarms) == [(DISK, True, False), (CAMERA, False, False)], "the panel has room for one or two"


def test_the_version_changes_with_the_list_alone() -> None:
    alarms = Alarms()
    alarms.stand([CAMERA], 1.0)
    version = alarms.version
    alarms.stand([CAMERA], 2.0)
    alarms.seen(["nonsense"], "anna")
    assert alarms.version == version
    alarms.seen(["camera:0:top"], "anna")
    assert alarms.version > version


CAUSES = st.lists(st.tuples(st.just("warning"), st.integers(0, 4), st.just("")), unique=True, max_size=5)


@given(st.lists(st.tuples(CAUSES, st.sets(st.integers(0, 4))), max_size=20))
def test_nothing_vanishes_unseen(steps: list[tuple[list[Cause], set[int]]]) -> None:
    """Against the plainest model: a cause is owed to people from the moment it stands until it is seen."""
    alarms, owed, standing = Alarms(), set[Cause](), set[Cause]()
    for number, (causes, seen) in enumerate(steps):
        owed |= set(causes) - standing
        standing = set(causes)
        alarms.stand(causes, float(number))
        assert {alarm.cause for alarm in alarms.shown if not alarm.seen_by} == owed
        assert {alarm.cause for alarm in alarms.shown} == owed | standing
        alarms.seen([f"warning:{code}:" for code in seen], "anna")
        owed -= {("warning", code, "") for code in seen}


def test_the_list_is_bounded() -> None:
    alarms = Alarms()
    for number in range(3 * MOST):
        alarms.stand([("fault", number, "")], float(number))
    assert len(alarms.shown) <= MOST + 1
