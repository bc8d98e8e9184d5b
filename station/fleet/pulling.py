"""Pulls the newest engine of a product from its channel into the store, as a candidate. Never activates.

    channel.json, signature ──checked──► sequence kept ──► archive into a temporary file ──checked──► store

The running engine is nobody's business here: whatever fails, it goes on.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engines.bundle.archive import open_archive
from engines.bundle.reading import read_manifest
from engines.errors import EngineError, SignatureError
from engines.signatures.minisign import MAX_SIGNATURE_BYTES
from engines.signatures.trust import Signer, Trust
from engines.store.signed import beside
from engines.store.store import EngineStore
from engines.store.versions import ID_DIGITS
from station.fleet.channel import (
    FILE,
    MAX_BYTES,
    SIGNATURE,
    Channel,
    ChannelError,
    check_usable,
    is_expired,
    parse_channel,
)
from station.fleet.seen import Seen, file_of, read_seen, write_seen
from station.fleet.sources import Absent, Source

TRIES, PAUSE_S = 3, 0.5
"""A channel that is exchanged between the reads of its two files does not fit together for a moment."""
_TEMPORARY = ".incoming-"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull has found."""

    outcome: Literal["imported", "there already"]
    channel: Channel
    version: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Place:
    """What is pulled from where to where."""

    source: Source
    store: EngineStore
    trust: Trust
    work_dir: Path
    most_bytes: int


def pull(place: Place, now: Callable[[], float] = time.time) -> Pulled:
    """One look at the channel; what came of it is kept for `station check`.

    Raises ChannelError, EngineError: nothing was imported.
    """
    file = file_of(place.work_dir, place.store.path.name)
    try:
        pulled = _pull(place, file, now())
    except (ChannelError, EngineError) as problem:
        write_seen(file, replace(read_seen(file), problem=str(problem)))
        raise
    write_seen(file, replace(read_seen(file), pulled_at=now(), problem=""))
    return pulled


def _pull(place: Place, file: Path, now: float) -> Pulled:
    seen, product = read_seen(file), place.store.path.name
    where = f"channel {place.source.where}/{FILE}"
    content, signer = _genuine(place, where)
    channel = parse_channel(content, where)
    check_usable(channel, product, seen.sequence, where)
    digest = hashlib.sha256(content).hexdigest()
    if channel.sequence == seen.sequence and digest != seen.digest:
        raise ChannelError(
            f"{where} has sequence {channel.sequence} as one that this station has seen, and says something else: two "
            f"publish with one key; publish again with --sequence {seen.sequence + 1}"
        )
    write_seen(file, Seen(channel.sequence, digest, channel.engine_id, channel.expires, seen.pulled_at, seen.problem))
    if is_expired(channel, now):
        raise ChannelError(
            f"{where} expired on {channel.expires}: nobody has published since, or somebody withholds what is newer. "
            "The engine that runs goes on; whoever publishes: station fleet publish"
        )
    for version in place.store.versions():
        if version.id_start == channel.engine_id[:ID_DIGITS]:
            return Pulled("there already", channel, version.name, signer)
    if channel.size > place.most_bytes:
        raise ChannelError(
            f"{where}: its archive has {channel.size} bytes, at most {place.most_bytes} are allowed; [channel] max_mb"
        )
    with _downloaded(place, channel) as archive:
        _check_engine(archive, channel, where)
        why = f"channel sequence {channel.sequence}, by key {signer.key_id}"
        version = place.store.import_archive(archive, why=why, sha256=channel.sha256, pictures=False)
    return Pulled("imported", channel, version.name, signer)


def _genuine(place: Place, where: str) -> tuple[bytes, Signer]:
    """The content of the channel, and who has signed it. Raises ChannelError, SignatureError."""
    for tried in range(TRIES):
        signature, content = _small(place.source, SIGNATURE, MAX_SIGNATURE_BYTES), _small(place.source, FILE, MAX_BYTES)
        if content is None:
            raise ChannelError(f"{where} is not there; whoever publishes: station fleet publish")
        if signature is None:
            raise ChannelError(f"{where} has no signature ({SIGNATURE}); nothing of it is believed")
        try:
            required = replace(place.trust, required="import")
            signer = required.signer(signature, hashlib.blake2b(content).digest(), SIGNATURE, where)
        except SignatureError:
            if tried == TRIES - 1:
                raise
            time.sleep(PAUSE_S)
            continue
        assert signer is not None  # one is required
        return content, signer
    raise AssertionError("the last try returns or raises")


def _small(source: Source, name: str, most: int) -> bytes | None:
    """None: there is none."""
    content = io.BytesIO()
    try:
        source.copy(name, content, most)
    except Absent:
        return None
    return content.getvalue()


@contextmanager
def _downloaded(place: Place, channel: Channel) -> Iterator[Path]:
    """The archive, checked, with its signature beside it if it has one, until the end of the block."""
    folder = file_of(place.work_dir, "x").parent
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for left in folder.glob(f"{_TEMPORARY}*"):  # of a pull that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=folder) as incoming:
            archive = Path(incoming) / channel.archive
            with archive.open("wb") as stream:
                place.source.copy(channel.archive, stream, channel.size)
            _check_hash(archive, channel)
            signature = _small(place.source, beside(archive).name, MAX_SIGNATURE_BYTES)
            if signature is not None:
                beside(archive).write_bytes(signature)
            yield archive
    except OSError as problem:
        raise ChannelError(f'"{folder}": the engine cannot be stored: {problem.strerror or problem}') from problem


def _check_hash(archive: Path, channel: Channel) -> None:
    with archive.open("rb") as stream:
        found = hashlib.sha256()
        while piece := stream.read(1 << 20):
            found.update(piece)
    if found.hexdigest() != channel.sha256:
        raise ChannelError(
            f"{channel.archive} has the sha256 {found.hexdigest()}, the channel says {channel.sha256}: it was changed "
            "on the way, or cut off; publish it again"
        )


def _check_engine(archive: Path, channel: Channel, where: str) -> None:
    """What the channel names is what the archive holds. Raises ChannelError, BundleError."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder, open_archive(archive) as opened:
        opened.unpack(Path(folder))
        found = read_manifest(Path(folder)).engine_id
    if found != channel.engine_id:
        raise ChannelError(
            f"{where} names engine {channel.engine_id[:ID_DIGITS]}, its archive holds {found[:ID_DIGITS]}; publish "
            "again"
        )
