"""What a changeover refuses before it touches the line: everything stays as it is, and the refusal is on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.daemon import changeover as module
from station.daemon.changeover import Changeover, ChangeRefused, check_features
from tests.bench.changeovers import STATION, Heard, changeover

PLAIN, STORE, PINNED = 'path = "engine"', 'store = "engines"', 'store = "engines"\nversion = 3'


def select(made: Changeover) -> None:
    made.select_recipe("flange", "plc")


def activate(made: Changeover) -> None:
    made.activate_engine(2, "plc")


def reload(made: Changeover) -> None:
    made.reload("operator")


@pytest.mark.parametrize(
    ("engine", "change", "why"),
    [
        (PLAIN, activate, "the engine is a plain folder; slots need [engine] store"),
        (PINNED, activate, "the recipe says [engine] version = 3"),
        (STORE, activate, "holds no engine; add one: station engine import"),
        (PLAIN, select, "[recipe] active is not set"),
    ],
)
def test_refused(tmp_path: Path, engine: str, change: Callable[[Changeover], None], why: str) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, engine)
    before = made.configuration
    with pytest.raises(ChangeRefused, match=re.escape(why)):
        change(made)
    assert why in heard.refusal()
    assert why in made.refusal
    assert made.configuration is before


def test_what_needs_a_restart_is_not_reloaded(tmp_path: Path) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)
    with (tmp_path / "station.toml").open("a") as file:
        file.write("[records]\nqueue_size = 64\n")
    with pytest.raises(ChangeRefused, match=r"need a restart: records\.queue_size"):
        reload(made)
    assert heard.refusal() == "these changes need a restart: records.queue_size"


def test_one_change_at_a_time(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    with made._lock, pytest.raises(ChangeRefused, match="another change is under way"):
        reload(made)


def test_no_change_before_the_cameras_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STARTING_S", 0.0)
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN, started=False)
    with pytest.raises(ChangeRefused, match="still starting"):
        reload(made)
    assert "do not stream yet" in heard.refusal()


def of_features(directory: Path, camera: str) -> LoadedConfiguration:
    path = directory / "station.toml"
    path.write_text(f"{STATION}{camera}\n")
    return config.load(path)


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ("exposure_time_us = 100.0", "", "ExposureTime"),
        ("gain_db = 3.0", "", "Gain"),
        ("features = { BlackLevel = 4.0, Gamma = 1.0 }", "features = { Gamma = 2.0 }", "BlackLevel"),
    ],
)
def test_a_feature_that_only_one_recipe_sets_is_refused_both_ways(
    tmp_path: Path, one: str, other: str, named: str
) -> None:
    first, second = of_features(tmp_path, one), of_features(tmp_path, other)
    for before, after in ((first, second), (second, first)):
        with pytest.raises(ChangeRefused, match=f"camera features {named} of top"):
            check_features(before, after)
    check_features(first, first)


def test_a_feature_by_its_own_key_is_the_same_as_by_its_name(tmp_path: Path) -> None:
    check_features(of_features(tmp_path, "gain_db = 3.0"), of_features(tmp_path, "features = { Gain = 2.0 }"))
