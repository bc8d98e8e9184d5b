"""`station plc simulate` without a station, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from station.commands import main as cli
from tests.bench.ports import free_port


def run(tmp_path: Path, *arguments: str) -> int:
    return cli.main(["plc", "simulate", "--port", str(free_port()), "--work", str(tmp_path / "line"), *arguments])


@pytest.mark.system
def test_no_station_is_reported_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--parts", "1", "--wait", "0.5") == 1
    said = capsys.readouterr()
    assert "no TriggerReady within 0.5 s: 127.0.0.1:" in said.err
    assert "refused" in said.err
    assert "station run --config" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "50"), "--rate 50: allowed are 0.2 to 20 parts/s"),
        (("--parts", "0"), "--parts 0: allowed are 1 to 1000000"),
        (("--transit", "0"), "--transit 0: allowed are 0.1 to 60 s"),
        (("--fault", "late-ack"), 'fault "late-ack": expected KIND:PROBABILITY'),
        (("--fault", "double-trigger:0.1", "--trigger", "plc", "--rate", "15"), "at most --rate 10"),
        (("--serial", "/dev/ttyS0"), "Modbus TCP only"),
        (("--write-config", "/none/station.toml"), "no such folder"),
        (("--images", "/none"), "no such folder"),
    ],
)
def test_bad_input(tmp_path: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_somebody_elses_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "line").mkdir()
    np.save(tmp_path / "line" / "mine.npy", np.zeros(1))
    assert run(tmp_path, "--parts", "1") == 2
    assert "not of a demo; choose another --work" in capsys.readouterr().err
    assert (tmp_path / "line" / "mine.npy").exists()
