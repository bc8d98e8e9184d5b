"""Pages of a station with a few parts on record; one for all tests of a file that only look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.browser import axe_source
from tests.bench.pages import Client, Pages, serving, some_parts
from tests.hmi.maintenance_pages import Daemon, listening_daemon


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving(tmp_path_factory.mktemp("pages")) as pages:
        pages.record(some_parts())
        yield pages


@pytest.fixture
def client(pages: Pages) -> Client:
    """Nobody has signed in."""
    return pages.client()


@pytest.fixture
def daemon(pages: Pages) -> Iterator[Daemon]:
    """That of these pages: it listens, and does nothing."""
    with listening_daemon(pages.site.station.control_socket) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_source(tmp_path_factory)
