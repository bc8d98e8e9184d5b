"""The journal against a model, against torn writes, and against kill -9."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from station.codes import ReasonCode
from station.line.recording.journal import SLOT_BYTES, Journal, JournalError, UnfinishedPart
from station.records.parts import parts
from station.records.schema import open_reader
from station.records.sessions import count_parts
from station.results import Decision, Part, Verdict
from tests.bench.sample_parts import CODES, decision, new_part


def left_over(path: Path, session: str = "next") -> list[UnfinishedPart]:
    with Journal(path, session) as journal:
        return journal.recover()


def test_part_that_was_open_comes_back_as_an_error(tmp_path: Path) -> None:
    part = Part(2**32 - 1, 2**32 - 1, "software", 2**62, 1.75e9 + 0.25, 2**62 + 5, -(2**40))
    with Journal(tmp_path / "j", "s1") as journal:
        assert journal.open_part(part)
    (found,) = left_over(tmp_path / "j")
    assert (found.session, found.part, found.key) == ("s1", part, ("s1", 2**32 - 1))
    assert (found.decision.verdict, found.decision.code) == (Verdict.ERROR, ReasonCode.RESTARTED)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_part_that_was_decided_comes_back_with_its_verdict(tmp_path: Path, verdict: Verdict) -> None:
    with Journal(tmp_path / "j", "s1") as journal:
        journal.open_part(new_part(1))
        journal.decide_part(1, verdict, decision(verdict).code)
    (found,) = left_over(tmp_path / "j")
    assert (found.decision.verdict, found.decision.code) == (verdict, CODES.get(verdict, ReasonCode.NONE))


def test_part_stays_until_it_is_committed(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1") as journal:
        journal.open_part(new_part(1))
    assert len(left_over(tmp_path / "j", "s2")) == 1
    with Journal(tmp_path / "j", "s3") as journal:
        journal.open_part(new_part(1))  # the same number in another session
        journal.commit([("s1", 1), ("unknown", 9)])
    assert [part.key for part in left_over(tmp_path / "j", "s4")] == [("s3", 1)]


def test_what_is_left_over_comes_oldest_first(tmp_path: Path) -> None:
    """By time: each start of a station counts its parts anew."""
    with Journal(tmp_path / "j", "s1") as journal:
        journal.open_part(replace(new_part(7), wall_time=1.75e9))
    with Journal(tmp_path / "j", "s2") as journal:
        journal.open_part(replace(new_part(1), wall_time=1.75e9 + 60))
    assert [part.key for part in left_over(tmp_path / "j")] == [("s1", 7), ("s2", 1)]


def test_a_journal_that_its_station_removes_while_the_next_one_waits_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = tmp_path / "j", fcntl.flock
    with Journal(path, "s1") as journal:
        journal.open_part(new_part(1))

    def removed_first(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        path.unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with Journal(path, "s2") as journal:
        assert journal.recover() == []
        assert journal.open_part(new_part(2))
    assert [part.key for part in left_over(path, "s3")] == [("s2", 2)], "else no start would find it after a kill"


def test_a_journal_that_was_cut_off_is_kept_aside_and_reported(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1", slots=4) as journal:
        journal.open_part(new_part(1))
    os.truncate(tmp_path / "j", SLOT_BYTES * 3)
    with capture_logs() as logs:
        assert left_over(tmp_path / "j") == []
    assert (tmp_path / "j.unreadable").exists()
    assert "parts that were open are lost" in logs[0]["event"]


def test_a_reason_that_this_version_does_not_know_is_no_verdict(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1") as journal:
        journal.open_part(new_part(1))
        journal.decide_part(1, Verdict.FAIL, 65_000)  # type: ignore[arg-type]
    with Journal(tmp_path / "j", "next") as journal:
        assert (journal.damaged, journal.recover()) == (1, [])


def test_full_journal_says_so_and_passes_over_the_part(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1", slots=2) as journal:
        assert [journal.open_part(new_part(number)) for number in (1, 2, 3)] == [True, True, False]
        journal.decide_part(3, Verdict.PASS, ReasonCode.NONE)
        journal.commit([("s1", 1)])
        assert journal.open_part(new_part(4))
        assert journal.free_slots == 0
    assert [left.part.acquisition_id for left in left_over(tmp_path / "j")] == [2, 4]


def test_second_station_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1") as journal:
        with pytest.raises(JournalError, match="another station"):
            Journal(tmp_path / "j", "s2")
        journal.close()
        journal.close()
        assert left_over(tmp_path / "j") == []


def test_session_name_must_be_new_and_short(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s1") as journal:
        journal.open_part(new_part(1))
    with pytest.raises(JournalError, match="name of its own"):
        Journal(tmp_path / "j", "s1")
    with pytest.raises(JournalError, match="at most 40"):
        Journal(tmp_path / "j", "s" * 41)
    assert len(left_over(tmp_path / "j")) == 1


@pytest.mark.parametrize("content", [b"", b"something else" * 100, b"EISJRNL\x00" + struct.pack("<III", 99, 128, 4)])
def test_file_that_is_no_journal_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    with capture_logs() as logs:
        assert left_over(path) == []
    assert (tmp_path / "j.unreadable").read_bytes() == content
    assert [entry["log_level"] for entry in logs] == ["error"]


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "j", "s1")


@pytest.mark.parametrize(
    ("byte", "flipped"),
    [(0, 0x04), (70, 0xFF), (108, 0x03), (112, Verdict.FAIL ^ Verdict.PASS), (113, 0x01)],
    ids=["state", "content", "checksum of the content", "FAIL becomes PASS", "another reason"],
)
def test_damaged_slot_is_counted_and_reported(tmp_path: Path, byte: int, flipped: int) -> None:
    path = tmp_path / "j"
    with Journal(path, "s1") as journal:
        for number in (1, 2):
            journal.open_part(new_part(number))
            journal.decide_part(number, Verdict.FAIL, ReasonCode.REGION_AREA)
    image = bytearray(path.read_bytes())
    assert image[SLOT_BYTES + 112] == Verdict.FAIL, "the layout has changed: name the bytes anew"
    image[SLOT_BYTES + byte] ^= flipped
    path.write_bytes(image)
    with capture_logs() as logs, Journal(path, "s2") as journal:
        assert [left.part.acquisition_id for left in journal.recover()] == [2]
        assert journal.damaged == 1
    assert [(entry["log_level"], entry["parts"]) for entry in logs] == [("error", 1)]


@given(cut=st.integers(0, SLOT_BYTES))
@settings(max_examples=40)
def test_write_that_was_cut_off_leaves_the_state_before(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Stores happen content first, state last: after any number of them the slot reads as before."""
    path = tmp_path_factory.mktemp("torn") / "j"

    def slot() -> bytes:
        return path.read_bytes()[SLOT_BYTES : 2 * SLOT_BYTES]

    def found_after(before: bytes, after: bytes) -> list[Decision]:
        """The first `cut` bytes after the state are stored, the state itself is not."""
        torn = before[:1] + after[1 : 1 + cut] + before[1 + cut :]
        image = path.read_bytes()
        path.write_bytes(image[:SLOT_BYTES] + torn + image[2 * SLOT_BYTES :])
        result = [part.decision for part in left_over(path)]
        path.write_bytes(image)
        return result

    with Journal(path, "s1", slots=1) as journal:
        free = slot()
        journal.open_part(new_part(1))
        opened = slot()
        journal.decide_part(1, Verdict.PASS, ReasonCode.NONE)
        decided = slot()
    assert found_after(free, opened) == []
    assert [result.code for result in found_after(opened, decided)] == [ReasonCode.RESTARTED]


operations = st.lists(
    st.tuples(st.sampled_from(["open", "decide", "commit", "restart"]), st.integers(0, 7)), max_size=60
)


@given(operations)
@settings(max_examples=60, deadline=None)
def test_journal_against_a_model(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    path = tmp_path_factory.mktemp("model") / "j"
    model: dict[tuple[str, int], Verdict | None] = {}
    sessions, opened = 0, 0
    journal = Journal(path, "s0", slots=5)
    for step, number in steps:
        if step == "open":
            opened += 1
            has_room = len(model) < 5
            assert journal.open_part(new_part(opened)) == has_room
            if has_room:
                model[f"s{sessions}", opened] = None
        elif step == "restart":
            journal.close()
            sessions += 1
            journal = Journal(path, f"s{sessions}", slots=5)
            found = {part.key: part.decision for part in journal.recover()}
            assert found.keys() == model.keys()
            for key, verdict in model.items():
                assert found[key].verdict is (verdict or Verdict.ERROR)
        elif model:
            key = list(model)[number % len(model)]
            if step == "commit":
                journal.commit([key])
                del model[key]
            elif key[0] == f"s{sessions}":
                verdict = model[key] = list(Verdict)[number % 4]
                journal.decide_part(key[1], verdict, decision(verdict).code)
    journal.close()


def test_journal_that_holds_nothing_gives_its_memory_back(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "s1") as journal:
        journal.open_part(new_part(1))
        assert path.exists()
        journal.commit([("s1", 1)])
    assert not path.exists()


# -- kill -9 ------------------------------------------------------------------------------------------------------


def run_and_kill(directory: Path, session: str, parts_before: int, delay_s: float) -> int:
    """Lets a station record parts and kills it. Returns the last part it announced (before opening it)."""
    command = [sys.executable, "-m", "tests.line.recording.kill_victim", str(directory), session]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(parts_before):
            assert process.stdout.readline(), "the victim ended by itself"
        time.sleep(delay_s)  # the kill comes at any moment: the time is what varies
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
    return parts_before + len(rest)


@pytest.mark.system
def test_ledger_balances_after_kill_9(tmp_path: Path) -> None:
    """Six sessions killed at any point: each part of each is in the ledger exactly once, with its own verdict."""
    rng = random.Random(5)
    announced = {
        f"s{number}": run_and_kill(tmp_path, f"s{number}", rng.choice([1, 30, 300]), rng.uniform(0, 0.15))
        for number in range(6)
    }
    command = [sys.executable, "-m", "tests.line.recording.kill_victim", str(tmp_path), "last", "--recover-only"]
    subprocess.run(command, check=True, timeout=60)

    assert left_over(tmp_path / "journal.bin") == []
    with closing(open_reader(tmp_path)) as reader:
        for session, last in announced.items():
            rows = list(parts(reader, session=session))
            numbers = sorted(row.acquisition_id for row in rows)
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) in (last - 1, last), "killed before or after the last announced part was opened"
            for row in rows:
                wanted = list(Verdict)[row.acquisition_id % 4].name
                restarted = [reason.code for reason in row.reason_list] == [ReasonCode.RESTARTED]
                assert row.verdict == wanted or (restarted and row.recovered and row.acquisition_id == len(numbers))
            counts = count_parts(reader, session)
            assert counts.triggers == len(numbers)
        assert any(row.recovered for row in parts(reader)), "no kill hit a part on its way: the test shows nothing"
        clean = dict(map(tuple, reader.execute("SELECT session, clean FROM sessions")))
        assert clean == {**dict.fromkeys(announced, 0), "last": 1}
