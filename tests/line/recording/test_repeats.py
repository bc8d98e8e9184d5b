"""What repeats and repeats does not fill the records, and nothing of it goes uncounted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from station.line.recording.repeats import BURST, REFILL_S, Repeats
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import MISSED, events
from station.records.schema import open_reader

DAY_S = 86_400


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3 * REFILL_S)), max_size=400), st.integers(1, 50))
def test_every_event_is_kept_or_counted_and_few_are_kept(steps: list[tuple[str, float]], report_every: int) -> None:
    now_s = 0.0
    repeats = Repeats(lambda: now_s)
    kept, reported, reports, offered = {"a": 0, "b": 0}, {"a": 0, "b": 0}, {"a": 0, "b": 0}, {"a": 0, "b": 0}
    for number, (kind, pause_s) in enumerate(steps):
        now_s += pause_s
        offered[kind] += 1
        kept[kind] += repeats.keeps(kind)
        for name, count in repeats.left_out() if number % report_every == 0 else ():
            reported[name] += count
            reports[name] += 1
    for kind in "ab":
        assert kept[kind] + reports[kind] <= BURST + now_s / REFILL_S + 1e-6
    for name, count in repeats.left_out(at_the_end=True):
        reported[name] += count
    assert {kind: kept[kind] + reported[kind] for kind in "ab"} == offered


def test_a_connection_that_flaps_for_a_day_leaves_a_bounded_number_of_rows() -> None:
    now_s = 0.0
    repeats = Repeats(lambda: now_s)
    kept = 0
    for _ in range(DAY_S):
        now_s += 1.0
        kept += repeats.keeps("plc_connected")
        kept += len(repeats.left_out())
    assert kept <= BURST + DAY_S / REFILL_S


def test_on_record_the_rest_is_a_number_and_missed_triggers_are_all_there(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(tmp_path, waiting_rows=10_000), "s1")
    recorder.start()
    for number in range(5 * BURST):
        recorder.event("plc_connected", "info", f"client {number}")
        recorder.event(MISSED, "error", "")
    recorder.event("camera_down", "error", "of another kind")
    assert recorder.stop(30.0)
    with closing(open_reader(tmp_path)) as connection:
        found = list(events(connection, session="s1"))
    details = [row.detail for row in found if row.kind == "plc_connected"]
    whole = [detail for detail in details if detail.startswith("client")]
    counted = sum(int(detail.split()[0]) for detail in details if detail.endswith("were left out"))
    assert BURST <= len(whole) < 2 * BURST
    assert len(whole) + counted == 5 * BURST
    assert sum(row.kind == MISSED for row in found) == 5 * BURST
    assert [row.detail for row in found if row.kind == "camera_down"] == ["of another kind"]
