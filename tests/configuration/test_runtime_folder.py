"""Where open parts are kept: in memory, by systemd's choice or in a folder of this user and this station."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from station.configuration import load as config
from station.configuration import runtime_folder as module
from station.configuration.runtime_folder import is_in_memory, make_runtime_folder, runtime_folder

CAMERA = '[cameras.top]\nproducer = "simtl"\n'


def test_by_itself_it_is_in_memory_and_each_work_folder_has_its_own(tmp_path: Path) -> None:
    first, second = (runtime_folder(None, tmp_path / name, {}) for name in ("a", "b"))
    assert first != second
    assert runtime_folder(None, tmp_path / "a", {}) == first
    assert is_in_memory(first)


def test_systemd_and_the_setting_come_first(tmp_path: Path) -> None:
    by_systemd = {"RUNTIME_DIRECTORY": "/run/station:/run/other", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert runtime_folder(None, tmp_path, by_systemd) == Path("/run/station")
    assert runtime_folder(tmp_path / "chosen", tmp_path, by_systemd) == tmp_path / "chosen"


def test_without_shared_memory_it_is_the_users_or_the_work_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path / "none")
    of_user = runtime_folder(None, tmp_path, {"XDG_RUNTIME_DIR": str(tmp_path / "user")})
    assert of_user.parent == tmp_path / "user" / "station"
    assert runtime_folder(None, tmp_path, {}) == tmp_path


def test_folder_is_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARED_MEMORY", tmp_path)
    folder = runtime_folder(None, tmp_path / "work", {})
    make_runtime_folder(folder)
    make_runtime_folder(folder)
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o700}
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        make_runtime_folder(folder)


def test_journal_and_belt_memory_of_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(CAMERA)
    loaded = config.load(file)
    assert not loaded.journal_path.is_relative_to(tmp_path)
    assert loaded.journal_path.parent == loaded.belt_path.parent == loaded.runtime_dir
    file.write_text(CAMERA + '[station]\nruntime_dir = "run"\n')
    assert config.load(file).journal_path == tmp_path / "run" / "journal.bin"
