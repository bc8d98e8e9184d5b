"""Everything that may break on the line, with the whole station: after each fault the ledger balances, every part
that was triggered has a verdict, nothing passed that was not inspected, and the station is back without a hand where
that is promised.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyModbusTCP.client import ModbusClient

from station.codes import ReasonCode
from station.daemon.supervisor import EXIT_RECORDS_LOST
from station.results import Verdict
from tests.bench.bench import Bench, bad, good
from tests.bench.faulty_engine import HANGS, NAN, RAISES, faulty, write_faulty_engine
from tests.bench.gated_station import GATE, slow
from tests.bench.waiting import wait_for

ERROR = int(Verdict.ERROR)


@pytest.fixture(scope="module")
def one_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("station")) as bench:
        yield bench


@pytest.fixture
def bench(one_station: Bench) -> Bench:
    """The station of this file: it has to be back without a hand for the next test."""
    one_station.reset()
    return one_station


@pytest.fixture
def own_bench(tmp_path: Path) -> Iterator[Bench]:
    """A station that the test ends."""
    with Bench(tmp_path) as bench:
        bench.start()
        yield bench


@pytest.fixture(scope="module")
def one_faulty_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(
        tmp_path_factory.mktemp("faulty"),
        with_engine=False,
        station__engine_hang_s=8.0,
        station__errors_in_a_row_to_fault=4,
    ) as bench:
        write_faulty_engine(bench.engine_path, width=160, height=128)
        yield bench


@pytest.fixture
def faulty_bench(one_faulty_station: Bench) -> Bench:
    one_faulty_station.reset()
    return one_faulty_station


def assert_works(bench: Bench) -> None:
    """A good part passes and a bad one fails."""
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed
    failed = bench.part(bad())
    assert (failed.result, failed.passed, failed.reject) == (Verdict.FAIL, False, True)


def camera_process(bench: Bench) -> int:
    """Process id of the camera process."""
    (pid,) = camera_processes(bench)
    return pid


def camera_processes(bench: Bench) -> list[int]:
    """Process ids of the camera processes that the station has now."""
    assert bench.process is not None
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().split(b"\0")
            parent = int((entry.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"station.line.acquisition.process" in command and parent == bench.process.pid:
            found.append(int(entry.parent.name))
    return found


def test_camera_process_killed(bench: Bench) -> None:
    assert_works(bench)
    killed = camera_process(bench)
    os.kill(killed, signal.SIGSTOP)  # so that the part in flight cannot be finished first
    in_flight = bench.send(good())
    os.kill(killed, signal.SIGKILL)
    result = bench.result(in_flight)
    assert (result.result, result.passed, result.reject) == (ERROR, False, True)
    assert result.reason_code in (ReasonCode.NO_FRAME, ReasonCode.LOST_FRAME)
    # On a busy machine the part may time out before the station sees that its camera is gone: still ready, it would
    # be sent a part that nobody looks at.
    wait_for(lambda: killed not in camera_processes(bench) and bool(camera_processes(bench)), "another camera process")
    assert_works(bench)
    assert bench.assert_balanced(5).error == 1


def test_driver_crash(bench: Bench) -> None:
    assert_works(bench)
    before = camera_process(bench)
    bench.scene.crash_driver()
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    assert_works(bench)
    assert camera_process(bench) != before
    bench.assert_balanced(4)


def test_device_lost_and_back(bench: Bench) -> None:
    assert_works(bench)
    bench.scene.lose_device()
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    assert bench.status()["camera"] == "down"
    assert bench.plc.status is not None
    assert bench.plc.status.reject
    bench.scene.restore_device()
    assert_works(bench)
    bench.assert_balanced(4)


def test_incomplete_frames(bench: Bench) -> None:
    bench.scene.fail_incomplete(2)
    for _ in range(2):
        result = bench.part(good())
        assert (result.result, result.passed, result.reject) == (ERROR, False, True)
        assert result.reason_code == ReasonCode.INCOMPLETE_FRAME
    assert_works(bench)
    assert bench.assert_balanced(4).error == 2


def test_errors_in_a_row_are_a_fault_until_cleared(bench: Bench) -> None:
    bench.scene.fail_incomplete(3)
    for _ in range(3):
        assert bench.part(good()).result == ERROR
    wait_for(lambda: bench.plc.status is not None and bench.plc.status.fault, "Fault")
    assert not bench.plc.ready
    assert bench.status()["state"] == "error"
    subprocess.run([sys.executable, "-m", "station", "clear", "--config", str(bench.config_path)], check=True)
    assert_works(bench)
    bench.assert_balanced(5)


def test_lost_frame_keeps_its_neighbours_verdicts(bench: Bench) -> None:
    """A dropped frame must not shift the verdict of one part to the next."""
    bench.scene.fail_dropped(1)
    dropped = bench.send(bad())
    following = bench.send(good())
    assert bench.result(dropped).result == ERROR
    assert bench.result(following).passed
    failed = bench.send(bad())
    assert bench.result(failed).result == Verdict.FAIL
    bench.assert_balanced(3)


def test_part_taken_off_by_hand_does_not_shift_ids(bench: Bench) -> None:
    """Its id was announced, it never reached the light barrier."""
    taken_off = bench.next_part_id()
    bench.plc.latch(taken_off)
    following = bench.send(bad())
    assert bench.result(following).result == Verdict.FAIL
    assert bench.result(taken_off).result == ERROR
    assert bench.part(good()).passed
    bench.assert_balanced(3)


def test_engine_raises(faulty_bench: Bench) -> None:
    bench = faulty_bench
    assert_works(bench)
    result = bench.part(faulty(good(), RAISES))
    assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.ENGINE_RAISED, True)
    assert_works(bench)
    assert bench.assert_balanced(5).error == 1


def test_engine_answers_nan(faulty_bench: Bench) -> None:
    bench = faulty_bench
    result = bench.part(faulty(good(), NAN))
    assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.SCORE_NOT_FINITE, True)
    assert_works(bench)
    bench.assert_balanced(3)


def test_engine_past_the_deadline(tmp_path: Path) -> None:
    """The late score would have been PASS: it must pass neither its own part nor another."""
    gate = tmp_path / "gate"
    config = str(tmp_path / "station.toml")
    command = (sys.executable, "-m", "tests.bench.gated_station", "run", "--config", config)
    with Bench(tmp_path, command=command, station__engine_hang_s=120.0) as bench:
        bench.start(environment={GATE: str(gate)})
        assert_works(bench)
        late_id = bench.send(slow(good()))
        behind = bench.send(bad())
        result = bench.result(late_id)
        assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.DEADLINE, True)
        gate.touch()
        assert not bench.result(behind).passed
        wait_for(lambda: any(row.late for row in bench.rows()), "the late verdict on record")
        late = next(row for row in bench.rows() if row.part_id == late_id)
        assert (late.verdict, late.late_verdict) == ("ERROR", "PASS")
        assert len(bench.plc.results[late_id]) == 1
        assert_works(bench)
        bench.assert_balanced(6)


def test_engine_that_never_answers_ends_the_daemon(faulty_bench: Bench) -> None:
    bench = faulty_bench
    hung = bench.send(faulty(good(), HANGS))
    assert bench.result(hung).reason_code == ReasonCode.DEADLINE
    assert bench.process is not None
    assert bench.process.wait(20) == 4
    bench.assert_balanced(1)
    bench.start()  # as systemd does
    assert_works(bench)
    bench.assert_balanced(3)


def test_plc_gone_in_the_middle_of_the_handshake(bench: Bench) -> None:
    """A PASS stands, the PLC is gone before it acknowledged: it is withdrawn and does not come back."""
    bench.plc.acknowledge = False
    bench.send(good())
    wait_for(lambda: bench.plc.status is not None and bench.plc.status.pass_, "Pass")
    bench.plc.stop()
    reader = ModbusClient("127.0.0.1", bench.port)
    wait_for(lambda: not (reader.read_discrete_inputs(0, 20) or [True] * 20)[1], "TriggerReady to fall")
    bits = reader.read_discrete_inputs(0, 20)
    reader.close()
    assert bits is not None
    assert (bits[6], bits[7], bits[8]) == (False, False, True)  # ResultsValid, Pass, Reject
    bench.restart_plc()
    assert_works(bench)
    bench.assert_balanced(3)


def test_second_client_may_read_but_not_write(bench: Bench) -> None:
    assert_works(bench)
    second = ModbusClient("127.0.0.1", bench.port)
    assert second.read_discrete_inputs(0, 20) is not None
    assert not second.write_single_coil(1, True)
    second.close()
    assert_works(bench)
    assert any("refused" in warning for warning in bench.status()["warnings"])
    bench.assert_balanced(4)


def test_corrupt_engine_is_refused(own_bench: Bench) -> None:
    """At the start with exit code 2; at a reload the old engine stays in force."""
    bench = own_bench
    model = bench.engine_path / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    reload = subprocess.run(
        [sys.executable, "-m", "station", "reload", "--config", str(bench.config_path)], capture_output=True, text=True
    )
    assert reload.returncode == 2
    assert "model.onnx" in reload.stderr
    assert_works(bench)
    assert bench.terminate() == 0
    bench.assert_balanced(2)
    bench.start(wait_ready=False)
    assert bench.process is not None
    assert bench.process.wait(20) == 2
    assert "model.onnx" in bench.log()


def test_sigterm_under_load(own_bench: Bench) -> None:
    bench = own_bench
    sent = [bench.send(good() if index % 3 else bad()) for index in range(12)]
    assert bench.terminate() == 0
    counts = bench.assert_balanced()
    on_record = {row.part_id: row.verdict for row in bench.rows()}
    for index, part_id in enumerate(sent):
        assert on_record.get(part_id) in (("PASS", "ERROR") if index % 3 else ("FAIL", "ERROR"))
    assert counts.triggers == len(sent)
    assert bench.process is not None
    assert not (bench.directory / "work" / "control.sock").exists()


@pytest.mark.parametrize("after_s", [0.0, 0.004, 0.05])
def test_kill_9_and_restart(own_bench: Bench, after_s: float) -> None:
    """What the PLC was told stands in the books after the restart, what it was not told is an error part."""
    bench = own_bench
    for index in range(5):
        bench.part(good() if index % 2 else bad())
    last = bench.send(good())
    time.sleep(after_s)  # the kill finds the part before its frame, in the engine, or signalled and not yet on disk
    bench.kill()
    told = {part_id: results[0] for part_id, results in bench.plc.results.items()}
    bench.start()
    assert_works(bench)
    assert bench.terminate() == 0  # all rows are on disk from here on
    bench.assert_balanced()
    rows = {row.part_id: row for row in bench.rows()}
    assert len(rows) == len(bench.rows()), "a part stands in the books twice"
    for part_id, result in told.items():
        assert rows[part_id].verdict == Verdict(result.result).name
    if last in rows and last not in told:
        assert rows[last].verdict in ("ERROR", "PASS")
        assert last not in bench.plc.results, "a result of before the kill was signalled after it"


def can_mount() -> bool:
    probe = ["unshare", *UNSHARE, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    try:
        return subprocess.run(probe, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


UNSHARE = ["-m"] if os.geteuid() == 0 else ["-Urm"]


@pytest.mark.skipif(not can_mount(), reason="needs root or user namespaces to mount a small file system")
def test_full_disk(tmp_path: Path) -> None:
    """The records folder lies on a file system of 1 MB: signals go on, the station warns, rows are not lost."""
    records = tmp_path / "work" / "records"
    records.mkdir(parents=True)
    config = json.dumps(str(tmp_path / "station.toml"))
    script = f"mount -t tmpfs -o size=1m none {records} && exec {sys.executable} -m station run --config {config}"
    with Bench(tmp_path, command=("unshare", *UNSHARE, "sh", "-c", script), records__min_free_mb=0) as bench:
        bench.start()
        pictures = 60
        for index in range(pictures):
            picture = bad()
            picture[80:] = np.random.default_rng(index).integers(55, 75, picture[80:].shape)  # hard to compress
            assert bench.part(picture).result == Verdict.FAIL
        wait_for(lambda: any("disk" in warning for warning in bench.status()["warnings"]), "the warning")
        assert bench.part(good()).passed
        counters = bench.status()["counters"]
        # No verdict is ERROR: none came behind its deadline, as it would if signalling waited for the disk.
        assert counters["triggers"] == counters["failed"] + counters["passed"] == pictures + 1
        code = bench.terminate()  # rows, too, may have found no room
        assert code in (0, EXIT_RECORDS_LOST)
        assert ("records are missing" in bench.log()) == (code == EXIT_RECORDS_LOST)
