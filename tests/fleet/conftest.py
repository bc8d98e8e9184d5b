"""Two small engines, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.engines.small_engine import write_small_engine
from tests.fleet.plant import Plant


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("engines")
    return tuple(write_small_engine(folder / str(n), width=64, height=64, reject_score=40.0 + n) for n in range(2))


@pytest.fixture
def plant(tmp_path: Path, engines: tuple[Path, ...]) -> Plant:
    return Plant(tmp_path, engines)
