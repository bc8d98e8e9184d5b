"""A refresh that a person asks for: one at a time, followed, given up, and its lists reach the process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from station.jobs import refresh_process
from station.jobs.process import JobError
from station.jobs.refresh_process import RefreshAsked, RefreshPhase, RefreshProcess
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system

PROGRAM = """
import json, pathlib, sys, time
only = [word.split("=", 1)[1] for word in sys.argv if word.startswith("--only=")]
print(json.dumps({"step": "train", "done": 3, "total": 9, "left_s": 1.5}), flush=True)
gate = pathlib.Path(sys.argv[1])
while not gate.exists():
    time.sleep(0.02)
if gate.read_text() == "fail":
    print(json.dumps({"event": "error", "message": "too few images"}))
    raise SystemExit(2)
if gate.read_text() == "silent":
    raise SystemExit(0)
if gate.read_text() == "words":
    print(json.dumps({"event": "done", "version": " ".join(sys.argv[2:])}))
    raise SystemExit(0)
print(json.dumps({"event": "done", "version": pathlib.Path(only[0]).read_text() if only else "0007-x"}))
"""


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    gate = tmp_path / "gate"

    def command(_: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(gate), *arguments]

    monkeypatch.setattr(refresh_process, "python_command", command)
    return gate


@pytest.fixture
def refreshing(tmp_path: Path, gate: Path) -> RefreshProcess:
    return RefreshProcess(tmp_path / "station.toml", tmp_path / "asked", tmp_path / "good")


def open_gate(gate: Path, said: str = "") -> None:
    gate.with_suffix(".new").write_text(said)
    gate.with_suffix(".new").replace(gate)


def ended(refreshing: RefreshProcess) -> bool:
    return refreshing.status.phase is not RefreshPhase.RUNNING


def test_its_progress_and_its_version(refreshing: RefreshProcess, gate: Path) -> None:
    assert refreshing.status.as_dict()["phase"] == "idle"
    refreshing.start(RefreshAsked(500, by="anna"))
    wait_for(lambda: refreshing.status.total == 9, "a sign of progress")
    assert refreshing.status.as_dict() == {
        "phase": "running", "by": "anna", "parts": 500, "step": "train", "done": 3, "total": 9, "left_s": 1.5,
        "detail": "", "kinds": False,
    }  # fmt: skip
    with pytest.raises(JobError, match="a refresh is under way, asked for by anna"):
        refreshing.start(RefreshAsked(500))
    open_gate(gate)
    wait_for(lambda: ended(refreshing), "the end")
    assert (refreshing.status.phase, refreshing.status.detail) == (RefreshPhase.DONE, "0007-x")


def test_parts_and_vetoes_are_lists_of_the_process(refreshing: RefreshProcess, gate: Path, tmp_path: Path) -> None:
    open_gate(gate)
    refreshing.start(RefreshAsked(30, only=("s1/1", "s1/2"), vetoed=("a.png",)))
    wait_for(lambda: ended(refreshing), "the end")
    assert refreshing.status.detail == "s1/1\ns1/2\n"
    assert (tmp_path / "asked" / "veto.txt").read_text() == "a.png\n"


def test_kinds_are_learned_by_the_same_process_of_one_at_a_time(refreshing: RefreshProcess, gate: Path) -> None:
    refreshing.start(RefreshAsked(0, by="anna", kinds=True))
    with pytest.raises(JobError, match="one at a time"):
        refreshing.start(RefreshAsked(500))
    open_gate(gate, "words")
    wait_for(lambda: ended(refreshing), "the end")
    assert refreshing.status.as_dict()["kinds"] is True
    assert refreshing.status.detail.split()[:2] == ["engine", "kinds"]


@pytest.mark.parametrize(("said", "why"), [("fail", "too few images"), ("silent", "without a result")])
def test_what_fails_says_why(refreshing: RefreshProcess, gate: Path, said: str, why: str) -> None:
    open_gate(gate, said)
    refreshing.start(RefreshAsked(30))
    wait_for(lambda: ended(refreshing), "the end")
    assert refreshing.status.phase is RefreshPhase.FAILED
    assert why in refreshing.status.detail


def test_it_is_given_up_and_ends_with_the_daemon(refreshing: RefreshProcess) -> None:
    refreshing.start(RefreshAsked(30))
    refreshing.stop()
    wait_for(lambda: ended(refreshing), "the end")
    assert "cancelled" in refreshing.status.detail
    refreshing.start(RefreshAsked(30))
    refreshing.close()
    assert ended(refreshing)
