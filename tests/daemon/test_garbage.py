"""Python stops every thread while it looks through all objects for cycles: not while the line runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from station.daemon.supervisor import GARBAGE_S, PUT_OFF_S, Garbage


@pytest.fixture
def looked_through() -> Iterator[list[int]]:
    """Grows by one whenever Python looks through all objects; afterwards its collector is as it was."""
    before, seen = gc.get_threshold(), []

    def noted(phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(1)

    garbage = Garbage()
    gc.callbacks.append(noted)
    seen.append(0)
    try:
        yield seen
    finally:
        del garbage
        gc.callbacks.remove(noted)
        gc.set_threshold(*before)
        gc.unfreeze()


def test_rows_that_wait_for_a_disk_do_not_stop_every_thread(looked_through: list[int]) -> None:
    rows = [[number] for number in range(400_000)]  # by itself Python looks through all of them, more than once
    assert looked_through == [0]
    assert len(rows) == 400_000


def test_it_is_done_now_and_then_while_few_rows_wait(looked_through: list[int]) -> None:
    garbage = Garbage()
    looked_through[:] = [0]
    now_s = time.monotonic()
    garbage.turn(0, now_s)
    garbage.turn(1000, now_s + 2 * GARBAGE_S)
    assert looked_through == [0]
    garbage.turn(3, now_s + 2 * GARBAGE_S)
    garbage.turn(3, now_s + 2 * GARBAGE_S)
    assert looked_through == [0, 1]
    garbage.turn(1000, now_s + 3 * GARBAGE_S + PUT_OFF_S)
    assert looked_through == [0, 1, 1], "a disk that is always too slow"


def test_what_was_imported_is_not_looked_at_again(looked_through: list[int]) -> None:
    assert gc.get_freeze_count() > 10_000
    assert looked_through == [0]
