"""Frames of several cameras find their part or none; a part is complete or an error, once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.codes import ReasonCode
from station.line.acquisition.messages import FrameArrived, FrameFailed
from station.line.signalling.view_matching import ViewMatching, ViewSettings
from station.results import Decision, Frame, Inspection, Part, Verdict

MS = 1_000_000
BESIDE = [ViewSettings("top"), ViewSettings("side"), ViewSettings("end")]
DOWN_THE_BELT = [ViewSettings("top"), ViewSettings("side", after_ms=300.0, tolerance_ms=30.0)]
BY_ENCODER = [ViewSettings("top"), ViewSettings("side", after_counts=1000, tolerance_counts=100)]
BY_PLC = [ViewSettings("top", by_station=True), ViewSettings("side", by_station=True)]
PIXELS = np.zeros((2, 2), np.uint8)


def part(number: int, ms: float) -> Part:
    return Part(number, 1000 + number, "line", round(ms * MS), 0.0, round((ms + 500) * MS))


def frame(camera: str, ms: float, frame_id: int = 1) -> FrameArrived:
    at = round(ms * MS)
    return FrameArrived(Frame(camera, frame_id, PIXELS, at, at), 0)


def passed(camera: str) -> Inspection:
    return Inspection(Frame(camera, 1, PIXELS, 0, 0), Decision(Verdict.PASS))


def opened(views: ViewMatching, number: int, ms: float, position: float | None = None) -> None:
    assert views.opened(part(number, ms), position).too_close == ()
    views.lead_arrived(number)


def part_of(
    views: ViewMatching, camera: str, ms: float, position: float | None = None, now_ms: float | None = None
) -> int:
    """The part that a frame belongs to; 0: none."""
    found = views.frame(frame(camera, ms), position, round((ms if now_ms is None else now_ms) * MS))
    return found.part.acquisition_id if found.part else 0


def test_one_trigger_for_all() -> None:
    views = ViewMatching(BESIDE)
    opened(views, 1, 100)
    assert views.exposing(1)
    assert part_of(views, "side", 102) == 1
    assert part_of(views, "end", 99) == 1
    assert not views.exposing(1)
    assert views.judged(1, passed("end")) is None
    assert views.judged(1, passed("top")) is None
    complete = views.judged(1, passed("side"))
    assert complete is not None
    assert [view.camera for view in complete] == ["top", "side", "end"]


def test_a_frame_that_is_faster_than_the_first_cameras_is_held() -> None:
    views = ViewMatching(BESIDE)
    assert part_of(views, "side", 101) == 0
    found = views.opened(part(1, 100))
    assert [message.camera for message in found.frames] == ["side"]
    assert views.absent(1) == ("top", "end")


def test_a_frame_without_a_part_is_told_once() -> None:
    views = ViewMatching(BESIDE)
    assert part_of(views, "side", 101) == 0
    assert views.expire(1000 * MS) == ([], [])
    missing, unmatched = views.expire(1101 * MS)
    assert (missing, [message.camera for message in unmatched]) == ([], ["side"])
    assert views.expire(5000 * MS) == ([], [])
    assert views.opened(part(1, 100)).frames == ()


def test_staggered_parts_in_flight() -> None:
    views = ViewMatching(DOWN_THE_BELT)
    for number in (1, 2, 3):
        opened(views, number, number * 100)
    assert [part_of(views, "side", ms) for ms in (390, 525, 600)] == [1, 2, 3]


def test_a_lost_frame_never_shifts_the_others() -> None:
    views = ViewMatching(DOWN_THE_BELT)
    for number in (1, 2, 3):
        opened(views, number, number * 100)
    found = views.frame(frame("side", 500), None, 500 * MS)
    assert found.part is not None
    assert found.part.acquisition_id == 2
    assert [(view.part.acquisition_id, view.camera) for view in found.missing] == [(1, "side")]


def test_a_view_that_does_not_come_is_missing() -> None:
    views = ViewMatching(DOWN_THE_BELT)
    opened(views, 1, 100)
    assert views.next_wakeup_ns() == (100 + 300 + 30 + 1000) * MS
    assert views.expire(1429 * MS)[0] == []
    assert [(view.part.acquisition_id, view.camera) for view in views.expire(1430 * MS)[0]] == [(1, "side")]


def test_parts_too_close_for_the_tolerance_are_both_doubtful() -> None:
    views = ViewMatching(DOWN_THE_BELT)
    opened(views, 1, 100)
    assert views.opened(part(2, 160)).too_close == (1, 2)
    assert ViewMatching(DOWN_THE_BELT[:1]).opened(part(2, 160)).too_close == ()


def test_a_frame_that_fits_two_parts_is_neithers_even_before_they_are_closed() -> None:
    views = ViewMatching(DOWN_THE_BELT)
    opened(views, 1, 100)
    assert set(views.opened(part(2, 150)).too_close) == {1, 2}
    assert part_of(views, "side", 425) == 0


def test_a_closed_part_still_counts_as_near() -> None:
    views = ViewMatching(BESIDE)
    opened(views, 1, 100)
    views.close(1)
    assert views.opened(part(2, 130)).too_close == (2,)


def test_two_frames_of_one_camera_make_the_part_doubtful() -> None:
    views = ViewMatching(BESIDE)
    opened(views, 1, 100)
    assert part_of(views, "side", 101) == 1
    assert views.frame(frame("side", 104), None, 104 * MS).ambiguous == (1,)
    views = ViewMatching(BESIDE)
    part_of(views, "side", 99)
    part_of(views, "side", 101)
    assert views.opened(part(1, 100)).too_close == (1,)


def test_a_frame_of_a_part_with_its_result_is_late() -> None:
    views = ViewMatching(BESIDE)
    opened(views, 1, 100)
    views.close(1)
    assert views.frame(frame("side", 101), None, 101 * MS).why_not == "late"


def test_by_encoder_whatever_the_belt_does_meanwhile() -> None:
    views = ViewMatching(BY_ENCODER)
    opened(views, 1, 100, position=5000.0)
    opened(views, 2, 200, position=5400.0)
    assert part_of(views, "side", 9000, position=6020.0) == 1
    assert part_of(views, "side", 9001, position=6390.0) == 2
    assert part_of(views, "side", 9002, position=6390.0) == 0  # twice
    assert views.expire(10**15)[0] == []  # only the deadline ends the wait: the belt may stand


def test_without_an_encoder_nothing_is_matched() -> None:
    views = ViewMatching(BY_ENCODER)
    opened(views, 1, 100)
    assert part_of(views, "side", 400, position=6000.0) == 0
    opened(views, 2, 700, position=7000.0)
    assert part_of(views, "side", 900) == 0


def test_the_station_triggers_all_at_once_and_waits_for_all() -> None:
    views = ViewMatching(BY_PLC)
    views.opened(part(1, 100))
    assert views.due(100 * MS) == ["top", "side"]
    assert views.due(100 * MS) == []
    assert part_of(views, "side", 350) == 1  # slow, but nobody else waits
    assert views.awaits_frame
    views.lead_arrived(1)
    assert not views.awaits_frame
    views.close(1)
    views.opened(part(2, 900))
    assert part_of(views, "side", 700) == 0  # triggered for the part before


def test_a_late_frame_is_not_the_next_part_however_soon_that_follows() -> None:
    """Parts nearer to each other than the clocks of camera and station may differ."""
    views = ViewMatching(BY_PLC)
    opened(views, 1, 10)
    views.close(1, in_time=False)
    opened(views, 2, 11.5)
    assert part_of(views, "side", 10.2) == 0
    assert part_of(views, "side", 11.4) == 2


def test_a_camera_down_the_belt_is_triggered_when_the_part_is_there() -> None:
    views = ViewMatching([ViewSettings("top"), ViewSettings("side", by_station=True, after_ms=250.0)])
    opened(views, 1, 100)
    assert views.due(349 * MS) == []
    assert views.next_wakeup_ns() == 350 * MS
    assert views.due(350 * MS) == ["side"]
    assert part_of(views, "side", 352) == 1
    opened(views, 2, 500)
    views.close(2)
    assert views.due(10_000 * MS) == []


def test_a_view_is_missed_for_its_part_alone() -> None:
    views = ViewMatching(BESIDE)
    opened(views, 1, 100)
    views.judged(1, passed("top"))
    assert [view.camera for view in views.close(1)] == ["top"]
    assert views.cut_short(1) == part(1, 100)
    opened(views, 2, 500)
    views.close(2, in_time=False)
    assert views.cut_short(2) is None
    assert views.close(99) == ()


def test_a_trigger_that_was_refused_says_nothing_of_other_parts() -> None:
    views = ViewMatching([ViewSettings("top"), ViewSettings("side", by_station=True, after_ms=250.0)])
    opened(views, 1, 100)
    refused = FrameFailed("side", 0, ReasonCode.CAMERA_DOWN, 352 * MS, 352 * MS, 0)
    found = views.frame(refused, None, 352 * MS)
    assert found.part is not None
    assert found.missing == ()


@dataclass
class Line:
    """Parts pass two or three cameras; frames get lost, come late, and in any order between cameras."""

    cameras: list[ViewSettings]
    parts: int
    pitch_ms: int
    lost: set[tuple[str, int]] = field(default_factory=set)
    delays: dict[str, int] = field(default_factory=dict)
    """Of every frame of a camera, ms: a camera delivers in order."""
    jitter: list[int] = field(default_factory=list)

    def events(self) -> list[tuple[float, str, int, float]]:
        """(arrival ms, camera, part, trigger ms), in the order of arrival."""
        found = []
        for number in range(1, self.parts + 1):
            for index, view in enumerate(self.cameras):
                if (view.camera, number) in self.lost:
                    continue
                jitter = self.jitter[(number * 7 + index) % len(self.jitter)] if index else 0
                at = number * self.pitch_ms + view.after_ms + jitter
                found.append((at + self.delays.get(view.camera, 0), view.camera, number, at))
        return sorted(found)


CAMERAS = st.sampled_from(
    [
        BESIDE,
        [ViewSettings("top"), ViewSettings("side", after_ms=250.0), ViewSettings("end", after_ms=990.0)],
        [ViewSettings("top"), ViewSettings("side"), ViewSettings("end", after_ms=400.0)],
    ]
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    cameras = draw(CAMERAS)
    parts = draw(st.integers(1, 12))
    names = st.tuples(st.sampled_from(["side", "end"]), st.integers(1, parts))
    return Line(
        cameras,
        parts,
        pitch_ms=draw(st.integers(41, 300)),
        lost=draw(st.sets(names, max_size=8)),
        delays=draw(st.fixed_dictionaries({name: st.integers(0, 400) for name in ("top", "side", "end")})),
        jitter=draw(st.lists(st.integers(-20, 20), min_size=1, max_size=5)),
    )


@settings(max_examples=400, deadline=None)
@given(lines())
def test_each_frame_goes_to_its_own_part_or_to_none_and_each_part_ends_once(line: Line) -> None:
    views = ViewMatching(line.cameras)
    given_to: dict[tuple[str, int], int] = {}
    complete: set[int] = set()
    given_up: set[int] = set()

    def give_up(acquisition_id: int) -> None:
        if views.is_open(acquisition_id):
            views.close(acquisition_id)
            assert acquisition_id not in complete | given_up
            given_up.add(acquisition_id)

    def take(camera: str, number: int, acquisition_id: int) -> None:
        assert (camera, acquisition_id) not in given_to
        given_to[camera, acquisition_id] = number
        if views.judged(acquisition_id, passed(camera)) is not None:
            views.close(acquisition_id)
            assert acquisition_id not in complete | given_up
            complete.add(acquisition_id)

    for arrived_ms, camera, number, at_ms in line.events():
        now = round(arrived_ms * MS)
        for missing in views.expire(now)[0]:
            give_up(missing.part.acquisition_id)
        message = frame(camera, at_ms, frame_id=number)
        if camera == "top":
            found = views.opened(part(number, at_ms))
            assert found.too_close == ()
            views.lead_arrived(number)
            take("top", number, number)
            for held in found.frames:
                take(held.camera, held.frame_id, number)
        else:
            match = views.frame(message, None, now)
            assert match.ambiguous == ()
            for missing in match.missing:
                give_up(missing.part.acquisition_id)
            if match.part is not None and views.is_open(match.part.acquisition_id):
                take(camera, number, match.part.acquisition_id)
    for missing in views.expire(10**15)[0]:
        give_up(missing.part.acquisition_id)

    assert all(part == number for (_, part), number in given_to.items())
    assert complete | given_up == set(range(1, line.parts + 1))
    for number in complete:
        assert not any((camera, number) in line.lost for camera in ("side", "end"))
    if all(delay <= 100 for delay in line.delays.values()):
        whole = {n for n in range(1, line.parts + 1) if not {("side", n), ("end", n)} & line.lost}
        assert complete == whole


@pytest.mark.parametrize("number", [1, 2, 8])
def test_any_number_of_cameras(number: int) -> None:
    views = ViewMatching([ViewSettings(f"c{index}") for index in range(number)])
    opened(views, 1, 100)
    for index in range(1, number):
        assert part_of(views, f"c{index}", 100) == 1
    complete = [views.judged(1, passed(f"c{index}")) for index in range(number)][-1]
    assert complete is not None
    assert len(views.close(1)) == len(complete) == number
