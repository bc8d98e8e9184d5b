"""The live stage: writes what is due, makes pictures only while somebody looks, and shows one part in one piece."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engines.inputs.depth import Heights, depth_picture, shaded
from engines.scale import ScoreScale
from station.live.feed import LAST_PARTS, LiveFeed
from station.live.memory import LiveMemory
from station.live.part_message import PICTURE_PX, part_message, picture_of, slot_bytes
from station.live.reading import LiveReader, NoLiveMemory, split_part
from station.live.stage import LiveStage
from station.results import Frame, InspectionRecord, Verdict
from tests.bench.engines.dented import SCALE_MM, SPEC, plate
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for

SECOND = 1_000_000_000


class Moment:
    """A stage whose clock and state are the test's."""

    def __init__(self, folder: Path) -> None:
        self.now = 100 * SECOND
        self.turned = 100 * SECOND
        self.asked = 0
        self.replies = True
        self.recorded: list[InspectionRecord] = []
        self.feed = LiveFeed(self.recorded.append)
        self.stage = LiveStage(
            folder,
            "start-1",
            self.feed,
            cameras=2,
            turned_ns=lambda: self.turned,
            state=self.state,
            clock=lambda: self.now,
        )
        self.memory = LiveMemory.create(folder, "start-1", part_bytes=slot_bytes(2))
        self.reader = LiveReader(folder, clock=lambda: self.now)

    def state(self) -> Mapping[str, Any]:
        self.asked += 1
        if not self.replies:
            raise queue.Empty
        return {"online": True}

    def turn(self, after_s: float = 0.0) -> None:
        self.now += round(after_s * SECOND)
        self.stage.turn(self.memory)

    def shown(self) -> dict[str, Any] | None:
        found = self.reader.part()
        return None if found is None else split_part(found.payload)[0]

    def known(self) -> dict[str, Any]:
        found = self.reader.state()
        assert found is not None
        state: dict[str, Any] = json.loads(found.payload)
        return state


@pytest.fixture
def moment(tmp_path: Path) -> Iterator[Moment]:
    moment = Moment(tmp_path)
    yield moment
    moment.memory.close()


def test_nothing_but_the_beat_while_nobody_looks(moment: Moment) -> None:
    moment.feed.record(PartMaker().inspected(1, Verdict.PASS))
    for _ in range(20):
        moment.turn(0.1)
    assert moment.shown() is None
    assert moment.asked == 0
    assert moment.reader.beat_age_s() == 2.0


def test_the_last_part_is_there_for_whoever_begins_to_look(moment: Moment) -> None:
    moment.feed.record(PartMaker().inspected(1, Verdict.FAIL))
    moment.reader.watch()
    moment.turn()
    shown = moment.shown()
    assert shown is not None
    assert (shown["acquisition_id"], shown["verdict"]) == (1, "FAIL")
    assert moment.known() == {
        "online": True,
        "parts": [line.as_json() for line in moment.feed.lines()],
        "parts_seen": 1,
    }


@pytest.mark.parametrize("stamp_ns", [0, 97 * SECOND, 10_000 * SECOND])
def test_a_stamp_that_is_old_or_lies_is_nobody(moment: Moment, stamp_ns: int) -> None:
    LiveReader(Path(moment.stage._folder), clock=lambda: stamp_ns).watch()
    moment.feed.record(PartMaker().inspected(1, Verdict.FAIL))
    moment.turn()
    assert moment.shown() is None


def test_pictures_are_at_most_ten_a_second_and_of_the_newest_part(moment: Moment) -> None:
    moment.reader.watch()
    moment.turn()
    made = []
    for number in range(1, 51):  # 50 parts in one second
        moment.feed.record(PartMaker().inspected(number, Verdict.PASS))
        moment.turn(0.02)
        found = moment.reader.part()
        made.append(0 if found is None else found.number)
    assert max(made) <= 11
    moment.turn(0.1)
    shown = moment.shown()
    assert shown is not None
    assert shown["acquisition_id"] == 50
    assert [line["acquisition_id"] for line in moment.known()["parts"]] == list(range(51 - LAST_PARTS, 51))


def test_a_late_result_is_recorded_and_not_shown(moment: Moment) -> None:
    moment.reader.watch()
    moment.feed.record(PartMaker().inspected(1, Verdict.PASS))
    moment.feed.record(PartMaker().inspected(2, Verdict.PASS, late=True))
    moment.turn()
    shown = moment.shown()
    assert shown is not None
    assert shown["acquisition_id"] == 1
    assert len(moment.recorded) == 2


def test_signalling_that_does_not_reply_shows_in_the_beat_alone(moment: Moment) -> None:
    moment.reader.watch()
    moment.replies = False
    moment.turn(3.0)
    assert moment.reader.state() is None
    assert moment.reader.beat_age_s() == 3.0


def test_a_part_is_one_piece_with_its_pictures() -> None:
    maker = PartMaker(pixels=lambda n: np.full((1500, 2000), n, np.uint8))
    record = maker.seen_by(7, {"top": Verdict.PASS, "side": Verdict.FAIL})
    scale = ScoreScale(typical=0.0, limit=1.0)
    record = replace(record, views=tuple(replace(view, pixel_scale=scale) for view in record.views))
    part, blobs = split_part(part_message(record))
    assert [(view["camera"], view["verdict"]) for view in part["views"]] == [("top", "PASS"), ("side", "FAIL")]
    assert (part["acquisition_id"], part["part_id"], part["latency_ms"]) == (7, 1007, pytest.approx(20.0, abs=5.0))
    picture = cv2.imdecode(np.frombuffer(blobs[0], np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert max(picture.shape) == PICTURE_PX
    assert abs(int(picture.mean()) - 7) <= 1
    heat = cv2.imdecode(np.frombuffer(blobs[1], np.uint8), cv2.IMREAD_UNCHANGED)
    assert heat is not None
    assert heat.shape == (240, 320, 4)
    assert heat[0, 0, 3] == 0, "nothing below the limit"
    assert heat[-1, -1, 3] > 100, "the map ends above it"
    assert part["views"][0]["outlines"][0][0] == [round(25.5 / 2000, 4), round(36.5 / 1500, 4)]


def test_a_map_below_the_limit_is_not_sent() -> None:
    record = PartMaker().inspected(1, Verdict.PASS)
    (view,) = record.views
    part, blobs = split_part(part_message(replace(record, views=(replace(view, pixel_scale=ScoreScale(0.0, 9.0)),))))
    assert part["views"][0]["heat"] == 0
    assert blobs[1] == b""


def test_what_is_no_number_is_no_score() -> None:
    record = PartMaker().inspected(1, Verdict.ERROR)
    (view,) = record.views
    assert view.scores is not None
    assert view.measurement is not None
    broken = replace(view.scores, anomaly_map=np.full((4, 4), np.nan, np.float32))
    lost = replace(view, scores=broken, measurement=replace(view.measurement, score=float("nan")))
    part, blobs = split_part(part_message(replace(record, views=(lost,), reject_score=float("nan"))))
    assert (part["score"], part["limit"], part["views"][0]["score"]) == (None, None, None)
    assert blobs[1] == b""


def test_noise_that_compresses_badly_still_fits() -> None:
    maker = PartMaker(pixels=lambda n: np.random.default_rng(n).integers(0, 256, (960, 960, 3), np.uint8))
    message = part_message(maker.inspected(1, Verdict.PASS))
    assert len(message) < slot_bytes(1)
    part, _ = split_part(message)
    assert part["views"][0]["picture"] > 0 or part["views"][0]["why_no_picture"]


def test_bytes_that_are_no_part_are_refused() -> None:
    message = part_message(PartMaker().inspected(1, Verdict.PASS))
    for wrong in (b"", b"abc", message[:-1], message + b"x", b"\xff" * 8):
        with pytest.raises(ValueError, match="are no part"):
            split_part(wrong)


def test_the_thread_writes_and_leaves_nothing(tmp_path: Path) -> None:
    feed = LiveFeed(lambda _record: None)
    stage = LiveStage(tmp_path, "start-1", feed, cameras=1, turned_ns=lambda: 1, state=lambda: {"online": True})
    reader = LiveReader(tmp_path)
    stage.start()
    feed.record(PartMaker().inspected(3, Verdict.PASS))

    def shown() -> bool:
        try:
            reader.watch()
            return reader.part() is not None and reader.state() is not None
        except NoLiveMemory:
            return False

    wait_for(shown, "the part")
    assert stage.stop(5.0)
    with pytest.raises(NoLiveMemory):
        reader.part()


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    stage = LiveStage(folder, "s", LiveFeed(lambda _record: None), cameras=1, turned_ns=lambda: 1, state=dict)
    stage.start()
    folder.mkdir()
    reader = LiveReader(folder)

    def beats() -> bool:
        try:
            return reader.beat_age_s() > 0
        except NoLiveMemory:
            return False

    wait_for(beats, "the next try")
    assert stage.stop(5.0)


def test_a_view_of_heights_is_a_relief() -> None:
    values = plate(160, 128, dent_mm=0.5)
    pixels = depth_picture(values, SCALE_MM, 0.0, 0, SPEC)
    jpeg, why = picture_of(Frame("top", 1, pixels, 0, 0, Heights(values, SCALE_MM, 0.0, 0, SPEC)))
    assert why == ""
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert int(np.ptp(shown.astype(int), axis=2).max()) <= 8, "grey, as far as a JPEG keeps it"
    assert np.abs(shown[..., 0].astype(int) - shaded(pixels, SPEC.channels)[..., 0]).mean() < 6
