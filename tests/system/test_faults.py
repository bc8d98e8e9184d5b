"""Everything that may break on the line, with the whole station: after each fault the ledger balances, every part
that was triggered has a verdict, nothing passed that was not inspected, and the station is back without a hand.

One station for all. It lives no longer than they do: a station and its PLC take processor time while they wait.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient

from station.codes import ReasonCode
from station.results import Verdict
from tests.bench.bench import Bench, assert_works, bad, good
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
