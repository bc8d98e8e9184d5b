"""Processes of the station start from any folder, also from one whose files have the names of modules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from station.commands.main import main
from station.python_command import python_command
from tests.bench.engines.small_engine import write_small_engine

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[1]
_RUN = "runpy.run_module(module, run_name='__main__', alter_sys=True)"
STARTED = {
    "station": ["--version"],
    "station.line.acquisition.process": [],
    "station.simulation": [],
    "engines.training": ["--help"],
    "engines.training.evaluation": ["--help"],
    "engines.runtimes.tensorrt": ["--help"],
}
"""Modules that run as a process, with arguments that end them soon."""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: its folders and files shadow ours for whoever looks for modules here."""
    folder = tmp_path / "hostile"
    for package in ("engines", "station", "drivers"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise SystemExit('the wrong package')")
    for module in ("torch", "json", "numpy", "runpy", "rich"):
        (folder / f"{module}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("module", STARTED)
def test_a_process_runs_our_module(hostile: Path, module: str) -> None:
    done = subprocess.run(python_command(module, *STARTED[module]), capture_output=True, text=True, timeout=120)
    assert "the wrong" not in done.stdout + done.stderr
    if STARTED[module]:
        assert done.returncode == 0, done.stderr
    else:
        assert "IndexError" in done.stderr  # it looks for its arguments: the module itself runs


def test_it_has_its_arguments_and_the_modules_of_this_process(hostile: Path) -> None:
    code = "import json; print(sys.argv, json.__file__)"
    command = python_command("code", "--quiet", "-word")
    command[2] = command[2].replace(_RUN, code)
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "['-c', '--quiet', '-word']" in said
    assert str(hostile) not in said


def test_its_children_do_not_look_into_the_working_directory_either(hostile: Path) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("PYTHONSAFEPATH is new in Python 3.11")
    command = python_command("station")
    child = "import subprocess; sys.exit(subprocess.call([sys.executable, '-c', 'import json']))"
    command[2] = command[2].replace(_RUN, child)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_teach_says_what_is_wrong_with_the_images(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["teach", "--images", "nothing", "--output", "engine"]) == 2
    assert f'"{hostile / "nothing"}"' in capsys.readouterr().err


def test_evaluate_says_what_is_wrong_with_the_data_set(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--dataset", "nothing", "--output", "out"]) == 2
    assert f'"{hostile / "nothing"}"' in capsys.readouterr().err


def test_a_plan_is_built_as_far_as_this_computer_can(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_small_engine(hostile / "engine", width=32, height=32)
    done = subprocess.run(
        python_command("engines.runtimes.tensorrt", "engine", "--precision=fp32"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert '"event": "' in done.stdout, done.stderr


def test_no_other_place_starts_a_module() -> None:
    found = [
        str(file.relative_to(ROOT))
        for room in ("station", "drivers", "engines")
        for file in (ROOT / room).rglob("*.py")
        if re.search(r"sys\.executable", file.read_text(encoding="utf-8"))
    ]
    # gpu_check shows commands for people
    assert sorted(found) == ["station/commissioning/gpu_check.py", "station/python_command.py"]
