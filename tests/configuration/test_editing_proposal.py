"""A change before it is made: which file it goes to, what it means as a whole, and which comments would go."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.configuration.editing.proposal import propose, propose_text, target_of
from station.configuration.editing.sets import as_sets, change_of
from station.configuration.file import ConfigurationError
from station.configuration.load import LoadedConfiguration, load

STATION = '[cameras.top]\nproducer = "simtl"\n[decision]\nreject_score = 0.5\npixel_size_mm = 0.05\n'
RECIPE = "number = 7\n[decision]\nreject_score = 0.6  # agreed\n"


@pytest.fixture
def station(tmp_path: Path) -> LoadedConfiguration:
    (tmp_path / "station.toml").write_text(STATION)
    return load(tmp_path / "station.toml")


@pytest.fixture
def recipe(tmp_path: Path) -> LoadedConfiguration:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "flange.toml").write_text(RECIPE)
    (tmp_path / "station.toml").write_text(STATION + '[recipe]\nactive = "flange"\n')
    return load(tmp_path / "station.toml")


def test_changes_go_to_the_recipe_where_there_is_one(station: LoadedConfiguration, recipe: LoadedConfiguration) -> None:
    assert target_of(station) == station.path
    made = propose(recipe, {("decision", "reject_score"): 0.7})
    assert (made.path.name, made.text) == ("flange.toml", RECIPE.replace("0.6", "0.7"))
    assert made.after.settings.decision.reject_score == 0.7
    assert [str(change) for change in made.changes] == ["[decision] reject_score: 0.6 -> 0.7"]


def test_a_key_that_is_taken_out_of_the_recipe_leaves_what_lies_below(recipe: LoadedConfiguration) -> None:
    made = propose(recipe, {("decision", "reject_score"): None})
    assert made.after.settings.decision.reject_score == 0.5
    assert made.comments_lost == []
    assert "# agreed" in made.text


def test_comments_of_a_zone_that_goes_are_named(station: LoadedConfiguration) -> None:
    zone = "\n# the hole of the drill\n[[decision.zones]]\nname = 'hole'  # 8 mm\npolygon = [[0, 0], [1, 0], [1, 1]]\n"
    station.path.write_text(STATION + zone)
    made = propose(load(station.path), {("decision", "zones"): None})
    assert made.comments_lost == ["# the hole of the drill", "# 8 mm"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (STATION + "[station]\nname = 'other'\n", r"set-up cannot change station\.name"),
        (STATION.replace("simtl", "viky"), r"set-up cannot change cameras\.top"),
        (STATION + "[decision.views.side]\nreject_score = 0.1\n", "no such camera"),
        (STATION + "[recipe]\nactive = 'flange'\n", "decided at the start"),
        (STATION.replace("0.5\n", "5\n"), "less than or equal to 1"),
        (STATION + "\x00", "not valid TOML"),
    ],
)
def test_what_a_running_station_does_not_take_up_is_refused(station: LoadedConfiguration, text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        propose_text(station, station.path, text)


def test_only_the_two_files_of_the_configuration_are_changed(station: LoadedConfiguration, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is neither"):
        propose_text(station, tmp_path / "other.toml", STATION)


def test_a_change_as_text_comes_back_as_it_was() -> None:
    changes: dict[tuple[str, ...], object] = {
        ("decision", "zones"): [{"name": "a=b"}],
        ("quality", "action"): "fail",
        ("decision", "reject_score"): None,
    }
    assert dict(change_of(text) for _, text in as_sets(changes)) == changes
    for wrong in ("", "a", "=1", "a.=1", "a=", "a=NaN", "a=[", "a=" + "[" * 3000):
        with pytest.raises(ValueError, match=r"write it as|is no value"):
            change_of(wrong)
