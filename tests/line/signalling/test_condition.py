"""What keeps the station from taking parts, in which order the reasons count, and that every change is logged once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from drivers.plc.protocol import LinkEvent
from station.codes import ErrorCode, OfflineReason, WarningCode
from station.line.acquisition.messages import CameraChanged, CameraState
from station.line.handshake.messages import StationState
from station.line.signalling.condition import Condition

Events = list[tuple[str, str, str]]


def condition(
    events: Events | None = None, *, tracks: bool = False, cameras: tuple[str, ...] = ("top", "side")
) -> Condition:
    """On line and taking parts."""
    sink: Events = [] if events is None else events
    made = Condition(cameras, lambda *event: sink.append(event), line_triggered=True, tracks=tracks)
    for camera in cameras:
        made.camera_changed(CameraChanged(camera, CameraState.STREAMING, None, ""))
    made.engine_is(True)
    made.set_online(True, OfflineReason.BY_OPERATOR)
    assert made.takes_parts
    sink.clear()
    return made


IN_ORDER: list[tuple[OfflineReason, Callable[[Condition], None], bool, StationState]] = [
    (OfflineReason.FAULT, lambda it: it.raise_fault(ErrorCode.STAGE_FAILED, "x"), False, StationState.ERROR),
    (OfflineReason.BY_PLC, lambda it: it.set_online(False, OfflineReason.BY_PLC), False, StationState.INITIALIZED),
    (
        OfflineReason.CAMERA_DOWN,
        lambda it: it.camera_changed(CameraChanged("side", CameraState.DOWN, None, "")),
        False,
        StationState.INITIALIZED,
    ),
    (
        OfflineReason.CHALLENGE_FAILED,
        lambda it: it.challenge_keeps_off(OfflineReason.CHALLENGE_FAILED),
        False,
        StationState.INITIALIZED,
    ),
    (
        OfflineReason.CHANGING_RECIPE,
        lambda it: it.begin_change(OfflineReason.CHANGING_RECIPE),
        True,
        StationState.PREOPERATIONAL,
    ),
    (OfflineReason.NO_ENGINE, lambda it: it.engine_is(False), False, StationState.PREOPERATIONAL),
    (
        OfflineReason.CHALLENGE_OVERDUE,
        lambda it: it.challenge_keeps_off(OfflineReason.CHALLENGE_OVERDUE),
        True,
        StationState.INITIALIZED,
    ),
    (OfflineReason.STOPPING, lambda it: it.stop(), True, StationState.HALTED),
]


@pytest.mark.parametrize(("reason", "happens", "may_signal", "state"), IN_ORDER, ids=[row[0].name for row in IN_ORDER])
def test_each_reason_keeps_parts_away(
    reason: OfflineReason, happens: Callable[[Condition], None], may_signal: bool, state: StationState
) -> None:
    """`may_signal`: parts in flight still get their results."""
    it = condition()
    happens(it)
    assert (it.why_offline, it.takes_parts, it.may_signal) == (reason, False, may_signal)
    assert it.state(enabled=True) is state


def test_the_first_reason_counts() -> None:
    challenge = (OfflineReason.CHALLENGE_FAILED, OfflineReason.CHALLENGE_OVERDUE)
    for first, second in combinations(IN_ORDER, 2):
        if first[0] in challenge and second[0] in challenge:
            continue  # one or the other
        it = condition()
        second[1](it)
        first[1](it)
        assert it.why_offline is first[0], f"{first[0].name} comes before {second[0].name}"


def test_neither_overrules_the_other() -> None:
    it = condition()
    it.set_online(False, OfflineReason.BY_PLC)
    it.set_online(False, OfflineReason.BY_OPERATOR)
    it.set_online(True, OfflineReason.BY_PLC)
    assert it.why_offline is OfflineReason.BY_OPERATOR
    it.set_online(True, OfflineReason.BY_OPERATOR)
    assert it.takes_parts


def test_a_change_ends_and_teaching_needs_no_engine() -> None:
    it = condition()
    it.begin_change(OfflineReason.CHANGING_ENGINE)
    it.end_change()
    assert it.takes_parts
    it.engine_is(False)
    it.collect(True)
    assert (it.takes_parts, it.is_collecting) == (True, True)
    it.collect(False)
    assert it.why_offline is OfflineReason.NO_ENGINE


def test_nothing_is_signalled_once_the_thread_has_ended() -> None:
    it = condition(tracks=True)
    assert not it.line_stop
    it.stopped()
    assert not it.may_signal
    assert it.line_stop
    assert it.state(enabled=True) is StationState.HALTED


@pytest.mark.parametrize(
    ("tracks", "camera", "stops"), [(True, "top", True), (True, "side", False), (False, "top", False)]
)
def test_the_line_stops_where_parts_could_go_by_unseen(tracks: bool, camera: str, stops: bool) -> None:
    it = condition(tracks=tracks)
    it.camera_changed(CameraChanged(camera, CameraState.DOWN, None, ""))
    assert it.line_stop is stops


def test_each_change_is_one_event() -> None:
    events: Events = []
    it = condition(events)
    for _ in range(2):
        it.warn(WarningCode.DISK_FULL, True)
        it.raise_fault(ErrorCode.CAMERA_FAILED, "first")
        it.raise_fault(ErrorCode.ENGINE_FAILED, "second")
    assert (it.fault, it.fault_detail) == (ErrorCode.CAMERA_FAILED, "first")
    it.link_changed(LinkEvent("refused", "10.0.0.9"))
    assert it.warnings == (WarningCode.DISK_FULL, WarningCode.WRITER_REFUSED)
    for _ in range(2):
        it.clear_fault()
    assert it.warnings == (WarningCode.DISK_FULL,)
    it.warn(WarningCode.DISK_FULL, False)
    assert [kind for kind, *_ in events] == [
        "warning", "fault", "plc_refused", "warning", "warning_over", "fault_cleared", "warning_over",
    ]  # fmt: skip


def test_a_failed_link_is_a_fault() -> None:
    it = condition()
    it.link_changed(LinkEvent("failed", "", "port in use"))
    assert (it.fault, it.fault_detail) == (ErrorCode.STAGE_FAILED, "PLC link: port in use")
