"""A backup: a compressed tar file whose last member lists every other one with its SHA-256.

The station goes on meanwhile. Databases are copied in one read transaction, so a row is whole or not there; an image
that the disk budget deletes under way is left out and counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from station import __version__
from station.backup.contents import Contents, contents
from station.configuration.load import LoadedConfiguration
from station.labels import schema as labels
from station.records import schema as records

LIST = "backup.json"
FORMAT = 1
_PAGES = 2048


class BackupError(Exception):
    """The backup cannot be made or used; says why and what to do."""


@dataclass(frozen=True)
class Listing:
    """The last member: what the file holds."""

    format: int
    station: str
    software: str
    made: float
    """Seconds since the epoch."""
    records_schema: int
    labels_schema: int
    files: dict[str, str]
    """Name -> SHA-256, hexadecimal."""
    links: dict[str, str]
    gone: int
    """Files that were deleted while the backup was made."""


def make(
    station: LoadedConfiguration, output: Path, *, images: bool, on_progress: Callable[[int, int], None]
) -> Listing:
    """Writes a backup to `output`, whole or not at all. `on_progress`: bytes done, bytes in all.

    Raises:
        BackupError: there is no room, `output` is there already, or something cannot be read.
    """
    if output.exists():
        raise BackupError(f"{output} is there already; name another file, or move it away")
    found = contents(station, images=images)
    try:
        total = found.size_bytes
        free = shutil.disk_usage(output.absolute().parent).free
        databases = sum(path.stat().st_size for path in found.databases.values())
        if free < total + databases:
            raise BackupError(
                f"{output}: {free / 1e6:.0f} MB are free there, up to {(total + databases) / 1e6:.0f} MB are needed; "
                "make room, name another disk, or leave the images out"
            )
        with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=".backup-") as folder:
            unfinished = Path(folder) / output.name
            listing = _write(station, found, unfinished, Path(folder), lambda done: on_progress(done, total))
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.rename(output)
    except (OSError, sqlite3.Error) as problem:
        raise BackupError(f"{output}: the backup was not made: {problem}") from problem
    return listing


def _write(
    station: LoadedConfiguration, found: Contents, path: Path, folder: Path, on_bytes: Callable[[int], None]
) -> Listing:
    done = 0
    hashes: dict[str, str] = {}
    gone = 0
    with path.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive:
        os.fchmod(raw.fileno(), 0o640)
        for name, database in found.databases.items():
            copy = folder / "copy.db"
            _copy(database, copy)
            hashes[name] = _add(archive, name, copy)
            copy.unlink()
            done += database.stat().st_size
            on_bytes(done)
        for name, file in found.files.items():
            try:
                hashes[name] = _add(archive, name, file)
                done += file.stat().st_size
            except FileNotFoundError:
                gone += 1
                hashes.pop(name, None)
            on_bytes(done)
        listing = Listing(
            FORMAT,
            station.settings.station.name,
            __version__,
            time.time(),
            records.SCHEMA_VERSION,
            labels.SCHEMA_VERSION,
            hashes,
            found.links,
            gone,
        )
        content = json.dumps(asdict(listing), indent=1).encode()
        _member(archive, LIST, len(content), io.BytesIO(content))
    return listing


def _copy(database: Path, copy: Path) -> None:
    """As it is at one moment, also while another process writes."""
    with (
        contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the moment
        source.backup(target, pages=_PAGES)
        target.execute("PRAGMA journal_mode = DELETE")


def _add(archive: tarfile.TarFile, name: str, file: Path) -> str:
    """Adds a file as it is when it is opened; its SHA-256."""
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        reader = _Hashing(stream)
        _member(archive, name, size, reader)
    return reader.digest.hexdigest()


def _member(archive: tarfile.TarFile, name: str, size: int, stream: io.BufferedIOBase | _Hashing) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o640, int(time.time())
    archive.addfile(info, stream)  # type: ignore[arg-type]  # it reads, and nothing else


class _Hashing:
    """What is read through it, is hashed."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data
