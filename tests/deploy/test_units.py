"""The units of systemd/: how much they may do, as systemd itself counts it, and what they must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.bench.places import ROOT
from tests.bench.programs import needs_program

UNITS = sorted((ROOT / "systemd").glob("*.service"))
MOST_EXPOSURE = 2.0


@pytest.mark.system
@needs_program("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_may_do_little(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)], capture_output=True, text=True, timeout=60
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze looks at no files")
    exposure = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= MOST_EXPOSURE


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_filters_calls_and_bounds_its_memory(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert [line for line in lines if line.startswith("SystemCallFilter=")] == [
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
    ]
    assert "SystemCallErrorNumber=EPERM" in lines, "a library that asks for more gets an error and is not killed"
    assert [line for line in lines if re.fullmatch("MemoryMax=[0-9]+%", line)]


def test_memory_that_ends_takes_the_refresh_first_and_the_station_last() -> None:
    adjust = {unit.stem: int(re.search("OOMScoreAdjust=(.+)", unit.read_text())[1]) for unit in UNITS}  # type: ignore[index]
    assert adjust["station"] < 0 < adjust["station-refresh"]
    assert "OOMPolicy=continue" in (ROOT / "systemd/station.service").read_text(), (
        "a teaching that ended ends no station"
    )


def test_systemctl_reload_reloads() -> None:
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in (ROOT / "systemd/station.service").read_text()


def test_the_pages_look_where_the_station_writes() -> None:
    """systemd names the folder to both; without it the pages would look for the live memory in /dev/shm."""
    station, pages = (
        [
            line
            for line in (ROOT / "systemd" / f"{name}.service").read_text().splitlines()
            if line.startswith("RuntimeDirectory") or line.startswith(("User=", "Group="))
        ]
        for name in ("station", "station-hmi")
    )
    assert sorted(station) == sorted(pages)
