"""A whole session with two Modbus stacks that share nothing with ours: libmodbus (C) and modbus-serial (Node.js).

Both programs do the same and print what they read; both must read what docs/plc.md promises.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.programs import not_installed, require_program
from tests.bench.small_station import SmallStation

HERE = Path(__file__).parent
MODBUS_SERIAL = "modbus-serial@8.0.25"
IDS = range(100_007, 100_015)


def verdict(part_id: int) -> int:
    """As the small station decides."""
    return 1 if part_id % 10 else 2


def result_line(part_id: int, inspection_id: int) -> str:
    passed = int(verdict(part_id) == 1)
    return (
        f"result {verdict(part_id)} of part {part_id}, inspection {inspection_id}, "
        f"pass {passed}, reject {1 - passed}, score 0.25"
    )


EXPECTED = [
    "map 2, mirrored 2",
    "inputs 0 8",
    *(f"trigger {part_id} acknowledged, acquisition {number}" for number, part_id in enumerate(IDS, start=1)),
    "free slots 0, ready 0",
    f"trigger {IDS[-1] + 1} missed, overrun 1",
    *(result_line(part_id, number) for number, part_id in enumerate(IDS, start=1)),
    "cleared 0 1 4 8",
    "trigger 5 acknowledged, acquisition 9",
    result_line(5, 9),
    "command 5 completed",
    "command 99 failed",
    "outside the map: exception 2; a write to a mirror: exception 2",
    "reset 0 8",
]


@pytest.fixture
def station() -> Iterator[SmallStation]:
    with SmallStation() as station:
        yield station


def run_session(command: list[str], station: SmallStation, environment: dict[str, str] | None = None) -> list[str]:
    """What the program read. Fails with what it said when it did not get to its end."""
    run = subprocess.run(
        [*command, "127.0.0.1", str(station.port)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | (environment or {}),
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert station.missed == 1
    assert not [event for event in station.events if event.kind == "refused" and "another" in event.detail]
    return run.stdout.splitlines()


def test_a_session_through_libmodbus(station: SmallStation, tmp_path: Path) -> None:
    compiler, config = require_program("cc"), require_program("pkg-config")
    flags = subprocess.run([config, "--cflags", "--libs", "libmodbus"], capture_output=True, text=True)
    if flags.returncode:
        pytest.skip(f"libmodbus is {not_installed('libmodbus-dev')}")
    program = tmp_path / "session"
    source = [str(HERE / "libmodbus_session.c"), "-o", str(program), *flags.stdout.split()]
    subprocess.run([compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", *source], check=True, timeout=120)
    assert run_session([str(program)], station) == EXPECTED


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with modbus-serial in it; no script of a package runs at installation."""
    npm, _ = require_program("npm"), require_program("node")
    folder = tmp_path_factory.mktemp("npm")
    install = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", MODBUS_SERIAL]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not get {MODBUS_SERIAL} within 120 s: no network?")
    if done.returncode:
        pytest.skip(f"npm cannot get {MODBUS_SERIAL}: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules"


def test_a_session_through_modbus_serial(station: SmallStation, node_modules: Path) -> None:
    command = ["node", str(HERE / "modbus_serial_session.js")]
    assert run_session(command, station, {"NODE_PATH": str(node_modules)}) == EXPECTED
