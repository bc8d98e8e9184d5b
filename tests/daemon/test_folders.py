"""What the daemon does with its folders before anything else: one station in a work folder, open parts in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.daemon.daemon import _take_folders
from station.line.ejection.belt_memory import BeltMemory
from station.line.recording.journal import Journal, JournalError
from station.results import Verdict
from tests.bench.sample_parts import new_part


def configuration(folder: Path, runtime_dir: str = "run") -> LoadedConfiguration:
    file = folder / "station.toml"
    file.write_text(f'[cameras.top]\nproducer = "simtl"\n[station]\nruntime_dir = "{runtime_dir}"\n')
    return config.load(file)


def test_work_folder_is_for_one_station_even_with_another_runtime_folder(tmp_path: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        _take_folders(configuration(tmp_path), first)
        with pytest.raises(JournalError, match="another station runs in this work folder"):
            _take_folders(configuration(tmp_path, "elsewhere"), second)
        first.close()
        _take_folders(configuration(tmp_path, "elsewhere"), second)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with ExitStack() as opened, pytest.raises(JournalError, match=r"/file\" cannot be used.*runtime_dir"):
        _take_folders(configuration(tmp_path, "file/run"), opened)


def test_parts_that_an_older_station_left_in_its_work_folder_are_taken_along(tmp_path: Path) -> None:
    loaded = configuration(tmp_path)
    loaded.work_dir.mkdir()
    with Journal(loaded.work_dir / "journal.bin", "old") as journal:
        journal.open_part(new_part(7))
        journal.decide_part(7, Verdict.FAIL, ReasonCode.REGION_AREA)
        with ExitStack() as opened, pytest.raises(JournalError, match="another station"):
            _take_folders(loaded, opened)  # it still runs
    with BeltMemory(loaded.work_dir / "belt.bin") as memory:
        memory.write(3)
    for _ in range(2):
        with ExitStack() as opened:
            _take_folders(loaded, opened)
    assert sorted(path.name for path in loaded.work_dir.iterdir()) == []
    with Journal(loaded.journal_path, "new") as journal, BeltMemory(loaded.belt_path) as memory:
        assert [(left.key, left.decision.verdict) for left in journal.recover()] == [(("old", 7), Verdict.FAIL)]
        assert memory.parts == 3
