"""How a station starts and ends, with which settings, and what it refuses. (One that runs: test_whole_station.py.)"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from station.commands import main as cli
from station.results import Verdict
from tests.bench.bench import START_S, Bench, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT
from tests.bench.shell import station
from tests.bench.waiting import DEADLINE_S, is_alive, wait_for

STRICT = {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"}
"""As `python -X dev -W error`, in the processes that the station starts, too."""

STARTER = """
import signal, sys
from pathlib import Path
from tests.bench.bench import Bench
bench = Bench(Path(sys.argv[1]))
bench.start(wait_ready=False)
print(bench.process.pid, flush=True)
signal.pause()
"""

OPENMP = "__KMP_REGISTERED_LIB_"
"""A training that another test runs at the same time registers there; the station has no OpenMP."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A station that the test ends, or whose settings it changes."""
    with Bench(tmp_path) as bench:
        bench.start()
        yield bench


def test_reload_takes_up_new_limits_and_refuses_what_needs_a_restart(bench: Bench) -> None:
    assert not bench.part(bad()).passed
    bench.write_config(decision__reject_score=1.0, decision__review_score=0.999, decision__pixel_score=0.999)
    assert station("reload", "--config", str(bench.config_path)).returncode == 0
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(bad()).passed
    bench.write_config(decision__reject_score=0.5, decision__review_score=0.4)
    assert bench.process is not None
    before = bench.status()["config_checksum"]
    bench.process.send_signal(signal.SIGHUP)
    wait_for(lambda: bench.status()["config_checksum"] != before, "the reload by SIGHUP")
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert not bench.part(bad()).passed, "systemctl reload station took the limits up; the signal ended it before"
    bench.write_config(records__queue_size=99)
    refused = station("reload", "--config", str(bench.config_path))
    assert refused.returncode == 2
    assert "need a restart: records" in refused.stderr
    assert bench.terminate() == 0
    checksums = [row.config_checksum for row in bench.rows()]
    assert len(checksums) == len(set(checksums)) == 3


def test_no_warning_is_given_from_start_to_stop(tmp_path: Path) -> None:
    """Nothing is left open, no call is deprecated: Python would say so in the log."""
    with Bench(tmp_path) as bench:
        bench.start(environment=STRICT)
        assert bench.part(good()).passed
        assert not bench.part(bad()).passed
        bench.write_config(decision__reject_score=1.0, decision__review_score=0.999, decision__pixel_score=0.999)
        assert station("reload", "--config", str(bench.config_path)).returncode == 0
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(bad()).passed
        assert bench.terminate() == 0
        assert not re.search("Warning|Traceback|Exception ignored", bench.log())


def test_a_station_ends_with_a_killed_test(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        started = int(starter.stdout.readline())
        starter.kill()
    wait_for(lambda: not is_alive(started), "the end of the station")


def test_triggered_by_the_plc(tmp_path: Path) -> None:
    with Bench(tmp_path, camera__trigger="plc") as bench:
        bench.start()
        for picture, verdict in ((good(), Verdict.PASS), (bad(), Verdict.FAIL), (good(), Verdict.PASS)):
            part_id = bench.next_part_id()
            bench.plc.latch(part_id)
            bench.scene.show(picture, part_id)
            bench.plc.set(trigger=True)
            wait_for(lambda: bench.plc.status is not None and bench.plc.status.trigger_ack, "TriggerAck")
            bench.plc.set(trigger=False)
            assert bench.result(part_id).result == verdict
            wait_for(lambda: bench.plc.ready, "TriggerReady")
        bench.assert_balanced(3)


def test_without_an_engine_nothing_passes(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False) as bench:
        bench.start(wait_ready=False)
        wait_for(lambda: bench.settled() and bench.status()["camera"] == "streaming", "the camera")
        wait_for(lambda: "no engine" in bench.status()["offline_reason"], "the reason it waits for")
        assert not bench.plc.ready
        bench.send(good())
        wait_for(lambda: bench.status()["counters"]["missed"] == 1, "the missed trigger")
        assert bench.plc.results == {}


def test_bad_quality_is_review_not_pass(tmp_path: Path) -> None:
    with Bench(tmp_path, quality__min_mean_grey=20.0, decision__reject_score=1.0, decision__review_score=1.0) as bench:
        bench.start()
        dark = bench.part(good() // 16)
        assert (dark.result, dark.passed, dark.reject) == (Verdict.REVIEW, False, True)


def test_systemd_is_told_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, Bench(tmp_path) as bench:
        systemd.bind(str(tmp_path / "notify"))
        heard: list[str] = []

        def listen() -> None:
            while (message := systemd.recv(4096).decode()) != "END":
                heard.append(message)

        reader = threading.Thread(target=listen)
        reader.start()
        bench.start(environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"})
        wait_for(lambda: len(heard) >= 4, "the watchdog is fed")
        assert bench.terminate() == 0
        systemd.sendto(b"END", str(tmp_path / "notify"))
        reader.join(DEADLINE_S)
        assert not reader.is_alive()
        assert heard[0].startswith("READY=1")
        assert heard[1:4] == ["WATCHDOG=1"] * 3
        assert heard.count("STOPPING=1") == 1


def test_nothing_is_left_behind(bench: Bench) -> None:
    before = set(os.listdir("/dev/shm"))  # noqa: PTH208
    assert bench.part(good()).passed
    assert bench.terminate() == 0
    new = set(os.listdir("/dev/shm")) - before  # noqa: PTH208
    assert not {name for name in new if not name.startswith(OPENMP)}
    assert not (bench.directory / "work" / "control.sock").exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"camera__producer": "/nowhere/x.cti"}, r"x\.cti.*does not exist"),
        ({"camera__producer": "/bin/true"}, r"/bin/true"),
        ({"camera__width": 33333}, r"Width"),
        ({"station__dedline_ms": 5}, r'dedline_ms: unknown key, did you mean "deadline_ms".*allowed here: deadline_ms'),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what(
    tmp_path: Path, settings: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bench(tmp_path, **settings) as bench:
        bench.start(wait_ready=False)
        assert bench.process is not None
        assert bench.process.wait(START_S) == 2
        assert re.search(expected, bench.log()), bench.log()
        for name, value in bench.scene.environment().items():
            monkeypatch.setenv(name, value)
        assert cli.main(["check", "--config", str(bench.config_path)]) == 2


def test_port_in_use(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench, socket.create_server(("127.0.0.1", bench.port)):
        bench.plc.stop()
        bench.start(wait_ready=False)
        assert bench.process is not None
        assert bench.process.wait(START_S) == 2
        assert f"{bench.port}" in bench.log()
        assert "in use" in bench.log()


def test_engine_for_another_input_size(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False) as bench:
        write_small_engine(bench.engine_path, width=320, height=64)
        bench.start(wait_ready=False)
        assert bench.process is not None
        assert bench.process.wait(START_S) == 2
        assert "320x64" in bench.log()
        assert "160x128" in bench.log()
