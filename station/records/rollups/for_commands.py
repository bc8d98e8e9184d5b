"""What the pages have counted, for a command of the shell: without a log, which only a process that stays has."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from station.records.rollups.taking_in import FILE, as_left, opened, take_in

FOR_A_COMMAND_S = 30.0
"""Some six million parts; what is left then is counted from rows."""


@contextlib.contextmanager
def left_by_pages(folder: Path | None, records: sqlite3.Connection) -> Iterator[sqlite3.Connection | None]:
    """For a command: what the pages have counted in this folder of theirs; None: nothing that can be used.

    Where the folder is that of whoever asks, what is new is taken in first; else it is read as it is, and nothing is
    written: a file of another user would shut the pages out. Raises what the block raises.
    """
    file = None if folder is None else folder / FILE
    if file is None or not file.exists():
        yield None
        return
    if file.stat().st_uid == os.geteuid() and os.access(file.parent, os.W_OK):
        with contextlib.suppress(sqlite3.Error, OSError), opened(file) as rollups:
            take_in(rollups, records, FOR_A_COMMAND_S)
    with as_left(file, records) as rollups:
        yield rollups
