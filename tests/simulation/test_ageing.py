"""A line that ages: how much, from when, and what it does to a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from station.commands import main as cli
from station.simulation.parts import choosing
from station.simulation.parts.ageing import Ageing, Kind, aged, amount_of, parse_ageing
from station.simulation.parts.pictures import Canvas
from station.simulation.parts.rendered import SIZE_PX
from station.simulation.parts.schedule import INSPECT, TEACH, LineSchedule, ScheduledPart, load_schedule

PICTURE = np.random.default_rng(1).integers(0, 200, (64, 80, 3), np.uint8)


def sharpness(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    return float(np.abs(np.diff(pixels.astype(float), axis=0)).mean())


def test_a_ramp_begins_and_ends_and_a_step_does_not_wait() -> None:
    ramp = parse_ageing("lamp=0.4@0.5")
    assert [ramp.amount(share) for share in (0.0, 0.5, 0.75, 1.0)] == pytest.approx([0.0, 0.0, 0.2, 0.4])
    assert parse_ageing("texture=0.4@0.5!").amount(0.5) == 0.4


@pytest.mark.parametrize("text", ["", "lamp", "lamp=x", "lamp=2", "lamp=0", "sun=1", "lamp=0.1@1", "lamp=0.1@x"])
def test_what_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="with lamp up to"):
        parse_ageing(text)
    assert cli.main(["demo", "--work", str(tmp_path / "demo"), "--age", text]) == 2
    assert "--age" in capsys.readouterr().err


def test_what_each_does_to_a_picture() -> None:
    def after(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return aged(PICTURE, (parse_ageing(text),), 1.0)

    assert after("lamp=0.28").mean() == pytest.approx(0.72 * PICTURE.mean(), rel=0.01)
    assert sharpness(after("defocus=2")) < 0.5 * sharpness(PICTURE)
    assert sharpness(after("dust=0.5")) < sharpness(PICTURE)
    assert after("dust=0.5").mean() < PICTURE.mean()
    assert sharpness(after("texture=0.4")) > 1.1 * sharpness(PICTURE)
    assert aged(PICTURE, (parse_ageing("dust=0.5"),), 0.0) is PICTURE
    grey = aged(PICTURE[..., 0], (parse_ageing("dust=0.5"), parse_ageing("defocus=1")), 1.0)
    assert grey.shape == PICTURE.shape[:2]


def test_taught_parts_come_from_a_new_line_and_the_schedule_keeps_it(tmp_path: Path) -> None:
    parts = tuple(ScheduledPart(n, TEACH if n <= 2 else INSPECT, "good", seed=5) for n in range(1, 6))
    lamp = Ageing(Kind.LAMP, 0.5, at_once=False)
    schedule = LineSchedule(Canvas(SIZE_PX, SIZE_PX, 3), parts, 4.0, 1.0, "x", "h", 1, ageing=(lamp,))
    schedule.save(tmp_path / "s.json")
    assert load_schedule(tmp_path / "s.json") == schedule
    light = [float(schedule.pictures(part)[0].mean()) for part in parts]
    assert light[0] == light[1] == light[2] > light[3] > light[4]
    assert light[4] == pytest.approx(0.5 * light[0], rel=0.02)


def test_a_process_that_makes_more_defective_parts() -> None:
    parts = choosing.rendered(400, 20, 3, defective=0.0)
    worse = choosing.worse(parts, (parse_ageing("defects=0.5@0.5!"),), 3)
    bad = [part.truth != "good" for part in worse]
    assert bad[20:220] == [False] * 200
    assert 70 <= sum(bad[220:]) <= 130
    assert worse == choosing.worse(parts, (parse_ageing("defects=0.5@0.5!"),), 3), "the seed says which"
    assert choosing.worse(parts, (), 3) == parts


def test_a_plant_that_ages_leaves_pictures_as_they_are() -> None:
    plant = tuple(parse_ageing(text) for text in ("valve=0.06", "slip=0.03", "defects=0.1"))
    assert aged(PICTURE, plant, 1.0) is PICTURE
    assert amount_of(Kind.SLIP, plant, 0.5) == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--age", "lamp=0.1", "--rate", "100"], "cannot age"),
        (["--age", "defects=0.1", "--images", "x"], "only with rendered parts"),
        (["--defects", "2"], "a share from 0 to 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--work", str(tmp_path / "demo"), *options]) == 2
    assert words in capsys.readouterr().err
