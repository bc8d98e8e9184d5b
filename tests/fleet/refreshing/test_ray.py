"""Ray as executor, in the environment of `make fleet-test`: real tasks, real workers, one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.bench.fleet import Fleet
from tests.bench.fleet_environment import FOLDER, fleet_program
from tests.bench.places import ROOT
from tests.bench.waiting import command_of, is_alive, wait_for

pytestmark = [pytest.mark.fleet, pytest.mark.system, pytest.mark.timeout(300)]


def with_ray() -> tuple[Path, dict[str, str]]:
    """A Python that finds Ray before, and the station's packages behind it."""
    python = fleet_program("python")
    own = sysconfig.get_paths()["purelib"]
    folders = [str(ROOT), *(str(path) for path in FOLDER.glob("lib/python*/site-packages")), own, *extra(Path(own))]
    return python, {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "RAY_DEDUP_LOGS": "0", "COLUMNS": "200"}


def extra(packages: Path) -> list[str]:
    """Folders that .pth files add there."""
    lines = [line for file in packages.glob("*.pth") for line in file.read_text().splitlines()]
    return [line for line in lines if line.startswith("/")]


def refresh(fleet: Fleet, *words: str) -> subprocess.Popen[str]:
    python, environment = with_ray()
    taught = ["--steps", "0", "--defect-trials", "0", "--json", "--config", str(fleet.config)]
    return subprocess.Popen(
        [python, "-m", "station", "fleet", "refresh", "--executor", "ray", *taught, *words],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def result_of(process: subprocess.Popen[str]) -> tuple[int, Any]:
    out, errors = process.communicate(timeout=240)
    assert out, errors
    return process.returncode, json.loads(out)


def test_two_stations_on_a_cluster_of_this_computer(fleet: Fleet) -> None:
    for station in ("ST-04", "ST-05"):
        fleet.send_usual(station)
    code, found = result_of(refresh(fleet, "--workers", "2"))
    assert code == 0, found
    assert {job["state"] for job in found["jobs"]} == {"done"}
    assert all(Path(job["archive"]).exists() for job in found["jobs"])


def workers_of(fleet: Fleet) -> list[int]:
    words = (b"worker", b"--once", str(fleet.config).encode())
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if is_alive(pid) and all(word in command_of(pid) for word in words)]


def test_a_worker_that_is_killed_is_tried_again(fleet: Fleet) -> None:
    fleet.send_usual("ST-04")
    process = refresh(fleet, "--workers", "1")
    try:
        wait_for(lambda: any(job.state == "running" for job in fleet.jobs()), "a worker that takes it", 120)
        for pid in workers_of(fleet):
            os.kill(pid, signal.SIGKILL)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    code, found = result_of(process)
    assert code == 0, found
    assert (found["jobs"][0]["state"], found["jobs"][0]["tries"]) == ("done", 2)
