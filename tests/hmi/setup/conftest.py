"""A real station with its pages in a process of their own, for the tests of set-up that only look or put back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bench.bench import Bench
from tests.bench.pages_process import PagesProcess


@dataclass(frozen=True)
class Stand:
    """The station and its pages."""

    bench: Bench
    pages: PagesProcess


@pytest.fixture(scope="module")
def one_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    slow: dict[str, Any] = {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000}  # on a busy machine
    with Bench(tmp_path_factory.mktemp("station"), records__pass_image_share=1.0, **slow) as bench:
        pages = PagesProcess(bench.config_path)
        try:
            yield Stand(bench, pages)
        finally:
            pages.end()


@pytest.fixture
def stand(one_stand: Stand) -> Stand:
    one_stand.bench.reset()
    return one_stand
