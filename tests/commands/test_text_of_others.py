"""Every command shows what others wrote as text: no value is markup, moves the cursor, or makes the command fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from station.commands.main import COMMANDS
from station.terminal import plain
from tests.commands.fed_commands import FED
from tests.commands.fed_world import IN_FILES, NASTY, SHOWN, World


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("COLUMNS", "1000")
    (tmp_path / "station.toml").write_text(
        '[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n[recipe]\nactive = "flange"\n'
    )
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "flange.toml").write_text(f"number = 1\ndescription = {json.dumps(IN_FILES)}\n")
    return World(tmp_path, capsys)


def test_every_command_is_fed() -> None:
    assert FED.keys() == COMMANDS.keys()


STARTS_A_PROCESS = {"support-bundle"}
"""journalctl."""


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=[pytest.mark.system] if name in STARTS_A_PROCESS else []) for name in FED],
)
def test_text_of_others_is_text(command: str, world: World) -> None:
    FED[command](world)


def test_text_is_kept_where_it_can_be_shown() -> None:
    assert plain("größe 5 µm, 日本 ✓\n\ttwo") == "größe 5 µm, 日本 ✓\n\ttwo"
    assert plain(NASTY) == SHOWN
    assert plain("\r\x00\x9b\ufeff") == "\\r\\x00\\x9b\\ufeff"
