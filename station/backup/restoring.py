"""A backup back onto a computer: everything is read and checked beside its place before anything is moved there.

Nothing in the file decides where it goes: names are those of `contents`, links lead to a neighbour, and the paths are
those of the station.toml in the backup, at the place where it is restored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path

from station.access.shared_folder import mode_in
from station.backup.contents import places
from station.backup.making import FORMAT, LIST, BackupError, Listing
from station.configuration.file import ConfigurationError
from station.configuration.load import LoadedConfiguration, load_station
from station.control import ControlError, StationNotRunning, request
from station.labels import schema as labels
from station.records import schema as records

_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.,+=@ -]{1,200}")
"""Of a file or folder in a backup: what the station itself writes."""
MAX_FILES = 5_000_000
MAX_LIST_BYTES = 1 << 30


@dataclass(frozen=True)
class Restored:
    """What came back."""

    listing: Listing
    moved_aside: tuple[Path, ...]
    """What was there before; under this name now."""


def restore(archive: Path, config: Path, *, replace_old: bool, on_progress: Callable[[int, int], None]) -> Restored:
    """Restores a backup so that `config` is its station.toml. `on_progress`: bytes of the file read, bytes in all.

    Raises:
        BackupError: damaged, not a backup, of a newer station, a station runs there, or files are in the way.
    """
    config = config.absolute()
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=config.parent, prefix=".restore-") as folder:
            staged = Path(folder)
            listing = _unpack(archive, staged, on_progress)
            station = _station(staged / "configuration" / "station.toml", config)
            _refuse_running(station)
            moves = _moves(staged, places(station))
            in_the_way = [target for _, target in moves if os.path.lexists(target)]
            if in_the_way and not replace_old:
                names = ", ".join(map(str, in_the_way))
                raise BackupError(f"already there: {names}; with --replace they are moved aside, nothing is deleted")
            _link(staged, listing)
            suffix = f".before-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%z}"
            aside = []
            for target in in_the_way:
                aside.append(target.with_name(target.name + suffix))
                target.rename(aside[-1])
            for source, target in moves:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)  # the store may lie on another disk
                if target.is_file():  # labels that the pages write, too
                    target.chmod(mode_in(target.parent))
    except OSError as problem:
        raise BackupError(f"{archive}: not restored: {problem}") from problem
    return Restored(listing, tuple(aside))


def _unpack(archive: Path, folder: Path, on_progress: Callable[[int, int], None]) -> Listing:
    """All files below `folder`, checked against the list."""
    hashes: dict[str, str] = {}
    content = b""
    try:
        with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:gz") as members:
            total = os.fstat(raw.fileno()).st_size
            for member in members:
                if len(hashes) > MAX_FILES or not member.isreg():
                    raise BackupError(f"{archive}: {member.name!r} is no plain file: this is no backup of a station")
                stream = members.extractfile(member)
                assert stream is not None, "a regular file has content"
                if member.name == LIST:
                    content = stream.read(min(member.size, MAX_LIST_BYTES))
                    continue
                target = folder.joinpath(*_parts(archive, member.name))
                target.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with target.open("xb") as file:
                    while block := stream.read(1 << 20):
                        digest.update(block)
                        file.write(block)
                target.chmod(0o640)
                hashes[member.name] = digest.hexdigest()
                on_progress(os.lseek(raw.fileno(), 0, os.SEEK_CUR), total)
    except (tarfile.TarError, EOFError, zlib.error, FileExistsError) as problem:
        raise BackupError(f"{archive}: not a backup, or cut off: {problem}") from problem
    listing = _listing(archive, content)
    if listing.files != hashes:
        wrong = sorted(name for name in hashes.keys() | listing.files.keys()
                       if hashes.get(name) != listing.files.get(name))  # fmt: skip
        raise BackupError(f"{archive}: {len(wrong)} files are damaged or missing, the first is {wrong[0]!r}")
    return listing


def _listing(archive: Path, content: bytes) -> Listing:
    try:
        data = json.loads(content)
        if data["format"] != FORMAT:
            raise BackupError(f"{archive}: format {data['format']!r}, this station reads {FORMAT}")
        listing = Listing(**{each.name: data[each.name] for each in fields(Listing)})
        texts = [text for pair in (*listing.files.items(), *listing.links.items()) for text in pair]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("names, hashes and links are text")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BackupError(f"{archive}: has no list of its files, so it is no backup or cut off") from problem
    for what, found, known in (
        ("records", listing.records_schema, records.SCHEMA_VERSION),
        ("labels", listing.labels_schema, labels.SCHEMA_VERSION),
    ):
        if not isinstance(found, int) or found > known:
            raise BackupError(
                f"{archive}: made by station {listing.software} with {what} of schema {found}, this one knows up to "
                f"{known}; restore it with that version"
            )
    return listing


def _parts(archive: Path, name: str) -> list[str]:
    parts = name.split("/")
    if len(parts) < 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise BackupError(f"{archive}: {name!r} is no name of a file of a station")
    return parts


def _link(folder: Path, listing: Listing) -> None:
    """The links of the engine store: each names a folder beside it."""
    for name, target in listing.links.items():
        parts = name.split("/")
        if not (all(_NAME.fullmatch(part) for part in parts) and parts[0] == "engines" and _NAME.fullmatch(target)):
            raise BackupError(f"the link {name!r} -> {target!r} in the backup leads out of the engine store")
        link = folder.joinpath(*parts)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _station(staged: Path, config: Path) -> LoadedConfiguration:
    """The configuration of the backup, as it will be at its place."""
    try:
        return replace(load_station(staged), path=config)
    except ConfigurationError as problem:
        raise BackupError(f"the station.toml in the backup cannot be used: {problem}") from problem


def _refuse_running(station: LoadedConfiguration) -> None:
    try:
        request(station.control_socket, {"command": "status"})
    except StationNotRunning:
        return
    except ControlError as problem:
        raise BackupError(f"a station runs in {station.work_dir} and does not answer: {problem}") from problem
    raise BackupError(f"a station runs in {station.work_dir}; stop it first: systemctl stop station")


def _moves(staged: Path, where: dict[str, Path]) -> list[tuple[Path, Path]]:
    moves = [(staged.joinpath(*name.split("/")), target) for name, target in where.items()]
    return [(source, target) for source, target in moves if source.exists()]
