"""Settings from the pages: checked, taken up, written in one step, on record by value; or all stays as it was."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from engines.errors import EngineError
from station.configuration import load as config
from station.control import ControlError
from station.daemon.change_record import ChangeRefused
from station.daemon.changeover import Changeover
from station.daemon.set_up import settings_file as module
from station.daemon.set_up.settings_file import SettingsFile, replace_file
from station.records.audit import AuditEntry
from tests.bench.changeovers import Heard, changeover

PLAIN = 'path = "engine"  # of March'


def heard_by(made: Changeover) -> Heard:
    return cast("Heard", made._recorder)


def based_on(made: Changeover) -> dict[str, str]:
    active = made.configuration
    return {"configuration": active.checksum, "recipe": active.recipe_checksum}


def limit(made: Changeover, value: float, *, more: str = "", **differs: Any) -> SettingsFile:
    """station.toml with another reject limit."""
    text = made.configuration.path.read_text() + f"[decision]\nreject_score = {value}\n{more}"
    request = {"kind": "configuration", "text": text, "based_on": based_on(made), "why": "new lamp", **differs}
    return SettingsFile.of(request)


def test_taken_up_written_and_on_record_by_value(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    made.configuration.path.chmod(0o640)
    before = made.configuration.checksum
    file = limit(made, 0.6)
    made.save_settings(file, "operator anna")
    assert made.configuration.settings.decision.reject_score == 0.6
    assert made.configuration.path.read_text() == file.text
    assert stat.S_IMODE(made.configuration.path.stat().st_mode) == 0o640
    assert made.configuration.checksum == hashlib.sha256(file.text.encode()).hexdigest() == file.checksum
    assert config.load(made.configuration.path).settings == made.configuration.settings
    (entry,) = heard_by(made).said(AuditEntry)
    assert entry == AuditEntry(
        "operator anna",
        "settings",
        before[:8],
        file.checksum[:8],
        "done",
        "new lamp: [decision] reject_score: null -> 0.6",
    )


def test_a_recipe_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "work").mkdir()
    recipe = tmp_path / "recipes" / "flange.toml"
    recipe.write_text("number = 1\n")
    made = changeover(tmp_path, Heard(), f'{PLAIN}\n[recipe]\nactive = "flange"')
    text = "number = 1\n[decision]\nreject_score = 0.7\n"
    made.save_settings(SettingsFile("recipe", text, based_on(made), "why"), "anna")
    assert recipe.read_text() == text
    assert made.configuration.settings.decision.reject_score == 0.7
    with pytest.raises(ChangeRefused, match="set-up cannot change recipe"):
        made.save_settings(SettingsFile("recipe", "number = 2\n", based_on(made), "why"), "anna")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("reject_limit = 1\n", r"line \d+: \[decision\] reject_limit: unknown key"),
        ("review_score = 0.9\n", "review_score 0.9 is above reject_score 0.6"),
        ("[engine]\nthreads = 2\n", "is not valid TOML"),
        ('[access]\nmaintain = ["everybody"]\n', "set-up cannot change access.maintain"),
        ("[plc]\nport = 1503\n", "set-up cannot change plc.port"),
        ("[hmi]\nopen_live = false\n", "set-up cannot change hmi.open_live"),
        ("[[decision.zones]]\nname = 'bow'\npolygon = [[0.0,0.0],[1.0,1.0],[1.0,0.0],[0.0,1.0]]\n", "crosses itself"),
    ],
)
def test_what_is_wrong_or_not_for_set_up_is_refused(tmp_path: Path, more: str, why: str) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    before = made.configuration
    text = before.path.read_bytes()
    with pytest.raises(ChangeRefused, match=why):
        made.save_settings(limit(made, 0.6, more=more), "anna")
    assert (made.configuration, before.path.read_bytes()) == (before, text)
    heard_by(made).refusal()


def test_another_engine_is_no_matter_of_set_up(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    text = made.configuration.path.read_text().replace('"engine"', '"other"')
    with pytest.raises(ChangeRefused, match=r"set-up cannot change engine\.path"):
        made.save_settings(SettingsFile("configuration", text, based_on(made), "why"), "anna")


def test_who_comes_second_is_refused(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    first, second = limit(made, 0.6), limit(made, 0.7)
    made.save_settings(first, "anna")
    with pytest.raises(ChangeRefused, match="somebody has changed the settings since this was begun"):
        made.save_settings(second, "ben")
    assert made.configuration.settings.decision.reject_score == 0.6


def test_a_file_that_was_edited_by_hand_is_not_written_over(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    file = limit(made, 0.6)
    by_hand = made.configuration.path.read_text() + "# by hand\n"
    made.configuration.path.write_text(by_hand)
    with pytest.raises(ChangeRefused, match="was edited and not taken up: station reload"):
        made.save_settings(file, "anna")
    assert made.configuration.path.read_text() == by_hand


def test_a_change_that_fails_at_its_last_step_is_put_back(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    before = made.configuration.path.read_bytes()
    heard_by(made).broken = EngineError("no memory left")
    with pytest.raises(ChangeRefused, match="no memory left"):
        made.save_settings(limit(made, 0.6), "anna")
    assert made.configuration.path.read_bytes() == before
    assert made.configuration.settings.decision.reject_score is None


def test_a_file_that_cannot_be_written_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "replace_file", refuses)
    made = changeover(tmp_path, Heard(), PLAIN)
    with pytest.raises(ChangeRefused, match=r"cannot be written by the station \(Permission denied\)"):
        made.save_settings(limit(made, 0.6), "anna")
    assert made.configuration.settings.decision.reject_score is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "station.toml"
    path.write_text("old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["station.toml"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "engine"}, "kind = 'engine': configuration or recipe"),
        ({"text": None}, "text is missing"),
        ({"based_on": {"configuration": "x"}}, "based_on is missing"),
        ({"based_on": "x"}, "based_on is missing"),
        ({"why": " "}, "why is missing"),
        ({"why": "a\nb"}, "why is missing"),
        ({"why": "x" * 201}, "why is missing"),
    ],
)
def test_a_request_without_what_it_needs_is_refused(wrong: dict[str, Any], why: str) -> None:
    asked: dict[str, Any] = {"kind": "configuration", "text": "", "based_on": {"configuration": "", "recipe": ""}}
    with pytest.raises(ControlError, match=why):
        SettingsFile.of({**asked, "why": "because", **wrong})


def test_there_is_no_recipe_to_change(tmp_path: Path) -> None:
    made = changeover(tmp_path, Heard(), PLAIN)
    with pytest.raises(ChangeRefused, match="there is no recipe"):
        made.save_settings(SettingsFile("recipe", "", based_on(made), "why"), "anna")
