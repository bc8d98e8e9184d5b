"""Which changes fit between two parts, and what an engine that follows another leaves with the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.codes import OfflineReason
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.daemon.candidate import memory
from station.daemon.candidate.between_parts import why_not_between_parts
from tests.bench.engines.small_engine import write_small_engine

STATION = '[cameras.top]\nproducer = "simtl"\nexposure_time_us = {exposure}\n[engine]\npath = "engine"\n'
ENGINE = OfflineReason.CHANGING_ENGINE


def loaded(folder: Path, more: str = "", exposure: float = 500.0) -> LoadedConfiguration:
    path = folder / "station.toml"
    path.write_text(STATION.format(exposure=exposure) + more)
    if not (folder / "engine").exists():
        write_small_engine(folder / "engine", width=64, height=64)
    return config.load(path)


def test_another_engine_or_limit_fits(tmp_path: Path) -> None:
    old = loaded(tmp_path)
    assert why_not_between_parts(old, old, ENGINE, "abc") == ""
    assert why_not_between_parts(old, loaded(tmp_path, "[decision]\nreject_score = 0.7\n"), ENGINE, "abc") == ""


def test_what_needs_an_empty_line(tmp_path: Path) -> None:
    old = loaded(tmp_path)
    assert "no engine" in why_not_between_parts(old, old, ENGINE, "")
    assert "recipe" in why_not_between_parts(old, old, OfflineReason.CHANGING_RECIPE, "abc")
    assert "recipe" in why_not_between_parts(old, loaded(tmp_path, '[recipe]\nname = "x"\n'), ENGINE, "abc")
    assert "camera features" in why_not_between_parts(old, loaded(tmp_path, exposure=600.0), ENGINE, "abc")


def test_without_memory_for_two_the_line_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = loaded(tmp_path)
    monkeypatch.setattr(memory, "free_mb", lambda: 100.0)
    said = why_not_between_parts(old, old, ENGINE, "abc")
    assert said.startswith("two engines do not fit into memory: 100 MB are free, 25")
    monkeypatch.setattr(memory, "free_mb", lambda: None)
    assert why_not_between_parts(old, old, ENGINE, "abc") == ""
