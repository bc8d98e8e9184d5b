"""The import contracts refuse what is in the wrong room: a copy of the packages gets a module that is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.places import ROOT

LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for package in ("station", "engines", "drivers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.cti"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(house: Path) -> str:
    done = subprocess.run([LINT, "--no-logo", "--no-cache"], cwd=house, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_a_room_that_is_not_placed_is_refused(house: Path) -> None:
    room = house / "station" / "line" / "scratch_room"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room that no contract knows."""\n')
    (room / "x.py").write_text("import station.results\n")
    assert "scratch_room" in broken_contracts(house)


def test_an_import_against_the_layers_is_refused(house: Path) -> None:
    module = house / "station" / "records" / "parts.py"
    module.write_text(module.read_text() + "\nimport station.daemon.daemon\n")
    assert "station.records.parts -> station.daemon.daemon" in broken_contracts(house)
