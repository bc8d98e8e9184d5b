"""One server for all tests of a process; each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.postgres import PostgresServer, postgres
from tests.northbound.postgres.station import Station


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture
def station(server: PostgresServer, tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path, server, server.new_database())
    yield station
    station.close()
