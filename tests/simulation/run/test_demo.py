"""What `station demo` refuses, before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.runtimes.tensorrt.probe import NoGpu, probe
from station.commands.main import main
from tests.simulation.parts.test_pictures import make_folder

without_gpu = pytest.mark.skipif(not isinstance(probe(), NoGpu), reason="this computer has a GPU that can be used")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cameras", "9"], "allowed are 1 to 8"),
        (["--rate", "0.1"], "allowed are 0.2 to 200 parts/s"),
        (["--rate", "nan"], "allowed are 0.2 to 200 parts/s"),
        (["--rate", "21", "--cameras", "2"], "above 20 parts/s only with 1 camera"),
        (["--rate", "21", "--reject", "station"], "above 20 parts/s only with 1 camera"),
        (["--parts", "0"], "allowed are 1 to"),
        (["--teach-parts", "19"], "allowed are 20 to"),
        (["--seed", "-1"], "must not be negative"),
        (["--engine", "nowhere"], "--engine nowhere: no such folder"),
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--report", "nowhere/report.json"], "must be a file in a folder that exists"),
        pytest.param(["--runtime", "tensorrt"], "--runtime tensorrt: ", marks=without_gpu),
        (["--work", "/dev/null"], "is not a folder"),
        (["--work", "x" * 120], "choose a shorter --work"),
    ],
)
def test_bad_input_is_reported_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    work = [] if "--work" in arguments else ["--work", str(tmp_path / "work")]
    assert main(["demo", *arguments, *work]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_folder_with_too_few_images_or_a_broken_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = make_folder(tmp_path / "few", good=19)
    assert main(["demo", "--images", str(few), "--work", str(tmp_path / "work")]) == 2
    assert "19 good images" in capsys.readouterr().err
    broken = make_folder(tmp_path / "broken")
    (broken / "test" / "crack" / "b.png").write_bytes(b"no image")
    assert main(["demo", "--images", str(broken), "--work", str(tmp_path / "work")]) == 2
    assert "b.png: cannot be decoded" in capsys.readouterr().err


def test_folder_of_somebody_else_is_not_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    assert main(["demo", "--work", str(tmp_path)]) == 2
    assert "holds files that are not of a demo" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
