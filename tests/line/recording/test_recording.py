"""The recorder with a real database and real files: every part one row, whatever else goes wrong."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from structlog.testing import capture_logs

from station.codes import ReasonCode
from station.line.recording.journal import PartKey, UnfinishedPart
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.images import MapScale, decode_map
from station.records.parts import parts
from station.records.sample import in_sample
from station.records.schema import DATABASE_FILE, open_reader
from station.records.sessions import count_parts
from station.results import Decision, PartCounts, Verdict
from tests.bench.sample_parts import REGION, WALL_TIME, PartMaker, new_part, textured
from tests.bench.waiting import wait_for
from tests.line.recording.recording_bench import MAKE, recording, rows


def test_row_holds_everything_of_a_part(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.inspected(7, Verdict.FAIL))
        assert recorder.flush(20)
        assert recorder.health.ok
    (row,) = rows(tmp_path)
    assert (row.session, row.acquisition_id, row.part_id, row.source, row.encoder_count) == ("s1", 7, 1007, "line", 77)
    assert row.wall_time == WALL_TIME + 7
    assert (row.views[0].camera, row.views[0].frame_id) == ("top", 7)
    times = (
        row.views[0].received_ms,
        row.views[0].inspection_start_ms,
        row.views[0].engine_start_ms,
        row.views[0].engine_end_ms,
        row.views[0].decided_ms,
    )
    assert times == (3.0, 4.0, 5.0, 15.0, 16.0)
    assert row.signalled_ms == 20.0
    assert (row.score, row.views[0].raw_score, row.reject_score) == (0.5, -31.5, 0.4)
    assert (row.defect_area_mm2, row.views[0].region_count, row.views[0].region_list) == (1.5, 1, (REGION,))
    assert (row.views[0].mean_grey, row.views[0].saturated_share, row.views[0].sharpness) == (100.0, 0.01, 55.0)
    assert row.verdict == "FAIL"
    assert [(reason.code, reason.detail) for reason in row.reason_list] == [(ReasonCode.SCORE_ABOVE_LIMIT, "detail")]
    assert (row.engine_id, row.recipe, row.config_checksum) == ("e" * 64, "default", "c" * 64)
    extra = json.loads(row.extra)
    assert extra["note"] == "test"
    assert float(extra["recorded_ms"]) > 0
    assert (row.views[0].image_skipped, row.views[0].image_deleted, row.late, row.late_verdict, row.recovered) == (
        None,
        False,
        False,
        None,
        False,
    )


def test_image_and_map_are_stored_in_the_folder_of_the_day(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.inspected(7, Verdict.FAIL))
    (row,) = rows(tmp_path)
    assert row.views[0].image_path == "images/2027-01-15/080007.000-s1-000007-FAIL-top.png"
    assert row.views[0].map_path == "images/2027-01-15/080007.000-s1-000007-FAIL-top.map.png"
    stored = cv2.imread(str(tmp_path / row.views[0].image_path))
    assert stored is not None
    np.testing.assert_array_equal(stored[..., ::-1], textured(7))
    assert (row.views[0].map_low, row.views[0].map_high) == (-1.0, 2.0)
    restored = decode_map((tmp_path / row.views[0].map_path).read_bytes(), MapScale(-1.0, 2.0))
    (original,) = MAKE.inspected(7, Verdict.FAIL).views
    assert original.scores is not None
    np.testing.assert_allclose(restored, original.scores.anomaly_map, atol=3.0 / 255 / 2 + 1e-6)


def test_every_view_has_its_row_and_its_image(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.seen_by(7, {"top": Verdict.PASS, "side": Verdict.FAIL, "end": Verdict.PASS}))
        recorder.record(MAKE.without_frame(8))
        recorder.record(MAKE.inspected(9, Verdict.REVIEW))
    seen, without, single = rows(tmp_path)
    assert [(view.camera, view.verdict, view.received_ms) for view in seen.views] == [
        ("top", "PASS", 3.0),
        ("side", "FAIL", 4.0),
        ("end", "PASS", 5.0),
    ]
    assert (seen.verdict, seen.score, seen.defect_area_mm2) == ("FAIL", 0.5, 4.5)
    assert seen.engine_ms == 10.0, "one call for all"
    assert seen.worst_view is seen.views[1]
    paths = [view.image_path or "" for view in seen.views]
    assert paths[1] == "images/2027-01-15/080007.000-s1-000007-FAIL-side.png"
    assert len(set(paths)) == 3
    assert all((tmp_path / path).is_file() for path in paths)
    assert (without.views, len(single.views)) == ((), 1)


def test_a_view_that_came_late_is_added_and_changes_nothing_else(tmp_path: Path) -> None:
    part = MAKE.seen_by(7, {"top": Verdict.PASS, "side": Verdict.FAIL})
    top, side = part.views
    with recording(tmp_path) as recorder:
        recorder.record(replace(part, views=(top,), decision=Decision.error(ReasonCode.VIEW_MISSING)))
        recorder.record(replace(part, views=(side,), decision=side.decision, late=True))
        recorder.record(
            replace(part, views=(top,), decision=Decision.error(ReasonCode.VIEW_MISSING))
        )  # again, after a restart
    (row,) = rows(tmp_path)
    assert (row.verdict, row.late, row.late_verdict) == ("ERROR", True, "FAIL")
    assert [reason.code for reason in row.reason_list] == [ReasonCode.VIEW_MISSING]
    assert [view.camera for view in row.views] == ["top", "side"]


def test_grey_image_is_stored_grey(tmp_path: Path) -> None:
    maker = PartMaker(pixels=lambda seed: textured(seed, (40, 30)))
    with recording(tmp_path) as recorder:
        recorder.record(maker.inspected(1, Verdict.REVIEW))
    stored = cv2.imread(str(tmp_path / str(rows(tmp_path)[0].views[0].image_path)), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, textured(1, (40, 30)))


def test_part_without_a_frame(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.without_frame(1))
    (row,) = rows(tmp_path)
    assert (row.verdict, row.score, row.views) == ("ERROR", None, ())
    assert row.signalled_ms == 20.0


def test_images_of_pass_parts_are_a_random_sample_all_others_are_kept(tmp_path: Path) -> None:
    sampled = [number for number in range(1, 41) if in_sample(MAKE.session, number, 0.25)]
    assert 5 <= len(sampled) <= 15
    with recording(tmp_path, pass_image_share=0.25) as recorder:
        for number in range(1, 41):
            recorder.record(MAKE.inspected(number, Verdict.PASS))
        for number, verdict in enumerate((Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR), 41):
            recorder.record(MAKE.inspected(number, verdict))
    with_image = [row.acquisition_id for row in rows(tmp_path) if row.views[0].image_path]
    assert with_image == [*sampled, 41, 42, 43]
    assert len(list(tmp_path.rglob("*.png"))) == 2 * len(with_image)


def test_parts_of_a_challenge_test_or_a_study_keep_their_image_when_they_pass(tmp_path: Path) -> None:
    passed = MAKE.inspected(1, Verdict.PASS)
    with recording(tmp_path, pass_image_share=0.0) as recorder:
        recorder.record(passed)
        recorder.record(replace(MAKE.inspected(2, Verdict.PASS), part=replace(new_part(2), challenge=3)))
    assert [row.views[0].image_path is not None for row in rows(tmp_path)] == [False, True]


def test_count_parts_counts_by_verdict_and_session(tmp_path: Path) -> None:
    verdicts = [Verdict.PASS] * 5 + [Verdict.FAIL] * 3 + [Verdict.REVIEW] * 2 + [Verdict.ERROR]
    for session in ("s1", "s2"):
        with recording(tmp_path, session=session) as recorder:
            for number, verdict in enumerate(verdicts, 1):
                recorder.record(PartMaker(session).inspected(number, verdict))
            recorder.event("missed", "warning", "not ready")
            recorder.event("camera", "info", "connected")
    with closing(open_reader(tmp_path)) as reader:
        assert count_parts(reader, "s2") == PartCounts(11, 5, 3, 2, 1, missed=1)
        assert count_parts(reader) == PartCounts(22, 10, 6, 4, 2, missed=2)
        assert count_parts(reader, "s3") == PartCounts(0, 0, 0, 0, 0, 0)
        failed = parts(reader, session="s2", verdicts=[Verdict.FAIL, Verdict.ERROR], newest=3)
        assert [row.acquisition_id for row in failed] == [7, 8, 11]
        (event,) = events(reader, session="s1", kind="camera")
        assert (event.level, event.detail) == ("info", "connected")
        assert list(map(tuple, reader.execute("SELECT session, clean FROM sessions"))) == [("s1", 1), ("s2", 1)]


def test_session_that_was_killed_is_known_as_such(tmp_path: Path) -> None:
    with recording(tmp_path, session="killed"):
        pass
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE sessions SET clean = NULL, end_wall_time = NULL")
    with recording(tmp_path, session="next"):
        pass
    with closing(open_reader(tmp_path)) as reader:
        assert dict(map(tuple, reader.execute("SELECT session, clean FROM sessions"))) == {"killed": 0, "next": 1}


def test_late_answer_completes_the_row_and_never_its_verdict(tmp_path: Path) -> None:
    given_up = MAKE.without_frame(1)
    late = replace(MAKE.inspected(1, Verdict.PASS, late=True), part=given_up.part)
    with recording(tmp_path) as recorder:
        recorder.record(given_up)
        recorder.record(late)
    (row,) = rows(tmp_path)
    assert (row.verdict, row.late, row.late_verdict, row.score) == ("ERROR", True, "PASS", 0.5)
    assert [reason.code for reason in row.reason_list] == [ReasonCode.DEADLINE]
    assert row.views[0].image_path is not None
    assert (tmp_path / row.views[0].image_path).exists()


def test_late_pass_alone_is_no_pass(tmp_path: Path) -> None:
    late = replace(MAKE.inspected(1, Verdict.PASS), late=True)
    with recording(tmp_path) as recorder:
        recorder.record(late)
    (row,) = rows(tmp_path)
    assert (row.verdict, row.late_verdict) == ("ERROR", "PASS")


def test_recovered_parts_are_entered_once(tmp_path: Path) -> None:
    """Of an earlier session: one is there already, two are not; the callback names all of them."""
    committed: list[PartKey] = []
    with recording(tmp_path, session="s1") as recorder:
        recorder.record(MAKE.inspected(1, Verdict.PASS))
    unfinished = [
        UnfinishedPart("s1", new_part(1), Decision.error(ReasonCode.RESTARTED)),
        UnfinishedPart("s1", new_part(2), Decision(Verdict.PASS)),
        UnfinishedPart("s0", new_part(1), Decision.error(ReasonCode.RESTARTED)),
    ]
    for session in ("s2", "s3"):
        with recording(tmp_path, session=session, on_committed=committed.extend) as recorder:
            for part in unfinished:
                recorder.record_recovered(part)
    assert not any(row.late for row in rows(tmp_path))
    found = [(row.session, row.acquisition_id, row.verdict, row.recovered) for row in rows(tmp_path)]
    assert found == [("s1", 1, "PASS", False), ("s1", 2, "PASS", True), ("s0", 1, "ERROR", True)]
    assert committed == [part.key for part in unfinished] * 2


def test_committed_parts_are_reported_after_they_are_in_the_database(tmp_path: Path) -> None:
    batches: list[list[PartKey]] = []

    def on_committed(keys: Sequence[PartKey]) -> None:
        with closing(open_reader(tmp_path)) as reader:
            stored = {(row.session, row.acquisition_id) for row in parts(reader)}
        assert set(keys) <= stored
        batches.append(list(keys))

    with recording(tmp_path, on_committed=on_committed) as recorder:
        for number in range(1, 301):
            recorder.record(MAKE.without_frame(number))
    assert [key for batch in batches for key in batch] == [("s1", number) for number in range(1, 301)]
    assert len(batches) < 100


def test_stop_writes_everything_in_order_and_may_be_called_again(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    recorder.start()
    for number in range(1, 101):
        recorder.record(MAKE.without_frame(number))
    assert recorder.stop(20)
    assert recorder.stop(20)
    assert not recorder.is_alive
    assert [row.acquisition_id for row in rows(tmp_path)] == list(range(1, 101))


def test_stop_without_start() -> None:
    assert Recorder(RecorderSettings(Path("nowhere")), "s1").stop(1)


def test_stop_that_runs_out_of_time_keeps_the_rows_and_gives_up_images(tmp_path: Path) -> None:
    maker = PartMaker(pixels=lambda seed: textured(seed, (700, 500, 3)))
    records = [maker.inspected(number, Verdict.FAIL) for number in range(1, 61)]
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    recorder.start()
    for record in records:
        recorder.record(record)
    recorder.stop(0.0)
    wait_for(lambda: not recorder.is_alive, "the end of the recorder")
    found = rows(tmp_path)
    assert len(found) == 60
    assert found[-1].views[0].image_skipped == "the station stopped"


def test_record_after_stop_is_loud(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        pass
    with capture_logs() as logs:
        recorder.record(MAKE.inspected(5, Verdict.FAIL))
    assert [(entry["log_level"], entry["event"], entry["acquisition_id"]) for entry in logs] == [
        ("error", "record lost", 5)
    ]
    assert recorder.health.lost == 1
