"""What a changeover refuses before it touches the line: everything stays as it is, and the refusal is on record."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from drivers.camera.settings import CameraSettings
from engines.errors import EngineError
from engines.store.store import EngineStore
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.configuration.selection import read_selection
from station.daemon import change_record
from station.daemon.change_record import ChangeRefused, WantedEngine, check_features
from station.daemon.changeover import Changeover
from station.line.challenge.messages import ChallengeConfigured
from station.line.signalling.messages import Changing, IdentityChanged
from station.records.audit import AuditEntry
from tests.bench.changeovers import STATION, Heard, changeover
from tests.bench.engines.asking import write_asking_engine
from tests.bench.engines.small_engine import write_small_engine

PLAIN, STORE, PINNED = 'path = "engine"', 'store = "engines"', 'store = "engines"\nversion = 3'


def select(made: Changeover) -> None:
    made.select_recipe("flange", "plc")


def activate(made: Changeover) -> None:
    made.activate_engine(WantedEngine("2"), "plc")


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
    assert why in made.changes.refusal
    assert made.configuration is before


def test_what_needs_a_restart_is_not_reloaded(tmp_path: Path) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)
    with (tmp_path / "station.toml").open("a") as file:
        file.write("[records]\nqueue_size = 64\n")
    with pytest.raises(ChangeRefused, match=r"need a restart: records\.queue_size"):
        reload(made)
    assert heard.refusal() == "these changes need a restart: records.queue_size"


def test_change_record_at_a_time(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    with made.changes._turn, pytest.raises(ChangeRefused, match="another change is under way"):
        reload(made)


def test_a_change_while_the_station_stops_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)

    def stopped() -> Heard:
        raise queue.Empty

    monkeypatch.setattr(heard, "snapshot", stopped)
    with pytest.raises(ChangeRefused, match="gave no reply in time: it is stopping"):
        reload(made)
    assert "it is stopping" in heard.refusal()


def test_no_change_before_the_cameras_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_record, "STARTING_S", 0.0)
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN, started=False)
    with pytest.raises(ChangeRefused, match="still starting"):
        reload(made)
    assert "do not stream yet" in heard.refusal()


def with_recipes(directory: Path, settings: str = "") -> Changeover:
    """A station that waits for its engine, with the recipes flange and disc; `settings` with {number} for 1 and 2."""
    (directory / "recipes").mkdir()
    (directory / "work").mkdir()
    for number, name in enumerate(("flange", "disc"), start=1):
        (directory / "recipes" / f"{name}.toml").write_text(f"number = {number}\n{settings.format(number=number)}")
    return changeover(directory, Heard(), f'{PLAIN}\n[recipe]\nactive = "flange"')


def heard_by(made: Changeover) -> Heard:
    return cast("Heard", made._recorder)


def test_a_recipe_without_engine_is_taken_only_by_who_asks_for_it(tmp_path: Path) -> None:
    made = with_recipes(tmp_path)
    with pytest.raises(ChangeRefused, match="is not there; to teach it: select --without-engine"):
        made.select_recipe("disc", "anna")
    made.select_recipe("disc", "anna", without_engine=True)
    assert made.configuration.recipe is not None
    assert made.configuration.recipe.name == "disc"
    assert [entry.result for entry in heard_by(made).said(AuditEntry)] == ["refused", "done"]


def test_a_station_that_waits_for_its_engine_can_be_reloaded(tmp_path: Path) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)
    with (tmp_path / "station.toml").open("a") as file:
        file.write("[quality]\nmin_mean_grey = 7.0\n")
    reload(made)
    assert made.configuration.settings.quality.min_mean_grey == 7.0
    assert [entry.result for entry in heard.said(AuditEntry)] == ["done"]


def test_only_another_recipe_is_one_for_the_challenge_test(tmp_path: Path) -> None:
    made = with_recipes(tmp_path)
    recipe = tmp_path / "recipes" / "flange.toml"
    recipe.write_text(recipe.read_text() + "[quality]\nmin_mean_grey = 7.0\n")
    reload(made)
    made.select_recipe("disc", "anna", without_engine=True)
    changed = [message.recipe_changed for message in heard_by(made).said(ChallengeConfigured)]
    assert changed == [False, True]


def test_a_change_that_fails_at_its_last_step_is_undone(tmp_path: Path) -> None:
    made = with_recipes(tmp_path)
    heard, before = heard_by(made), made.configuration
    heard.broken = EngineError("no memory left")
    with pytest.raises(ChangeRefused, match="no memory left"):
        made.select_recipe("disc", "anna", without_engine=True)
    assert made.configuration is before
    assert read_selection(before.work_dir) is None, "a restart keeps the old recipe, too"
    said = heard.said(object)
    assert [message.identity.recipe for message in said if isinstance(message, IdentityChanged)] == ["disc", "flange"]
    assert [message for message in said if isinstance(message, Changing)][-1] == Changing(None)
    heard.broken = None
    made.select_recipe("disc", "anna", without_engine=True)
    heard.broken = EngineError("no memory left")
    with pytest.raises(ChangeRefused, match="no memory left"):
        made.select_recipe("flange", "anna", without_engine=True)
    selected = read_selection(before.work_dir)
    assert selected is not None
    assert selected.recipe == "disc"


def test_a_recipe_with_frames_of_another_size_is_refused_and_the_camera_set_back(tmp_path: Path) -> None:
    made = with_recipes(tmp_path, "[cameras.top]\nexposure_time_us = {number}00.0\n")
    made._frame_shapes = {"top": (8, 8)}
    with pytest.raises(ChangeRefused, match="a recipe cannot change their size"):
        made.select_recipe("disc", "anna", without_engine=True)
    assert [camera.exposure_time_us for camera in heard_by(made).said(CameraSettings)] == [200.0, 100.0]


def test_no_change_while_a_plan_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)
    monkeypatch.setattr(type(made.missing_plan.building), "is_under_way", True)
    with pytest.raises(ChangeRefused, match="the plan of the engine is being built"):
        reload(made)
    assert "station status" in heard.refusal()


@pytest.mark.system
def test_a_version_that_the_station_refuses_is_active_no_longer(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), STORE)
    assert made.configuration.engine_store is not None
    store = EngineStore(made.configuration.engine_store)
    for size in (64, 96):
        store.add(write_small_engine(tmp_path / str(size), width=size, height=size), why="test")
    first = store.find("1")
    store.activate(first)
    heard_by(made).broken = EngineError("no memory left")
    with pytest.raises(ChangeRefused, match="no memory left"):
        activate(made)
    assert store.active() == first
    assert "the station refused: no memory left" in store.events()[-1].why


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


def test_an_engine_by_path_with_an_open_question_is_refused_at_a_reload(tmp_path: Path) -> None:
    """As the store refuses it at its activation; the reply stands in the configuration."""
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN)
    write_asking_engine(tmp_path / "engine", width=64, height=48)
    before = made.configuration
    with pytest.raises(ChangeRefused, match="8 images that look alike were not learned"):
        reload(made)
    (entry,) = heard.said(AuditEntry)
    assert (entry.result, "look alike" in entry.detail) == ("refused", True)
    assert made.configuration is before
    path = tmp_path / "station.toml"
    path.write_text(path.read_text() + 'variants = "remove"\n')
    reload(made)
    (entry,) = heard.said(AuditEntry)
    assert (entry.result, '[engine] variants: null -> "remove"' in entry.detail) == ("done", True)


def test_a_start_with_an_open_question_is_off_line_and_says_so(tmp_path: Path) -> None:
    """A restart is no way round the question: no engine is loaded, and the station waits for the reply."""
    heard = Heard()
    made = changeover(tmp_path, heard, PLAIN, started=False)
    write_asking_engine(tmp_path / "engine", width=64, height=48)
    made.started({"top": (48, 64)})
    refused, started = heard.said(AuditEntry)
    assert (refused.result, refused.who, started.action) == ("refused", "station", "start")
    assert "8 images that look alike" in made.changes.refusal
    assert made.runtime == ""
    path = tmp_path / "station.toml"
    path.write_text(path.read_text() + 'variants = "remove"\n')
    reload(made)
    assert made.runtime.startswith("onnx")
    assert made.changes.refusal == ""
