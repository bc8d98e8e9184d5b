"""`station teach` on a folder of images: what it shows, what it keeps, and how a removal is taken back."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.bundle.reading import read_bundle
from engines.teach_request import TeachRequest
from station.commands import main as cli
from station.commands.engines.teach import MAX_NAMES, default_cache, summary_table
from station.jobs import process
from station.jobs.teaching import command_again
from tests.bench.engines.taught import DIRTY, GOOD, IGNORED, KNOWN_BAD, taught_on_rings


@pytest.fixture(autouse=True)
def _wide_and_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def dossier_of(engine: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((engine / "dossier" / "dossier.json").read_text())
    return found


def names_with(dossier: dict[str, Any], fate: str) -> set[str]:
    return {image["name"] for image in dossier["images"] if image["fate"] == fate}


@pytest.mark.system
def test_a_removal_is_taken_back_by_the_command_of_the_dossier(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "NICENESS", 0)  # beside other tests low priority leaves it a tenth of a core
    taught = taught_on_rings(tmp_path_factory)
    first = taught.result.engine
    cache = default_cache()
    assert cache is not None
    shutil.copytree(taught.cache, cache, dirs_exist_ok=True)
    kept_features = {file.name: file.stat().st_ino for file in cache.iterdir()}
    dossier = dossier_of(first)
    assert names_with(dossier, "removed") >= {*DIRTY, *KNOWN_BAD}
    command = f"{shlex.join(dossier['command'])} --veto veto.txt".replace("'", "&#39;")
    assert command in (first / "dossier" / "dossier.html").read_text()

    (tmp_path / "veto.txt").write_text(f"{KNOWN_BAD[0]}\n")
    quick = ["--defect-trials", "0"]  # what the first one has measured takes nearly half of a teaching
    assert cli.main([*dossier["command"][1:], *quick, "--veto", str(tmp_path / "veto.txt")]) == 0
    said = capsys.readouterr().out
    output = first.with_name("first-2")
    manifest, second = read_bundle(output).manifest, dossier_of(output)
    assert manifest.engine_id[:12] in said
    assert manifest.ignore == (IGNORED,)
    assert "1 regions ignored" in said
    assert manifest.calibration.promise in said
    removed = names_with(second, "removed")
    assert removed >= {*DIRTY, *KNOWN_BAD[1:]}
    assert f"{len(removed)} of {GOOD + len(DIRTY) + len(KNOWN_BAD)}: {KNOWN_BAD[1]}, {KNOWN_BAD[2]}" in said
    assert str(output / "dossier" / "dossier.html") in said
    assert KNOWN_BAD[0] in names_with(second, "kept")
    assert second["command"][-1] == dossier["command"][-1]
    assert {file.name: file.stat().st_ino for file in cache.rglob("*.npz")} == kept_features


@pytest.mark.system
def test_what_training_refuses_is_reported_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the parser of the process says before it ends, and what the training itself says."""
    output = tmp_path / "engine"
    images = str(tmp_path / "images")
    assert cli.main(["teach", "--images", images, "--output", str(output), "--detector", "magic"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("station: argument --detector: invalid choice: 'magic'")
    assert "usage" not in said
    assert cli.main(["teach", "--images", images, "--output", str(output), "--ignore", "0,0 1,1"]) == 2
    assert 'region "0,0 1,1" has 2 corners, at least 3 are needed' in capsys.readouterr().err
    assert not output.exists()


def test_options_for_a_folder_are_refused_on_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--no-cache"], ["--steps", "0"], ["--veto", "v.txt"]):
        assert cli.main(["teach", "--parts", "20", "--output", str(tmp_path / "engine"), *more]) == 2
        assert f"{more[0]} goes with --images" in capsys.readouterr().err


def test_the_command_runs_from_anywhere_and_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def output_of(output: str) -> str:
        return command_again(Path("images"), Path(output), TeachRequest(seed=3))[3]

    assert output_of("first") == f"--output={tmp_path}/first-2"
    assert output_of("first-9") == f"--output={tmp_path}/first-10"
    assert output_of("-1") == f"--output={tmp_path}/-1-2"
    command = command_again(Path("-images"), Path("first"), TeachRequest(seed=3, known_bad=Path("bad.txt")))
    assert command[:3] == ("station", "teach", f"--images={tmp_path}/-images")
    assert command[4:] == ("--seed=3", f"--known-bad={tmp_path}/bad.txt")
    assert command_again(Path("images"), Path("first"), TeachRequest(int8=True, steps=1))[4:] == ("--steps=1", "--int8")


def test_features_are_kept_where_a_persons_programs_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_cache() == tmp_path / "cache" / "station" / "features"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "station" / "features"
    monkeypatch.setenv("HOME", "/dev/null")  # as services have it
    assert default_cache() is None


def test_many_and_strange_names_stay_on_a_line() -> None:
    removed = [*(f"[red]{number}.png" for number in range(MAX_NAMES - 1)), "line\nend.png", "one more.png"]
    table = summary_table(
        Path("engine"),
        {
            **{"engine_id": "0" * 64, "detector": "spatial", "images": 60, "seconds": 9.0, "preprocessing": "[x]"},
            **{"removed": removed, "dirt_share": 0.0, "masked_share": 0.0, "promise": "", "warnings": ["[y]"]},
            "finds": [],
            "pictures": ["mean grey 95 to 105 (36 images)"],
            **{"suspects": "", "known_defects": "", "kinds": ""},
            "question": "[red]why[/]",
            "graphs": {"model_fp16.onnx": "score 0.10%"},
        },
    )
    cells = [str(cell) for cell in table.columns[1].cells]
    assert cells[:2] == ["[red]why[/]", "[y]"], "the question on top, then the warnings"
    line = next(cell for cell in cells if cell.startswith("11 of 60"))
    assert "[red]0.png" in line
    assert line.endswith("'line\\nend.png' and 1 more")


@pytest.mark.system
def test_an_installation_that_cannot_train_says_how_to_fix_it(tmp_path: Path) -> None:
    """Python finds no module that is marked as missing."""
    lines = (
        "import sys; sys.modules['torch'] = None; from station.commands.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, "teach", "--images", str(tmp_path), "--output", str(tmp_path / "engine")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "run the installer again with --teach" in done.stderr
    assert "Traceback" not in done.stderr
