"""`station plc simulate` as a program of its own in front of a station that somebody else started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cv2

from station.records.batches.rows import batch_named
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT
from tests.bench.ports import free_port
from tests.bench.waiting import wait_for
from tests.commands.test_json import check_keys


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
    options += ["--batch", "LOT 8812"]
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
    with closing(open_reader(work / "station" / "records")) as connection:
        batch = batch_named(connection, "last")
        assert batch is not None, said
        assert (batch.name, batch.begun_by, batch.ended_by) == ("LOT 8812", "plc", "plc")
        assert {row.batch for row in parts(connection)} == {batch.number}
    check_keys("plc simulate", books)
    assert books["parts"] == 24
    assert books["station"]["triggers"] >= 24 - books["station"]["missed"]
    assert books["faults"].keys() == {"late-ack"}
    if not books["late_pictures"]:  # on a busy machine the software camera may be too late
        assert books["bad_parts_passed"] == books["wrong_ejections"] == books["not_ejected"] == []
        assert line.returncode == 0, said
        assert "The books balance" in said
