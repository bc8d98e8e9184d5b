"""An engine with the limits of its views: what the zones of the configuration do to a verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from station.codes import ReasonCode
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.line.inspection.inspector import Inspector
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector
from station.results import Frame, Inspection, Verdict
from tests.bench.engines.small_engine import write_small_engine

WIDTH, HEIGHT = 160, 80
LEFT = "[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]"


def configuration(folder: Path, zones: str) -> LoadedConfiguration:
    (folder / "station.toml").write_text(f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "engine"\n{zones}\n')
    return config.load(folder / "station.toml")


def loaded(folder: Path, zones: str, **shapes: tuple[int, ...]) -> Inspector:
    station = configuration(folder, zones)
    inspector = load_inspector(station.engine_path, station.settings, shapes)
    assert inspector is not None
    return inspector


def ignoring(polygon: str = LEFT) -> str:
    return f'[[decision.zones]]\nname = "date code"\npolygon = {polygon}\nignore = true'


def spot(column: int) -> np.ndarray:
    pixels = np.full((HEIGHT, WIDTH), 64, np.uint8)
    pixels[32:40, column : column + 8] = 200
    return pixels


def judged(inspector: Inspector, pixels: np.ndarray) -> Inspection:
    (inspection,) = inspector.inspect([inspector.begin(Frame("top", 1, pixels, 0, 0))])
    return inspection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT)
    return tmp_path


def test_a_defect_wholly_inside_an_ignored_zone_does_not_count(folder: Path) -> None:
    plain = loaded(folder, "")
    assert judged(plain, spot(40)).decision.verdict is Verdict.FAIL
    inspector = loaded(folder, ignoring(), top=(HEIGHT, WIDTH))
    inside, outside, across = (judged(inspector, spot(column)) for column in (40, 120, 76))
    assert inside.decision.verdict is Verdict.PASS
    assert inside.scores is not None
    assert inside.scores.image_score == 0.0  # what is recorded is what was judged
    for counted in (outside, across):
        assert counted.decision.verdict is Verdict.FAIL
        assert counted.decision.reasons[0].code is ReasonCode.SCORE_ABOVE_LIMIT
    same = judged(plain, spot(120))
    assert (outside.decision, outside.measurement) == (same.decision, same.measurement)


def test_replay_judges_as_the_line_does(folder: Path) -> None:
    """A comparison of engines knows no camera."""
    line, replay = loaded(folder, ignoring(), top=(HEIGHT, WIDTH)), loaded(folder, ignoring())
    for column in range(0, 150, 10):
        first, second = judged(line, spot(column)), judged(replay, spot(column))
        assert (first.decision, first.measurement) == (second.decision, second.measurement)


def test_a_score_of_the_whole_frame_refuses_ignored_zones(tmp_path: Path) -> None:
    write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT, map_score=None)
    with pytest.raises(LimitsError, match=r"\[decision\] zones .* detector small is of the whole frame.*remove ignore"):
        loaded(tmp_path, ignoring())
    loaded(tmp_path, ignoring().replace("true", "false"))


def test_a_rule_that_the_golden_images_do_not_show_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.engine.score_of", lambda *_: 1e9)
    with pytest.raises(LimitsError, match="is of the whole frame"):
        loaded(folder, ignoring())


def test_a_zone_that_would_do_nothing_is_refused(folder: Path) -> None:
    tiny = "[[0.51, 0.51], [0.53, 0.51], [0.53, 0.54]]"
    with pytest.raises(LimitsError, match=r'\[decision\] zone "date code" holds no whole cell .* 20 x 10 cells'):
        loaded(folder, ignoring(tiny), top=(HEIGHT, WIDTH))
