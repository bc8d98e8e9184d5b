"""`station camera list` and `station camera grab`, as a person calls them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from drivers.camera.images import read_image
from drivers.camera.simtl import Scene
from station import camera_tools
from tests.camera.conftest import numbered_image


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


def test_list_says_when_there_is_none(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    scene.lose_device()
    assert run("list", "--producer", "simtl") == 0
    assert "no camera found" in capfd.readouterr().out


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
def test_bad_input_is_told_and_exits_with_2(
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
