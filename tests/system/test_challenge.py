"""The challenge test on the whole station: master parts are judged apart, and one that is missed stops it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from station.codes import OFFLINE_REASONS, OfflineReason, ReasonCode
from station.commands import main as cli
from station.control import ControlError, request
from station.records.challenge_runs import Run, RunVerdict
from station.records.challenges import runs
from station.records.schema import open_reader
from station.results import PartCounts, Verdict
from tests.bench.bench import START_S, Bench, bad, good
from tests.bench.waiting import wait_for

START_CHALLENGE = 6
PARTS = """
[[challenge.parts]]
name = "bright spot"
reason = "SCORE_ABOVE_LIMIT"
[[challenge.parts]]
name = "good part"
expected = "pass"
"""


def challenged(directory: Path, **settings: Any) -> Bench:
    """A station with two master parts; `settings` of the section."""
    bench = Bench(directory, station__deadline_ms=8000, camera__no_frame_ms=4000)
    section = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    bench.config_path.write_text(f"{bench.config_path.read_text()}\n[challenge]\n{section}{PARTS}")
    return bench


def tell(bench: Bench, **message: str) -> None:
    """As the commands do, without another start of Python. Raises ControlError."""
    request(bench.directory / "work" / "control.sock", message, 20.0)


def state(bench: Bench) -> dict[str, Any]:
    challenge: dict[str, Any] = bench.status()["challenge"]
    return challenge


def made(bench: Bench) -> list[Run]:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return [run for run, _ in runs(connection, 100)]


def start(bench: Bench) -> None:
    assert bench.plc.command(START_CHALLENGE)
    confirm(bench)


def confirm(bench: Bench) -> None:
    """The key at the line, when the part that is asked for lies next."""
    wait_for(lambda: state(bench)["awaits_confirmation"], "the station to ask for a part")
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    assert bench.plc.command(START_CHALLENGE)
    wait_for(lambda: bench.plc.ready, "TriggerReady")


def test_a_test_is_guided_and_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with challenged(tmp_path) as bench:
        bench.start()
        assert bench.part(good()).passed
        start(bench)
        assert state(bench)["next_part"] == "bright spot"
        assert bench.plc.status is not None
        assert bench.plc.status.challenge_running
        assert not bench.plc.command(START_CHALLENGE)  # one at a time
        assert bench.part(bad()).result == Verdict.FAIL
        assert (state(bench)["step"], state(bench)["next_part"]) == (2, "good part")
        confirm(bench)
        assert bench.part(good()).passed
        assert state(bench)["state"] == "passed"
        wait_for(lambda: bench.plc.status is not None and not bench.plc.status.challenge_running, "its end")
        assert bench.part(bad()).reject
        counters = bench.status()["counters"]
        assert (counters["triggers"], counters["passed"], counters["failed"], counters["challenge"]) == (2, 1, 1, 2)
        assert bench.terminate() == 0
        assert bench.counts() == PartCounts(triggers=2, passed=1, failed=1, review=0, error=0, missed=0, challenge=2)
        assert [row.challenge for row in bench.rows()] == [None, 1, 1, None]
        (run,) = made(bench)
        assert (run.verdict, run.started_by) == (RunVerdict.PASSED, "plc")
        assert [(step.part, step.verdict) for step in run.steps] == [
            ("bright spot", Verdict.FAIL),
            ("good part", Verdict.PASS),
        ]
        assert cli.main(["challenge", "history", "--json", "--config", str(bench.config_path)]) == 0
        assert json.loads(capsys.readouterr().out)[0]["verdict"] == "PASSED"


def test_a_missed_part_is_rejected_and_the_station_stays_off_line_until_maintenance(tmp_path: Path) -> None:
    with challenged(tmp_path) as bench:
        bench.start()
        assert cli.main(["challenge", "start", "--config", str(bench.config_path)]) == 0
        with pytest.raises(ControlError, match="is under way"):
            tell(bench, command="challenge", action="start")
        wait_for(lambda: state(bench)["awaits_confirmation"], "the station to ask for a part")
        wait_for(lambda: not bench.plc.ready, "TriggerReady to fall: a part of production is no master part")
        assert cli.main(["challenge", "confirm", "--config", str(bench.config_path)]) == 0
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        missed = bench.part(good())  # a master part whose defect the station does not see
        assert (missed.passed, missed.reject, missed.result) == (False, True, Verdict.ERROR)
        assert missed.reason_code == ReasonCode.CHALLENGE_PART_PASSED
        wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
        failed = OFFLINE_REASONS[OfflineReason.CHALLENGE_FAILED].text
        assert bench.status()["offline_reason"] == failed
        assert not bench.plc.command(START_CHALLENGE)
        for command in ("clear", "online"):
            tell(bench, command=command)
        bench.plc.set(challenge_mode=True)
        wait_for(lambda: any(run.verdict is RunVerdict.FAILED for run in made(bench)), "the record")
        bench.plc.set(challenge_mode=False)
        assert bench.status()["offline_reason"] == failed
        bench.kill()
        bench.start(wait_ready=False)
        wait_for(lambda: bench.settled() and bench.status()["offline_reason"] == failed, "the failure", START_S)
        with pytest.raises(ControlError, match="the name of the person"):
            tell(bench, command="challenge", action="reset", who=" ")
        reset = ["challenge", "reset", "--who", "Berta", "--why", "lamp exchanged"]
        assert cli.main([*reset, "--config", str(bench.config_path)]) == 0
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert state(bench)["state"] == "due"
        assert bench.part(good()).passed
        assert bench.terminate() == 0
        (run,) = made(bench)
        assert run.escape
        assert run.reset_by.startswith("Berta (")
        assert run.reset_why == "lamp exchanged"
        bench.assert_balanced(1)


def test_interlock_stop_takes_no_part_before_a_test_has_passed(tmp_path: Path) -> None:
    with challenged(tmp_path, every_h=8.0, interlock="stop", grace_min=0.0) as bench:
        bench.start(wait_ready=False)
        overdue = OFFLINE_REASONS[OfflineReason.CHALLENGE_OVERDUE].text
        wait_for(lambda: bench.settled() and bench.status()["offline_reason"] == overdue, "the interlock", START_S)
        wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
        start(bench)
        assert bench.part(bad()).reject
        wait_for(lambda: [run.done for run in made(bench)] == [1], "the record of the first part")
        bench.kill()  # in the middle of the test: it goes on where it was
        bench.start(wait_ready=False)
        wait_for(bench.settled, "the station", START_S)
        assert (state(bench)["state"], state(bench)["step"]) == ("running", 2)
        confirm(bench)
        assert bench.part(good()).passed
        assert state(bench)["state"] == "passed"
        wait_for(lambda: made(bench)[0].verdict is RunVerdict.PASSED, "the record of the verdict")
        bench.kill()
        bench.start()
        assert state(bench)["state"] == "passed"


def test_challenge_mode_says_which_parts_are_master_parts(tmp_path: Path) -> None:
    with challenged(tmp_path) as bench:
        bench.start()
        bench.plc.set(challenge_mode=True)
        wait_for(lambda: state(bench)["state"] == "running" and bench.plc.ready, "the test to begin")
        assert bench.part(bad()).reject
        bench.plc.set(challenge_mode=False)
        wait_for(lambda: bench.plc.status is not None and not bench.plc.status.challenge_running, "production")
        assert bench.part(good()).passed  # of production, between two master parts
        assert state(bench)["step"] == 2
        bench.plc.set(challenge_mode=True)
        wait_for(lambda: bench.plc.status is not None and bench.plc.status.challenge_running, "the test to go on")
        assert bench.part(good()).passed
        assert state(bench)["state"] == "passed"
        wait_for(lambda: not bench.plc.ready, "TriggerReady to fall: ChallengeMode is still 1")
        bench.plc.set(challenge_mode=False)
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.terminate() == 0
        assert [row.challenge for row in bench.rows()] == [1, None, 1]
        bench.assert_balanced(1)


def test_a_part_without_a_frame_is_put_on_again(tmp_path: Path) -> None:
    with challenged(tmp_path) as bench:
        bench.start()
        start(bench)
        part_id = bench.next_part_id()
        bench.plc.latch(part_id)  # and no trigger follows
        assert bench.result(part_id).reason_code == ReasonCode.NO_FRAME
        assert state(bench)["step"] == 1
        confirm(bench)
        assert bench.part(bad()).reject
        assert state(bench)["step"] == 2
        tell(bench, command="challenge", action="reset", who="Berta")
        assert state(bench)["last_verdict"] == "ABORTED"


def test_part_ids_of_their_own_tell_master_parts_from_production(tmp_path: Path) -> None:
    with challenged(tmp_path, part_ids=[9000, 9099]) as bench:
        bench.start()
        assert bench.plc.command(START_CHALLENGE)
        assert bench.part(good()).passed  # the line runs on
        assert bench.part(bad(), part_id=9000).reject
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(bad()).reject
        assert state(bench)["step"] == 2
        assert bench.part(good(), part_id=9001).passed
        assert state(bench)["state"] == "passed"
        assert bench.terminate() == 0
        assert [row.challenge for row in bench.rows()] == [None, 1, None, 1]
        bench.assert_balanced(2)
