"""Publishes an engine: its archive into a folder, and a channel beside it that names it. Both signed with one key."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from engines.bundle.archive import engine_digests, open_archive
from engines.bundle.files import sync_directory, write_synced
from engines.signatures.minisign import SecretKey, signature_file
from engines.store.signed import beside, comment
from engines.store.store import EngineStore, manifest_of
from engines.store.versions import Version
from station.fleet.channel import FILE, MAX_SEQUENCE, SIGNATURE, Channel, ChannelError, iso, parse_channel

DAY_S = 86_400


def publish(
    store: EngineStore, version: Version, folder: Path, key: SecretKey, *, now: float, days: int, sequence: int | None
) -> Channel:
    """Writes archive, signature and channel into `folder`, which may be served as it is.

    `sequence`: None: one more than that of the channel that lies there. Raises ChannelError, EngineError.
    """
    product = store.path.name
    before = _before(folder)
    if before is not None and before.product != product:
        raise ChannelError(
            f'"{folder}" has the channel of product "{before.product}", not of "{product}"; give each product a folder'
        )
    chosen = sequence or (1 if before is None else before.sequence + 1)
    if before is not None and chosen <= before.sequence:
        raise ChannelError(
            f'--sequence {chosen}: "{folder}" has {before.sequence} already, and stations refuse what is not higher'
        )
    if chosen > MAX_SEQUENCE:
        raise ChannelError(f"sequence {chosen}; allowed: up to {MAX_SEQUENCE}")
    manifest = manifest_of(version)
    archive = folder / f"{product}-{version.name}.tar"
    sha256 = _archived(store, version, archive, key)
    channel = Channel(
        product, manifest.engine_id, chosen, iso(now), iso(now + days * DAY_S), archive.name, sha256,
        archive.stat().st_size,
    )  # fmt: skip
    content = channel.as_bytes()
    said = f"timestamp:{int(now)}\tfile:{FILE}\thashed\tsequence:{chosen}"
    signature = signature_file(key, hashlib.blake2b(content).digest(), said)
    _write(folder, {SIGNATURE: signature, FILE: content})
    return channel


def _before(folder: Path) -> Channel | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return parse_channel((folder / FILE).read_bytes(), f'"{folder / FILE}"')
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ChannelError(f'"{folder}" cannot be used: {problem.strerror or problem}') from problem


def _archived(store: EngineStore, version: Version, archive: Path, key: SecretKey) -> str:
    """Its SHA-256. One that lies there already must be the same engine: the same gives the same bytes."""
    if archive.exists():
        with open_archive(archive) as opened:
            there = opened.digests()
        engine_id, wanted = engine_digests(version.path)
        if there != wanted:
            raise ChannelError(f'"{archive}" lies there already, and is not engine {version.name}; remove it')
        _write(
            archive.parent,
            {beside(archive).name: signature_file(key, wanted.blake2b, comment(archive.name, engine_id))},
        )
        return wanted.sha256
    if beside(archive).exists():  # of a publishing that was ended between the two
        beside(archive).unlink()
    return store.export(version, archive, sign=key).sha256


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Each whole or not at all; readers of the two at a wrong moment look again."""
    try:
        for name, content in files.items():
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            os.close(descriptor)
            path = Path(temporary)
            try:
                write_synced(path, content)
                path.chmod(0o644)
                path.replace(folder / name)
            finally:
                path.unlink(missing_ok=True)
        sync_directory(folder)
    except OSError as problem:
        raise ChannelError(f'"{folder}" cannot be written: {problem.strerror or problem}') from problem
