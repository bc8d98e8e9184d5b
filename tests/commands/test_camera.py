"""`station camera list` and `station camera grab`, as a person calls them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import drivers.camera.genicam  # noqa: F401  harvesters starts git when it is first imported: before any test runs
from drivers.camera.images import read_image
from drivers.camera.simtl import Scene
from drivers.imagefiles.heights import read_heights
from station.commands import camera as camera_tools
from tests.bench.cameras import HEIGHT, WIDTH, lies_about, needs_heights, needs_lies, numbered_image
from tests.bench.engines.dented import plate
from tests.bench.places import ROOT
from tests.commands.test_json import check_keys

SIZE_FILLED = 9
"""BUFFER_INFO_CMD of GenTL."""


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    camera_tools.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["camera", *arguments])
    code: int = options.run(options)
    return code


def test_list_shows_the_cameras_of_viky(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--producer", "viky") == 0
    heading, *rows = capfd.readouterr().out.splitlines()
    assert heading.split() == ["SERIAL", "VENDOR", "MODEL", "USER", "ID"]
    assert [row.split()[0] for row in rows] == ["0", "1", "2"]


def test_list_shows_the_software_camera(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert "SIM0000" in capfd.readouterr().out


def test_json_has_the_keys_that_the_help_names(scene: Scene, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    check_keys("camera list", json.loads(capfd.readouterr().out))
    assert run("grab", "--software-trigger", "--count", "2", "--output", str(tmp_path / "o"), "--json") == 0
    found = json.loads(capfd.readouterr().out)
    check_keys("camera grab", found)
    assert [Path(one["file"]).is_file() for one in found] == [True, True]


def test_list_says_when_there_is_none(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    scene.lose_device()
    assert run("list", "--producer", "simtl") == 0
    assert "no camera found" in capfd.readouterr().out


@needs_lies
def test_grab_says_why_a_frame_has_no_pixels(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lies").write_bytes(lies_about({SIZE_FILLED: 100}))
    monkeypatch.setenv("SIMTL_LIES", str(tmp_path / "lies"))
    assert run("grab", "--software-trigger", "--output", str(tmp_path / "o")) == 2
    assert "has no pixels: 100 bytes are filled" in capfd.readouterr().err


def test_grab_stores_free_running_frames(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run("grab", "--producer", "viky", "--serial", "2", "--count", "3", "--output", str(tmp_path / "new" / "o")) == 0
    )
    files = sorted((tmp_path / "new" / "o").iterdir())
    lines = capfd.readouterr().out.splitlines()
    assert len(files) == len(lines) == 3
    for file, line in zip(files, lines, strict=True):
        height, width, _ = read_image(file).shape
        assert line.startswith(f"{file}: frame ")
        assert f"{width} x {height} px, RGB8, triggered " in line


def test_grab_stores_triggered_frames(scene: Scene, tmp_path: Path) -> None:
    scene.show(numbered_image(5))
    assert run("grab", "--software-trigger", "--count", "2", "--output", str(tmp_path / "o")) == 0
    files = list((tmp_path / "o").iterdir())
    assert len(files) == 2
    assert all((read_image(file) == numbered_image(5)).all() for file in files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--producer", "none"], 'unknown GenTL producer "none"'),
        (["list", "--producer", "none.cti"], "does not exist"),
        (["grab", "--producer", "viky", "--serial", "9", "--output", "o"], 'found "0", "1", "2"'),
        (["grab", "--producer", "viky", "--software-trigger", "--output", "o"], "no TriggerMode"),
        (["grab", "--producer", "viky", "--output", "file"], "FileExistsError"),
    ],
)
def test_bad_input_is_reported_and_exits_with_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(*arguments) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_count_below_one_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("grab", "--count", "0", "--output", "o")
    assert ended.value.code == 2
    assert "not at least 1" in capfd.readouterr().err


@pytest.mark.system
@pytest.mark.parametrize("command", [["camera", "list"], ["check", "--config", "station.toml"]])
def test_a_genicam_library_that_does_not_load_is_reported_in_words(tmp_path: Path, command: list[str]) -> None:
    """As on a Debian whose Python has no shared library."""
    camera = '[cameras.top]\nproducer = "simtl"\n'
    (tmp_path / "station.toml").write_text(f'[station]\nname = "a"\nwork_dir = "work"\n{camera}[plc]\nrole = "off"\n')
    (tmp_path / "genicam").mkdir()
    (tmp_path / "genicam/__init__.py").touch()
    (tmp_path / "genicam/genapi.py").write_text('raise ImportError("libpython3.11.so.1.0: cannot open")\n')
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from station.commands.main import main; sys.exit(main())", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "apt install python3-dev" in " ".join((done.stdout + done.stderr).replace("│", " ").split())


@needs_heights
def test_grab_stores_heights_and_a_relief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    values = plate(WIDTH, HEIGHT, missing=0.02)
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 3) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show_heights(values)
        arguments = ("grab", "--software-trigger", "--heights", "0.5", "--output", str(tmp_path / "o"))
        assert run(*arguments) == 0
        assert f"{WIDTH} x {HEIGHT} px, Coord3D_C16" in capfd.readouterr().out
        (file,) = (tmp_path / "o").glob("*[0-9].png")
        np.testing.assert_array_equal(read_heights(file).values, values)
        assert read_heights(file).scale_mm == 0.01
        assert read_image(file.with_name(f"{file.stem}-relief.png")).shape == (HEIGHT, WIDTH, 3)
        scene.show_heights(np.zeros((HEIGHT, WIDTH), np.uint16))
        assert run(*arguments) == 2
        assert "all 3072 pixels are invalid" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        run("grab", "--heights", "0", "--output", str(tmp_path / "o"))
