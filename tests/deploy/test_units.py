"""The units of systemd/: how much they may do, as systemd itself counts it, and what they must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from station.commands.main import build_parser
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


def lines_of(unit: str) -> list[str]:
    return (ROOT / "systemd" / f"{unit}.service").read_text().splitlines()


def test_the_pages_look_where_the_station_writes_as_another_user() -> None:
    """Two users share the folder in memory, so neither unit of theirs may hand it to its own."""
    assert "RuntimeDirectory=station" in lines_of("station")
    pages = lines_of("station-hmi")
    assert "Environment=RUNTIME_DIRECTORY=/run/station" in pages
    assert not [line for line in pages if line.startswith("RuntimeDirectory")]
    assert "d /run/station 0750 station station -" in (ROOT / "systemd/station.tmpfiles.conf").read_text().splitlines()
    for unit in ("station-hmi", "station-report"):
        assert {"User=station-hmi", "Group=station-hmi", "SupplementaryGroups=station"} <= set(lines_of(unit))
    assert "User=station" in lines_of("station")


def test_the_pages_write_three_folders() -> None:
    unit = lines_of("station-hmi")
    assert "StateDirectory=station/hmi station/labels station/reports" in unit
    assert "StateDirectoryMode=2771" in unit
    assert "ProtectSystem=strict" in unit
    assert [line for line in unit if line.startswith("ReadWritePaths=")] == ["ReadWritePaths=-/run/station"]


def test_the_plant_process_writes_its_own_folder_and_not_whom_it_trusts() -> None:
    unit = lines_of("station-plant")
    assert {"User=station-plant", "Group=station-plant", "SupplementaryGroups=station"} <= set(unit)
    assert {"StateDirectory=station/plant", "StateDirectoryMode=2771", "ProtectSystem=strict"} <= set(unit)
    assert not [line for line in unit if line.startswith("ReadWritePaths=")]
    assert "ReadOnlyPaths=-/var/lib/station/plant/opcua/trusted" in unit


def test_nobody_but_the_group_of_the_station_enters_its_folder() -> None:
    """systemd sets the mode at each start: two units that share a folder have to agree."""
    modes: dict[str, set[str]] = {}
    for unit in UNITS:
        lines = lines_of(unit.stem)
        (mode,) = [line.partition("=")[2] for line in lines if line.startswith("StateDirectoryMode=")]
        for line in lines:
            for folder in line.removeprefix("StateDirectory=").split() if line.startswith("StateDirectory=") else []:
                modes.setdefault(folder, set()).add(mode)
    assert modes.pop("station") == modes.pop("station-fleet") == {"0750"}
    assert modes.keys() == {"station/hmi", "station/labels", "station/reports", "station/plant"}
    assert set(map(frozenset, modes.values())) == {frozenset({"2771"})}


def test_the_worker_of_a_fleet_is_nothing_of_a_station() -> None:
    """Another user, another configuration, and what a station holds is hidden from it; no station gets its unit."""
    unit = lines_of("station-fleet-worker")
    assert {"User=station-fleet", "Group=station-fleet", "StateDirectory=station-fleet"} <= set(unit)
    assert not [line for line in unit if line.startswith(("SupplementaryGroups=", "ReadWritePaths="))]
    assert "InaccessiblePaths=-/var/lib/station -/etc/station" in unit
    (started,) = [line for line in unit if line.startswith("ExecStart=")]
    words = started.removeprefix("ExecStart=/opt/station/.venv/bin/station ").split()
    assert build_parser().parse_args(words).config == Path("/etc/station-fleet/station.toml")
    assert "OOMPolicy=continue" in unit, "the worker outlives its teaching and says what became of it"
    assert "KillMode=mixed" in unit, "the worker hears of the stop first, and gives its job back"
    assert "station-fleet-worker" not in (ROOT / "deploy" / "install-common.sh").read_text()
    users = (ROOT / "systemd" / "station-fleet.sysusers.conf").read_text().splitlines()
    assert [line.split()[:2] for line in users if not line.startswith("#")] == [["u", "station-fleet"]]


@pytest.mark.system
@needs_program("systemd-sysusers")
def test_users_and_groups_are_those_of_the_units() -> None:
    file = ROOT / "systemd" / "station.sysusers.conf"
    lines = [line.split() for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert {(line[0], line[1]) for line in lines if line[0] in "ug"} == {
        ("u", "station"), ("u", "station-hmi"), ("u", "station-plant"), ("g", "station-operate"),
        ("g", "station-maintain"),
    }  # fmt: skip
    assert {(line[1], line[2]) for line in lines if line[0] == "m"} == {
        ("station-hmi", "station"), ("station", "station-hmi"), ("station-plant", "station"),
        ("station", "station-plant"),
    }  # fmt: skip
    files = [str(file), str(file.with_name("station-fleet.sysusers.conf"))]
    done = subprocess.run(["systemd-sysusers", "--dry-run", *files], capture_output=True, text=True, timeout=60)
    if "unrecognized option" not in done.stderr:
        assert done.returncode == 0, done.stderr
        assert "nvalid" not in done.stderr
