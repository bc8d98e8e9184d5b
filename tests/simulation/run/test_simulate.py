"""`station plc simulate` as a program of its own in front of a station that somebody else started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.commands import main as cli
from tests.bench.bench import HEIGHT, WIDTH, bad, free_port, good, wait_for
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT


def pictures(folder: Path) -> Path:
    """A folder in MVTec layout for a line whose parts the small engine can judge."""
    for name, picture, count in (("train/good", good(), 20), ("test/good", good(), 2), ("test/spot", bad(), 1)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / name / f"{number}.png"), picture)
    return folder


def test_a_whole_run_against_a_station_started_by_hand(tmp_path: Path) -> None:
    port, work = free_port(), tmp_path / "line"
    write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT)
    options = ["--port", str(port), "--parts", "24", "--rate", "6", "--fault", "late-ack:0.2", "--seed", "1"]
    options += ["--images", str(pictures(tmp_path / "images")), "--engine", str(tmp_path / "engine")]
    options += ["--json", "--work", str(work), "--write-config", str(tmp_path / "station.toml")]
    command = [sys.executable, "-m", "station", "plc", "simulate", *options]
    line = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    station = None
    try:
        wait_for(lambda: (tmp_path / "station.toml").exists() or line.poll() is not None, "the configuration")
        with (tmp_path / "station.log").open("w") as log:
            station = subprocess.Popen(
                [sys.executable, "-m", "station", "run", "--config", str(tmp_path / "station.toml")],
                cwd=ROOT,
                stderr=log,
                env=os.environ | {"SIMTL_SCENE": str(work / "camera"), "SIMTL_DEVICES": "1"},
            )
        out, said = line.communicate(timeout=120)
    finally:
        for process in (line, station):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    assert f"SIMTL_SCENE={work / 'camera'}" in said
    books = json.loads(out)
    assert books["parts"] == 24
    assert books["station"]["triggers"] >= 24 - books["station"]["missed"]
    assert books["faults"].keys() == {"late-ack"}
    if not books["late_pictures"]:  # on a busy machine the software camera may be too late
        assert books["bad_parts_passed"] == books["wrong_ejections"] == books["not_ejected"] == []
        assert line.returncode == 0, said
        assert "The books balance" in said


def run(tmp_path: Path, *arguments: str) -> int:
    return cli.main(["plc", "simulate", "--port", str(free_port()), "--work", str(tmp_path / "line"), *arguments])


def test_no_station_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
