"""Rollups of a process that counts often: brought up to date by whoever counts, and from time to time by itself."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import structlog

from station.records.rollups.counting import spans_of
from station.records.rollups.taking_in import FILE, opened, take_in
from station.records.schema import RecordingError, open_reader
from station.records.selection import Selection, Span

AT_ONCE_S = 0.1
"""What somebody who waits for a count spends on what is new: some 20,000 parts, an hour of a fast line."""
FOLLOW_S = 1.0

SpansOf: TypeAlias = Callable[[bool, float | None, int], list[Span] | None]
"""Takes whether newer ones are wanted, beyond which time, and how many parts."""

log = structlog.get_logger()


class Rollups:
    """Owns the file of rollups in a folder of the process. Called on any thread; one at a time takes in."""

    def __init__(self, records: Path, folder: Path) -> None:
        """`records`: the folder of the records. Nothing is opened yet."""
        self._records = records
        self._file = folder / FILE
        self._lock = threading.Lock()
        self._trouble = ""

    def follow(self) -> bool:
        """Takes in what is new, for about a second; whether nothing is left, or nothing can be done now."""
        try:
            with closing(open_reader(self._records)) as records, self._lock, opened(self._file) as rollups:
                return take_in(rollups, records, FOLLOW_S)
        except RecordingError:
            return True  # no station has run here yet; whoever looks at the records reads why
        except (sqlite3.Error, OSError) as problem:
            self._note(str(problem))
            return True

    @contextlib.contextmanager
    def up_to_date(self, records: sqlite3.Connection) -> Iterator[sqlite3.Connection | None]:
        """The rollups of these records; None while there is too much that they do not hold yet, or no place for them.

        Raises what the block raises.
        """
        with contextlib.ExitStack() as open_ones:
            yield self._whole(records, open_ones)

    def _whole(self, records: sqlite3.Connection, open_ones: contextlib.ExitStack) -> sqlite3.Connection | None:
        try:
            rollups = open_ones.enter_context(opened(self._file))
            with self._lock:
                return rollups if take_in(rollups, records, AT_ONCE_S) else None
        except (sqlite3.Error, OSError) as problem:
            self._note(str(problem))
            return None

    def _note(self, problem: str) -> None:
        if problem != self._trouble:
            log.warning("parts are counted from their rows, the rollups cannot be used", problem=problem)
        self._trouble = problem


def known(
    rollups: Rollups | None, records: sqlite3.Connection
) -> contextlib.AbstractContextManager[sqlite3.Connection | None]:
    """What these rollups hold of the records; None: nothing, or not all of it."""
    return contextlib.nullcontext() if rollups is None else rollups.up_to_date(records)


@contextlib.contextmanager
def spans_in(rollups: Rollups | None, records: sqlite3.Connection, selection: Selection) -> Iterator[SpansOf]:
    """The times in which parts of the selection were seen, where no index knows all that it asks for: one is of
    verdicts, one of recipes and one of reasons.
    """
    several = (selection.reason, selection.recipe, selection.batch, selection.verdicts or None)
    by_one = selection.engine is None and sum(one is not None for one in several) <= 1
    if selection.part_id is not None or by_one:
        yield lambda _newer, _beyond, _at_least: None
        return
    with known(rollups, records) as kept:
        if kept is None:
            yield lambda _newer, _beyond, _at_least: None
        else:
            yield lambda newer, beyond, at_least: spans_of(
                kept, selection, newer=newer, beyond=beyond, at_least=at_least
            )
