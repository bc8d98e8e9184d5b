"""The client of others, and a station that it may do everything to; a file with another one has its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.northbound.opcua.client import packages
from tests.northbound.opcua.system import Bench, bench


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages(tmp_path_factory)


@pytest.fixture(scope="module")
def station(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("station")) as opened:
        yield opened
