"""Files that several users of this computer share: labels and studies, cursors of the plant process.

Where the pages have a user of their own (`station-hmi.service`), a folder `labels` in the work folder belongs to him
and to his group, of which the station's user is a member; the same is `plant` of the plant process. Without such a
user they are of one user. Who may enter the work folder may read these files: they hold no secrets.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from pathlib import Path

FOLDER = "labels"
MODE, MODE_OF_GROUP = 0o640, 0o660


def file_beside(records: Path, name: str) -> Path:
    """Where the file lies, in the folder beside that of the records if there is one. `records`: their folder."""
    shared = records.parent / FOLDER
    return (shared if shared.is_dir() else records.parent) / name


def mode_in(folder: Path) -> int:
    """Of a new file in this folder: the group writes it where the group owns the folder, too, and who may pass through
    the folder reads it.
    """
    shared, mode = stat.S_ISGID | stat.S_IWGRP, folder.stat().st_mode
    if mode & shared != shared:
        return MODE
    return MODE_OF_GROUP | (stat.S_IROTH if mode & stat.S_IXOTH else 0)


def made(file: Path) -> None:
    """The file is there, with the mode of its folder as far as it is one's own. Raises OSError.

    Files beside it (`-wal`, `-shm`) get the mode of a database from SQLite.
    """
    if file.is_symlink():  # whoever may write the folder must not choose what another user opens
        raise OSError(errno.ELOOP, "it is a link to elsewhere: put the file itself there", str(file))
    mode = mode_in(file.parent)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, mode))
    found = file.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 != mode:
        file.chmod(mode)  # whatever the umask was, and of an installation where there was one user


def reading(file: Path, timeout_s: float) -> tuple[sqlite3.Connection, int]:
    """A read-only connection to a database with a write-ahead log, and the version of its schema.

    Also without permission to write beside it, and on a read-only medium, where SQLite cannot make its shared memory.
    Raises sqlite3.Error.
    """
    try:
        return connected(file, "mode=ro", timeout_s)
    except sqlite3.OperationalError:
        if not file.is_file() or os.access(file.parent, os.W_OK) or has_content(file.with_name(file.name + "-wal")):
            raise
        return connected(file, "immutable=1", timeout_s)  # nobody writes: its write-ahead log is empty


def connected(file: Path, how: str, timeout_s: float) -> tuple[sqlite3.Connection, int]:
    """A connection and the schema version of the file. `how`: parameter of the URI. Raises sqlite3.Error."""
    if file.exists() and not file.is_file():  # a pipe in its place would hold up whoever opens it
        raise sqlite3.OperationalError(f'"{file}" is no file')
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=timeout_s)
    try:
        connection.row_factory = sqlite3.Row
        return connection, int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        connection.close()
        raise


def has_content(file: Path) -> bool:
    """It is there and not empty."""
    return file.exists() and file.stat().st_size > 0
