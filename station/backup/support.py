"""A support bundle: what somebody else needs to find out what went wrong. No images unless asked, and no secrets.

Whatever cannot be had (a station that does not run, a log that may not be read, a file that is no TOML) is named with
its reason. Everything is JSON, or text whose control characters are spelled out: no terminal obeys what others wrote.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from engines.cores import usable_cores
from engines.store.store import HISTORY_FILE
from station import __version__
from station.backup.making import BackupError
from station.configuration import recipes
from station.configuration.file import CONTROL_SOCKET, ConfigurationError, read_toml, work_dir_of
from station.configuration.load import RECORDS, load_station
from station.control import ControlError, request
from station.records.schema import SCHEMA_VERSION, RecordingError, open_reader
from station.terminal import plain

MOST_ROWS = 100_000
"""Of each table, the newest; an hour of 20 parts/s is 72,000."""
MOST_LOG_LINES = 100_000
MOST_IMAGE_BYTES = 500_000_000
LOG_TIMEOUT_S = 60.0
REMOVED = "(removed)"
SHORTEST_SECRET = 4
"""Shorter ones are removed where they stand only, not wherever the same characters stand again."""
_SECRET = r"[\w-]*(?:password|passwd|passphrase|secret|token|api_?key|private_?key|credential)[\w-]*"
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_SECRET_LINE = re.compile(rf"(?im)^(.*?\b{_SECRET}[\"']?[ \t]*[=:][ \t]*).*$")
_IN_AN_ADDRESS = re.compile(r"(\w+://)[^/\s\"'@]+@")
"""Name and password in front of a host."""
_UNOBTAINABLE = (OSError, ControlError, ConfigurationError, RecordingError, sqlite3.Error, subprocess.SubprocessError)
_TABLES = ("parts", "views", "events", "audit", "ejections")


@dataclass
class Bundle:
    """What went in, with sizes, and what could not be had, with the reason."""

    made: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """Where the station of a bundle lies, whatever state its configuration is in: a mistake may be why one is made."""

    path: Path
    """Of its station.toml."""
    name: str
    work_dir: Path
    engines: Path | None = None
    """The folder of its engine store, with one of each product in it."""
    mistake: str = ""
    """Why the configuration cannot be used; empty: it can."""

    @property
    def records_dir(self) -> Path:
        return self.work_dir / RECORDS


def subject_of(path: Path) -> Subject:
    """Of this station.toml. Raises ConfigurationError: it does not even say where the station lies."""
    try:
        station = load_station(path)
    except ConfigurationError as problem:
        return Subject(path, "station", work_dir_of(path), mistake=str(problem))
    store = station.settings.engine.store
    engines = None if store is None else station.resolve(store)
    return Subject(station.path, station.settings.station.name, station.work_dir, engines)


def make_bundle(station: Subject, output: Path, *, hours: float, images: bool, unit: str) -> Bundle:
    """Writes the bundle to `output`, readable for its owner only, whole or not at all. `unit`: of systemd, for the log.

    Raises:
        BackupError: `output` is there already or cannot be written.
    """
    if output.exists():
        raise BackupError(f"{output} is there already; name another file, or move it away")
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    bundle = Bundle(missing={"configuration": plain(station.mistake)} if station.mistake else {})
    since_s = time.time() - hours * 3600
    try:
        with unfinished.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            os.fchmod(raw.fileno(), 0o600)
            for name, content in _pieces(station, bundle, since_s, unit):
                _add(archive, bundle, name, content.encode("utf-8", "backslashreplace"))
            if images:
                _images(station, archive, bundle, since_s)
            listing = {"station": station.name, "hours": hours, "missing": bundle.missing}
            _add(archive, bundle, "bundle.json", _json({**listing, "files": bundle.made}).encode())
        unfinished.rename(output)
    except OSError as problem:
        raise BackupError(f"{output}: the bundle was not made: {problem.strerror or problem}") from problem
    finally:
        unfinished.unlink(missing_ok=True)
    return bundle


def _pieces(station: Subject, bundle: Bundle, since_s: float, unit: str) -> Iterator[tuple[str, str]]:
    """Name and text of each file, in which what fails leaves a reason and nothing else out."""

    def piece(name: str, make: Callable[[], str]) -> Iterator[tuple[str, str]]:
        try:
            yield name, make()
        except _UNOBTAINABLE as problem:
            bundle.missing[name] = plain(problem)

    yield from piece("versions.json", lambda: _json(versions()))
    yield from piece("status.json", lambda: _json(request(station.work_dir / CONTROL_SOCKET, {"command": "status"})))
    folder = recipes.folder_of(station.path)
    for path in [station.path, *(sorted(folder.glob("*.toml")) if folder.is_dir() else [])]:
        name = path.name if path == station.path else f"recipes/{path.name}"
        yield from piece(f"configuration/{plain(name)}", partial(without_secrets, path))
    for table in _TABLES:
        yield from piece(f"records/{table}.jsonl", partial(_rows, station, table, since_s))
    for history in [] if station.engines is None else sorted(station.engines.glob(f"*/{HISTORY_FILE}")):
        name = f"engines/{plain(history.parent.name)}/{HISTORY_FILE}"
        yield from piece(name, partial(_text_of, history))
    yield from piece("log.txt", lambda: _log(unit, since_s))


def versions() -> dict[str, Any]:
    """Of this software, of what it stands on, and of the computer."""
    packages = {each.metadata["Name"]: each.version for each in metadata.distributions() if each.metadata["Name"]}
    driver = Path("/proc/driver/nvidia/version")
    return {
        "station": __version__,
        "records_schema": SCHEMA_VERSION,
        "python": sys.version,
        "computer": " ".join(os.uname()[::2]),
        "processor": os.uname().machine,
        "cores": usable_cores(),
        "gpu_driver": driver.read_text().splitlines()[0] if driver.exists() else None,
        "packages": dict(sorted(packages.items())),
    }


def without_secrets(path: Path) -> str:
    """A TOML file with what its keys call a secret removed, in comments, too. Raises ConfigurationError: not TOML."""
    raw, data = read_toml(path)
    text = raw.decode("utf-8-sig", "backslashreplace")
    for secret in sorted(
        _secrets(data), key=len, reverse=True
    ):  # also where it goes over several lines, or stands again
        text = text.replace(secret, REMOVED)
    text = _SECRET_LINE.sub(rf"\g<1>{REMOVED}", text)
    return plain(_IN_AN_ADDRESS.sub(rf"\g<1>{REMOVED}@", text))


def _secrets(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, is_secret=is_secret or _SECRET_NAME.search(key) is not None)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, is_secret=is_secret)
    elif is_secret and isinstance(value, str):
        yield from (line for line in (value, *value.splitlines()) if len(line) >= SHORTEST_SECRET)


def _text_of(file: Path) -> str:
    return plain(file.read_text("utf-8", "backslashreplace"))


def _rows(station: Subject, table: str, since_s: float) -> str:
    """One JSON object a line, oldest first."""
    recent = "part IN (SELECT id FROM parts WHERE wall_time >= ?)" if table == "views" else "wall_time >= ?"
    query = f"SELECT * FROM {table} WHERE {recent} ORDER BY rowid DESC LIMIT {MOST_ROWS}"
    with contextlib.closing(open_reader(station.records_dir)) as records:
        rows = [dict(row) for row in records.execute(query, [since_s])]
    return "".join(json.dumps(row) + "\n" for row in reversed(rows))


def _log(unit: str, since_s: float) -> str:
    """The journal of the unit. Raises OSError, SubprocessError."""
    options = [
        f"--unit={unit}",
        f"--since=@{int(since_s)}",
        f"--lines={MOST_LOG_LINES}",
        "--no-pager",
        "--output=short-iso",
    ]
    done = subprocess.run(  # noqa: PLW1510  its exit code is looked at
        ["journalctl", "--utc", *options], capture_output=True, timeout=LOG_TIMEOUT_S, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise OSError(
            f"journalctl: {done.stderr.decode('utf-8', 'replace').strip()[-500:]}; members of adm may read it"
        )
    return plain(done.stdout.decode("utf-8", "backslashreplace"))


def _images(station: Subject, archive: tarfile.TarFile, bundle: Bundle, since_s: float) -> None:
    query = (
        "SELECT image_path, map_path FROM views JOIN parts ON views.part = parts.id "
        "WHERE parts.wall_time >= ? AND image_path IS NOT NULL ORDER BY views.id DESC"
    )
    try:
        with contextlib.closing(open_reader(station.records_dir)) as records:
            rows = list(records.execute(query, [since_s]))
    except (RecordingError, sqlite3.Error) as problem:
        bundle.missing["images"] = plain(problem)
        return
    room, root = MOST_IMAGE_BYTES, station.records_dir.resolve()
    for name in [name for row in rows for name in tuple(row) if name]:
        path = (root / name).resolve()
        try:
            if not path.is_relative_to(root):
                raise OSError(f"lies outside {root}")
            room -= path.stat().st_size
            if room < 0:
                bundle.missing["images"] = f"only the newest {MOST_IMAGE_BYTES / 1e6:.0f} MB are taken"
                return
            _add(archive, bundle, f"records/{plain(name)}", path.read_bytes())
        except OSError as problem:
            bundle.missing[f"records/{plain(name)}"] = plain(problem)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, default=str) + "\n"


def _add(archive: tarfile.TarFile, bundle: Bundle, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
    archive.addfile(info, io.BytesIO(content))
    bundle.made[name] = len(content)
