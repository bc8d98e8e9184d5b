"""An engine that the configuration names, by `path` or `version`, is asked about as the store asks at activation."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.bundle.manifest import VariantsAnswer
from engines.store.gate import OpenQuestion, Said
from engines.store.store import EngineStore
from station.commands.main import main
from station.configuration import load as config
from station.jobs.engine_questions import check_answered, open_question
from tests.bench.engines.asking import write_asking_engine
from tests.bench.engines.small_engine import detection_of, write_small_engine

CAMERA = '[cameras.top]\nproducer = "simtl"\n[engine]\n'


def asked(folder: Path, engine: str) -> str:
    path = folder / "station.toml"
    path.write_text(CAMERA + engine)
    return open_question(config.load(path))


@pytest.mark.parametrize(("answer", "asks"), [(None, True), ("keep", False), ("remove", False)])
def test_an_engine_by_path_asks_until_somebody_has_answered(
    tmp_path: Path, answer: VariantsAnswer | None, asks: bool
) -> None:
    write_asking_engine(tmp_path / "engine", width=64, height=64, answer=answer)
    said = asked(tmp_path, 'path = "engine"')
    assert ("8 images that look alike were not learned" in said) is asks
    assert ('variants = "remove"' in said) is asks
    assert asked(tmp_path, 'path = "engine"\nvariants = "remove"') == ""


def test_one_that_finds_next_to_nothing_asks_for_a_reason(tmp_path: Path) -> None:
    write_small_engine(tmp_path / "engine", width=64, height=64, detection=detection_of("dark spot"))
    assert "finds next to nothing" in asked(tmp_path, 'path = "engine"\nvariants = "remove"')
    assert asked(tmp_path, 'path = "engine"\nwhy = "the trial of the feeder"') == ""


def test_what_is_not_there_and_what_asks_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, 'path = "engine"') == ""
    assert asked(tmp_path, 'store = "engines"') == ""
    write_small_engine(tmp_path / "engine", width=64, height=64)
    assert asked(tmp_path, 'path = "engine"') == ""


def test_a_version_that_is_pinned_is_not_a_way_round_the_store(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "engines" / "default")
    version = store.add(write_asking_engine(tmp_path / "asking", width=64, height=64), why="")
    pinned = 'store = "engines"\nversion = 1'
    assert "8 images that look alike" in asked(tmp_path, pinned)
    with pytest.raises(OpenQuestion):
        check_answered(config.load(tmp_path / "station.toml"))
    assert asked(tmp_path, f'{pinned}\nvariants = "remove"') == ""
    store.activate(version, said=Said("remove"))
    assert asked(tmp_path, pinned) == "", "the store has the answer"


def test_a_recipe_with_an_engine_of_its_own_has_its_own_reply(tmp_path: Path) -> None:
    write_asking_engine(tmp_path / "engine", width=64, height=64)
    (tmp_path / "recipes").mkdir()
    recipe = tmp_path / "recipes" / "flange.toml"
    recipe.write_text('number = 1\n[engine]\npath = "engine"\n')
    station = 'path = "other"\nvariants = "remove"\n[recipe]\nactive = "flange"\n'
    assert "8 images" in asked(tmp_path, station)
    recipe.write_text('number = 1\n[engine]\npath = "engine"\nvariants = "remove"\n')
    assert asked(tmp_path, station) == ""


def test_recipe_check_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_asking_engine(tmp_path / "engine", width=64, height=64)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "flange.toml").write_text('number = 1\n[engine]\npath = "engine"\n')
    (tmp_path / "station.toml").write_text(CAMERA + '[recipe]\nactive = "flange"\n')
    assert main(["recipe", "check", "--json", "--config", str(tmp_path / "station.toml")]) == 2
    assert "8 images that look alike" in capsys.readouterr().out
