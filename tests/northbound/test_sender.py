"""Every part arrives: in order, at least once, under the same id; whatever receiver, records and disk do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from station.forwarding.in_words import sentence_of
from station.forwarding.progress import Cursor, ForwardingError, is_running, read_progress
from station.northbound.failing import LONGEST_PAUSE_S
from station.northbound.process import alone
from station.northbound.sender import LOOK_S
from station.records.parts import part_acknowledged
from station.records.schema import DATABASE_FILE, open_writer
from tests.bench.receiver import KEY, Receiver, receiving, signed_by
from tests.bench.sample_parts import WALL_TIME
from tests.northbound.sending import Bench, record, some


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Iterator[Bench]:
    bench = Bench(tmp_path, receiver)
    yield bench
    bench.close()


def test_the_first_start_sends_what_comes_from_then_on(bench: Bench) -> None:
    record(bench.records, some(1, 5))
    bench.drain()
    assert bench.receiver.requests == 0
    record(bench.records, some(6, 9))
    bench.drain()
    assert bench.receiver.distinct == [6, 7, 8, 9]
    assert bench.progress.sent == 4


def test_a_part_is_a_cloudevent_with_what_the_api_says_of_it(bench: Bench) -> None:
    bench.steps(1)  # before the station has ever run
    record(bench.records, some(1, 1))
    bench.drain()
    (event,) = bench.receiver.taken
    assert {name: value for name, value in event.items() if name not in ("data", "time")} == {
        "specversion": "1.0",
        "id": "ST%2004%2F%C3%BC/s1/1",
        "source": "/stations/ST%2004%2F%C3%BC",
        "type": "station.part.inspected",
        "subject": "1001",
        "datacontenttype": "application/json",
        "sequence": "1",
    }
    part = event["data"]["part"]
    assert (part["verdict"], part["acquisition_id"], part["reasons"][0]["name"]) == ("FAIL", 1, "SCORE_ABOVE_LIMIT")
    assert "label" not in part, "nobody has said anything yet"
    assert event["data"]["views"][0]["camera"] == "top"
    assert event["data"]["signalled_ms"] == 20.0
    headers = bench.receiver.headers
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == event["id"]
    assert headers["webhook-timestamp"] == str(int(bench.now))
    assert signed_by(KEY, headers, bench.receiver.bodies[-1])


def test_a_list_goes_as_a_batch_of_cloudevents(tmp_path: Path, receiver: Receiver) -> None:
    bench = Bench(tmp_path, receiver, batch=4)
    bench.steps(1)
    record(bench.records, some(1, 9))
    bench.drain()
    assert receiver.distinct == list(range(1, 10))
    assert [len(json.loads(body)) for body in receiver.bodies] == [4, 4, 1], "one alone is a list, too"
    assert receiver.headers["content-type"] == "application/cloudevents-batch+json"
    assert signed_by(KEY, receiver.headers, receiver.bodies[-1])
    bench.close()


@pytest.mark.parametrize("mode", ["500", "503", "404", "401", "403", "408", "429", "redirect", "reset", "late"])
def test_while_the_receiver_fails_nothing_is_lost_and_the_pauses_grow(bench: Bench, mode: str) -> None:
    bench.steps(1)
    record(bench.records, some(1, 3))
    bench.receiver.mode = mode
    bench.steps(8)
    floor = 7.0 if mode == "429" else 0.0  # what it asks for
    assert bench.pauses[1:] == [max(floor, pause) for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, LONGEST_PAUSE_S)]
    assert bench.progress.failing_since == bench.now
    assert f"127.0.0.1:{bench.receiver.port}" in bench.progress.detail
    assert bench.progress.sent == 0
    if mode == "redirect":
        assert "redirects are not followed" in bench.progress.detail
    bench.receiver.mode = "take"
    bench.drain()
    assert bench.receiver.distinct == [1, 2, 3]
    assert bench.progress.failing_since is None
    assert bench.progress.parked == 0


@pytest.mark.parametrize("mode", ["hang", "trickle"])
def test_a_receiver_that_hangs_is_left_after_the_time_of_one_request(
    tmp_path: Path, receiver: Receiver, mode: str
) -> None:
    bench = Bench(tmp_path, receiver, timeout_s=0.5)
    bench.steps(1)
    record(bench.records, some(1, 2))
    receiver.mode = mode
    bench.steps(1)
    assert bench.pauses[-1] == 1.0
    assert "no whole reply within 0.5 s" in bench.progress.detail
    receiver.mode = "take"
    bench.drain()
    assert receiver.distinct == [1, 2]
    bench.close()


def test_a_receiver_that_disappears_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with receiving() as receiver:
        bench = Bench(tmp_path, receiver)
        bench.steps(1)
        record(bench.records, some(1, 2))
        bench.drain()
    record(bench.records, some(3, 6))
    bench.steps(2)
    assert "Connection refused" in bench.progress.detail
    assert sentence_of(bench.progress, 6, bench.now + 600).startswith("2 sent, 4 wait; fails for 10 min: 127.0.0.1:")
    with receiving(receiver):
        bench.drain()
    assert receiver.distinct == [1, 2, 3, 4, 5, 6]
    bench.close()


def test_a_new_process_goes_on_where_the_old_one_was(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 6))
    bench.steps(3)
    bench.start()  # the old one is simply gone
    bench.drain()
    assert bench.receiver.distinct == [1, 2, 3, 4, 5, 6]
    assert len(bench.receiver.ids) == 6


def test_what_was_taken_and_not_noted_comes_again_under_its_id(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 2))
    bench.receiver.mode = "late"
    bench.steps(1)
    bench.receiver.mode = "take"
    bench.drain()
    assert bench.receiver.distinct == [1, 2]
    assert bench.receiver.ids.count("ST%2004%2F%C3%BC/s1/1") >= 2


def test_one_part_that_is_refused_is_parked_and_the_others_go_on(tmp_path: Path, receiver: Receiver) -> None:
    bench = Bench(tmp_path, receiver, batch=5)
    bench.steps(1)
    record(bench.records, some(1, 7))
    receiver.refused_ids = frozenset({"ST%2004%2F%C3%BC/s1/3"})
    bench.drain()
    assert receiver.distinct == [1, 2, 4, 5, 6, 7]
    (parked,) = bench.cursors.parked("webhook")
    assert (parked.session, parked.acquisition_id, "422" in parked.why) == ("s1", 3, True)
    assert bench.progress.parked == 1
    receiver.refused_ids = frozenset()
    assert bench.sender.send_parked(parked).kind == "taken"  # type: ignore[union-attr]
    assert receiver.distinct == [1, 2, 4, 5, 6, 7, 3]
    assert bench.progress.parked == 0
    bench.close()


def test_a_receiver_that_refuses_everything_is_the_trouble_itself(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 30))
    bench.receiver.mode = "400"
    bench.drain()
    assert bench.progress.parked == 10
    assert "replied 400" in bench.progress.detail
    bench.receiver.mode = "take"
    bench.drain()
    assert bench.receiver.distinct == list(range(11, 31))
    bench.receiver.mode = "take"
    for part in bench.cursors.parked("webhook"):
        bench.sender.send_parked(part)
    assert sorted(bench.receiver.distinct) == list(range(1, 31))


def test_a_part_waits_for_the_plc_but_not_for_ever(tmp_path: Path, receiver: Receiver) -> None:
    bench = Bench(tmp_path, receiver, waits_for_plc=True)
    bench.steps(1)
    record(bench.records, some(1, 3))
    bench.now = WALL_TIME + 2.5
    bench.drain()
    assert receiver.ids == []
    acknowledge(bench, 1)
    bench.drain()
    assert receiver.distinct == [1], "the next one is too young"
    assert receiver.taken[0]["data"]["acknowledged_ms"] == 33.0
    bench.now = WALL_TIME + 4.5
    bench.drain()
    assert receiver.distinct == [1, 2]
    bench.now = WALL_TIME - 5000  # the clock was set: nothing waits for it
    bench.drain()
    assert receiver.distinct == [1, 2, 3]
    bench.close()


def acknowledge(bench: Bench, number: int) -> None:
    with closing(open_writer(bench.records / DATABASE_FILE)) as connection:
        statement = part_acknowledged("s1", number, 33.0)
        connection.execute(statement.sql, statement.values)
        connection.commit()


def test_what_retention_deleted_unsent_is_counted(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 10))
    bench.steps(2)
    bench.delete("acquisition_id IN (3, 4, 5, 8)")
    bench.drain()
    assert bench.receiver.distinct == [1, 2, 6, 7, 9, 10]
    assert (bench.progress.left_out, bench.progress.left_out_at) == (4, bench.now)
    assert "4 were never sent: they were deleted first" in sentence_of(bench.progress, 10, bench.now)
    sequences = [int(event["sequence"]) for event in bench.receiver.taken]
    assert sequences == [1, 2, 6, 7, 9, 10], "the receiver sees it, too"


@pytest.mark.parametrize("how", ["deleted", "replaced", "longer", "backup"])
def test_records_that_are_others_are_sent_and_not_skipped(bench: Bench, how: str, tmp_path: Path) -> None:
    """Row ids begin anew; a cursor that only counts would skip what has the ids of before."""
    bench.steps(1)
    record(bench.records, some(1, 3))
    if how == "backup":
        copy(bench.records / DATABASE_FILE, tmp_path / "old.db")
    record(bench.records, some(4, 6))
    bench.drain()
    if how == "deleted":
        bench.delete("1")
    else:
        for file in bench.records.glob("records.db*"):
            file.unlink()
    if how == "backup":
        copy(tmp_path / "old.db", bench.records / DATABASE_FILE)
    record(bench.records, some(11, 20 if how in ("longer", "backup") else 13, "s2"), "s2")
    bench.drain()
    assert set(range(11, 14)) <= set(bench.receiver.distinct)
    assert {event["id"].split("/")[1] for event in bench.receiver.taken} == {"s1", "s2"}
    assert bench.receiver.distinct[-1] == (20 if how in ("longer", "backup") else 13)
    if how in ("longer", "backup"):
        assert set(range(11, 21)) <= set(bench.receiver.distinct)


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def test_other_records_are_sent_again_only_as_far_as_they_are_young(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 3))
    bench.drain()
    for file in bench.records.glob("records.db*"):
        file.unlink()
    record(bench.records, some(1, 9, "s2"), "s2")
    bench.now = WALL_TIME + 7 * 86_400 + 5.5
    bench.drain()
    assert [event["id"] for event in bench.receiver.taken if "/s2/" in event["id"]] == [
        f"ST%2004%2F%C3%BC/s2/{number}" for number in range(6, 10)
    ]


@pytest.mark.parametrize("trouble", ["records", "cursors"])
def test_what_cannot_be_read_is_said_and_tried_again(bench: Bench, trouble: str) -> None:
    bench.steps(1)
    record(bench.records, some(1, 3))
    bench.steps(1)
    if trouble == "records":
        file = bench.records / DATABASE_FILE
        file.rename(file.with_suffix(".away"))
        file.write_bytes(b"no database at all, but a text of some length" * 30)
        bench.steps(3)
        assert "records" in bench.progress.detail
        file.unlink()
        file.with_suffix(".away").rename(file)
    else:
        bench.cursors._connection.execute("PRAGMA query_only = 1")
        bench.steps(3)
        assert bench.receiver.requests <= 4, "a cursor that does not move must not send at full speed"
        bench.cursors._connection.execute("PRAGMA query_only = 0")
    assert bench.pauses[-3:] == [1.0, 2.0, 4.0]
    bench.drain()
    assert bench.receiver.distinct == [1, 2, 3]


def test_master_parts_have_a_type_of_their_own(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 2))
    with closing(open_writer(bench.records / DATABASE_FILE)) as connection:
        connection.execute("UPDATE parts SET challenge = 7 WHERE acquisition_id = 2")
        connection.commit()
    bench.drain()
    assert [event["type"] for event in bench.receiver.taken] == [
        "station.part.inspected",
        "station.challenge.inspected",
    ]


def test_a_body_has_a_bound(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.northbound.sender.MAX_BODY_BYTES", 3000)
    bench = Bench(tmp_path, receiver, batch=500)
    bench.steps(1)
    record(bench.records, some(1, 12))
    bench.drain()
    assert receiver.distinct == list(range(1, 13))
    assert all(len(body) < 3100 for body in receiver.bodies)
    bench.close()


def test_nothing_new_is_nothing_sent_and_a_pause(bench: Bench) -> None:
    bench.steps(1)
    record(bench.records, some(1, 1))
    bench.drain()
    bench.steps(3)
    assert bench.pauses[-3:] == [LOOK_S] * 3
    assert bench.receiver.requests == 1


def test_two_processes_never_move_the_same_cursor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.northbound.process.LOCK_TRIES", 2)
    assert not is_running(bench.file)
    with alone(bench.file):
        assert is_running(bench.file)
        with pytest.raises(ForwardingError, match="another plant process sends already"), alone(bench.file):
            pass
    assert not is_running(bench.file)


def test_cursors_of_a_newer_station_are_refused_and_broken_ones_are_said(bench: Bench, tmp_path: Path) -> None:
    bench.cursors._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ForwardingError, match="schema version 99"):
        bench.start()
    broken = tmp_path / "plant.db"
    broken.write_bytes(b"x" * 5000)
    with pytest.raises(ForwardingError, match="cannot be read"):
        read_progress(broken)
    assert read_progress(tmp_path / "none.db") == []


def test_parked_parts_have_a_bound_and_what_goes_is_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.forwarding.progress.MAX_PARKED", 3)
    bench.cursors.place("webhook", Cursor(0))
    for number in range(1, 6):
        bench.cursors.park("webhook", Cursor(number, "s1", number), "422", 5.0)
    assert [part.acquisition_id for part in bench.cursors.parked("webhook")] == [3, 4, 5]
    assert (bench.progress.left_out, bench.progress.parked) == (2, 3)


def test_event_data_is_what_the_api_returns(bench: Bench) -> None:
    from station.hmi.api import schema
    from tests.bench.json_schema import misfits

    bench.steps(1)
    record(bench.records, some(1, 3))
    bench.drain()
    of_people: dict[str, Any] = {"label": None, "defect_class": None}
    for event in bench.receiver.taken:
        assert list(misfits(event["data"]["part"] | of_people, schema.PART)) == []
        assert [list(misfits(view, schema.VIEW)) for view in event["data"]["views"]] == [[]]
