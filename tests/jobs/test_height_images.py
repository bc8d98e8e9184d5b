"""Heights on disk become the pictures of the line, and an engine that is taught with them holds for their section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.camera.images import read_image
from drivers.camera.settings import DepthSettings
from drivers.imagefiles.heights import encode_heights
from drivers.imagefiles.png_text import text_in, with_text
from engines.bundle.reading import read_manifest
from engines.errors import DatasetError
from engines.inputs.depth import Heights, depth_picture
from engines.inputs.depth_spec import MARK
from engines.training.images.dataset import open_dataset
from station.commands import main as cli
from station.configuration.load import load_station
from station.jobs.comparison import judge
from station.jobs.height_images import pictures_of_heights
from station.jobs.process import JobError
from station.records.images import encode_png, heights_beside, write_heights, write_image
from tests.bench.engines.dented import SCALE_MM, SPEC, plate, write_depth_engine

WIDTH, HEIGHT = 96, 96
SETTINGS = DepthSettings(range_mm=SPEC.range_mm, slope_range_mm=SPEC.slope_range_mm)
STATION = f"""[cameras.top]
producer = "simtl"
pixel_format = "Coord3D_C16"
[cameras.top.depth]
range_mm = {SPEC.range_mm}
slope_range_mm = {SPEC.slope_range_mm}
[cameras.side]
producer = "viky"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "heights"
    folder.mkdir()
    for seed in range(24):
        values = plate(WIDTH, HEIGHT, seed=seed, missing=0.01)
        (folder / f"{seed:03}.png").write_bytes(encode_heights(values, SCALE_MM, 0.0, 0))
    return folder


def made(files: Path, tmp_path: Path, **how: Any) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    assert pictures_of_heights(files, how.pop("settings", SETTINGS), SPEC, pictures, **how) == 24
    return pictures


def test_pictures_are_those_of_the_line_and_say_how_they_were_made(files: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pictures = made(files, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    values = plate(WIDTH, HEIGHT, seed=5, missing=0.01)
    np.testing.assert_array_equal(read_image(pictures / "005.png"), depth_picture(values, SCALE_MM, 0.0, 0, SPEC))
    assert text_in((pictures / "005.png").read_bytes(), MARK) == SPEC.as_text
    assert seen[-1] == (24, 24)
    assert open_dataset(pictures).depth == SPEC.as_text


def test_all_files_that_are_no_heights_are_named(files: Path, tmp_path: Path) -> None:
    (files / "100.png").write_bytes(encode_png(np.zeros((4, 4), np.uint8)))
    (files / "101.png").write_bytes(encode_heights(np.zeros((4, 4), np.uint16), SCALE_MM, 0.0, 0))
    (files / "102.png").write_bytes(encode_heights(plate(8, 8), 0.5, 0.0, 0))
    holes = plate(WIDTH, HEIGHT, missing=0.3)
    (files / "103.png").write_bytes(encode_heights(holes, SCALE_MM, 0.0, 0))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    settings = DepthSettings(range_mm=1.0, slope_range_mm=0.2, scale_mm=SCALE_MM)
    with pytest.raises(JobError) as refused:
        pictures_of_heights(files, settings, SPEC, pictures, most_missing=0.05)
    for said in (
        "4 of 28 files", "100.png", "heights are grey images of 16 bit", "101.png: all 16 pixels are invalid",
        "scale_mm 0.5", "103.png", "max_missing_share is 5.0%",
    ):  # fmt: skip
        assert said in str(refused.value)


def test_pictures_made_in_two_ways_are_refused_together(files: Path, tmp_path: Path) -> None:
    pictures = made(files, tmp_path)
    first = pictures / "000.png"
    plain = encode_png(read_image(first))
    first.write_bytes(with_text(plain, MARK, SPEC.as_text.replace("1.0", "2.0")))
    with pytest.raises(DatasetError, match="made of heights in 2 ways"):
        open_dataset(pictures)


def test_heights_among_pictures_are_refused_with_the_option_that_takes_them(files: Path) -> None:
    with pytest.raises(DatasetError, match="--heights-of"):
        open_dataset(files)


@pytest.mark.parametrize(("camera", "said"), [("side", "3-D cameras there: top"), ("nobody", "cameras.nobody.depth")])
def test_a_camera_without_heights_is_refused(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], camera: str, said: str
) -> None:
    (tmp_path / "station.toml").write_text(STATION)
    arguments = ["--images", str(files), "--heights-of", camera, "--config", str(tmp_path / "station.toml")]
    assert cli.main(["teach", *arguments, "--output", str(tmp_path / "engine")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.system
def test_an_engine_taught_from_files_holds_for_their_section(files: Path, tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(STATION)
    arguments = ["--images", str(files), "--heights-of", "top", "--config", str(tmp_path / "station.toml")]
    quick = ["--steps", "0", "--defect-trials", "0", "--refine", "none", "--reference-pictures", "0", "--no-cache"]
    assert cli.main(["teach", *arguments, *quick, "--output", str(tmp_path / "engine")]) == 0
    assert read_manifest(tmp_path / "engine").depth == SPEC.as_text
    page = (tmp_path / "engine" / "dossier" / "dossier.json").read_text()
    assert "--heights-of=top" in page, "the command that takes a removal back learns the same pictures"


def test_a_stored_part_is_judged_again_as_on_the_line(tmp_path: Path) -> None:
    """With the heights beside its picture: what is missing is left out, and too much of it is no PASS."""
    write_depth_engine(tmp_path / "engine", 160, 128)
    text = STATION.partition("[cameras.side]")[0]
    (tmp_path / "station.toml").write_text(f'{text}[engine]\npath = "engine"\n')
    hidden = plate(160, 128, dent_mm=0.6)
    hidden[33:66, 33:66] = 0
    images = []
    for name, values in (("flat", plate(160, 128, missing=0.03)), ("hidden", hidden)):
        heights = Heights(values, SCALE_MM, 0.0, 0, SPEC)
        images.append(("top", tmp_path / f"{name}.png"))
        write_image(images[-1][1], depth_picture(values, SCALE_MM, 0.0, 0, SPEC), heights)
        write_heights(tmp_path / f"{name}.heights.png", heights)
        again = heights_beside(images[-1][1])
        assert again is not None
        np.testing.assert_array_equal(again.values, values)
        assert (again.scale_mm, again.invalid, again.spec) == (SCALE_MM, 0, SPEC)
    _, judged = judge(load_station(tmp_path / "station.toml"), tmp_path / "engine", images)
    assert [one.verdict for one in judged] == ["PASS", "REVIEW"]
    (tmp_path / "hidden.heights.png").write_bytes(b"")
    assert heights_beside(tmp_path / "hidden.png") is None
    assert heights_beside(tmp_path / "nothing.png") is None
