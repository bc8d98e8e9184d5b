"""An engine as a single file, to carry it to another station: a plain USTAR archive of exactly the engine's files.

Writing is deterministic: the same engine gives the same bytes. Reading trusts nothing: the archive is walked header by
header, and names, kinds, sizes and number of all members are checked before the first byte is written. Only plain
files under plain names exist here, so links, devices, other directories and tar's own extensions are refused by kind.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, get_args

from pydantic import ValidationError

from engines.bundle.files import (
    MANIFEST_FILE,
    MAX_GOLDEN_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_MODEL_BYTES,
    bundle_files,
    read_bounded,
    sync_directory,
    variant_file,
)
from engines.bundle.manifest import MODEL_FILE, Manifest, Variant
from engines.bundle.reading import read_bundle, read_manifest
from engines.errors import BundleError

MAX_MEMBERS = 64
MAX_ARCHIVE_BYTES = 4 << 30
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20
_NAME = re.compile(r"(?:[a-z0-9_-]{1,60}/)?[a-z0-9_-]{1,60}\.[a-z0-9]{1,10}")
_MAX_BYTES = {
    MANIFEST_FILE: MAX_MANIFEST_BYTES,
    MODEL_FILE: MAX_MODEL_BYTES,
    **{variant_file(variant): MAX_MODEL_BYTES for variant in get_args(Variant)},
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold."""

    members: int
    bytes_of: Callable[[str], int]
    """The largest size of the member of this name."""


ENGINE = Bounds(MAX_MEMBERS, lambda name: _MAX_BYTES.get(name, MAX_GOLDEN_BYTES))


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    offset: int
    """Where its bytes begin in the archive."""
    size: int


@dataclass(frozen=True, slots=True)
class Digests:
    """Hashes of a whole archive."""

    sha256: str
    """Hexadecimal, for people to compare."""
    blake2b: bytes
    """64 bytes: what a signature of minisign is made of."""


def export_archive(engine: Path, output: Path) -> Digests:
    """Write the checked engine in directory `engine` to the new file `output`; returns the hashes of the file.

    Raises:
        BundleError: the engine is damaged, or `output` exists or cannot be written.
    """
    bundle = read_bundle(engine)
    return _write(output, _archive(bundle.path, bundle.manifest))


def write_archive(output: Path, files: Mapping[str, bytes]) -> Digests:
    """Write these files, in order, to the new archive `output`; returns its hashes. Raises BundleError."""
    return _write(output, _packed(files))


def _write(output: Path, pieces: Iterator[bytes]) -> Digests:
    if output.exists():
        raise BundleError(f'"{output}" exists already; choose another file or remove it first')
    hashes = _Hashes()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.absolute().parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                for piece in pieces:
                    stream.write(piece)
                    hashes.update(piece)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(output)
            sync_directory(output.absolute().parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f'cannot write "{output}": {error.strerror or error}') from error
    return hashes.digests


def engine_digests(engine: Path) -> tuple[str, Digests]:
    """The id of the engine in a directory, and the hashes of the archive that `export_archive` would write.

    Whatever changes meanwhile, both are of the same files: the id covers the hash of each of them. Raises BundleError.
    """
    hashes = _Hashes()
    try:
        folder = engine.resolve(strict=True)
        manifest = read_manifest(folder)
        for piece in _archive(folder, manifest):
            hashes.update(piece)
    except OSError as error:
        raise BundleError(f'engine "{engine}": {error.strerror or error}; restore it') from error
    return manifest.engine_id, hashes.digests


class Archive:
    """An untrusted file that is open, of which nothing has been believed yet."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        """`size`: of the file, in bytes."""
        self._path = path
        self._stream = stream
        self._size = size

    def digests(self) -> Digests:
        """Of all its bytes, whatever they are. Raises BundleError."""
        hashes = _Hashes()
        try:
            self._stream.seek(0)
            for piece in iter(lambda: self._stream.read(_PIECE), b""):
                hashes.update(piece)
        except OSError as error:
            raise BundleError(f'archive "{self._path}": {error.strerror or error}') from error
        return hashes.digests

    def unpack(self, folder: Path) -> None:
        """Unpack into the empty directory `folder` and check the engine in it.

        Raises:
            BundleError: not an archive of an engine; the message says what is wrong. `folder` may hold a part of it.
        """
        try:
            members = list(_members(self._stream, self._size, self._path, ENGINE))
            needed = sum(member.size for member in members)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise BundleError(f'archive "{self._path}" needs {needed} bytes, "{folder}" has {free} free; make room')
            for member in members:
                _unpack(self._stream, member, folder)
        except OSError as error:
            raise BundleError(f'archive "{self._path}": {error.strerror or error}') from error
        named = set(bundle_files(read_manifest(folder)))
        found = {member.name for member in members}
        if named != found:
            problems = [f"{name} is missing" for name in sorted(named - found)]
            problems += [f"{name} does not belong to the engine" for name in sorted(found - named)]
            raise _refused(self._path, ", ".join(problems))
        read_bundle(folder)

    def contents(self, bounds: Bounds) -> dict[str, bytes]:
        """All members by name, each within its bound and their number, too. Raises BundleError."""
        found = {}
        try:
            for member in list(_members(self._stream, self._size, self._path, bounds)):
                self._stream.seek(member.offset)
                found[member.name] = self._stream.read(member.size)
        except OSError as error:
            raise BundleError(f'archive "{self._path}": {error.strerror or error}') from error
        return found


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The file `path`; never a pipe or device, which might not end. Raises BundleError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f'archive "{path}": {error.strerror or error}') from error
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise _refused(path, "not a plain file")
        if info.st_size > MAX_ARCHIVE_BYTES:
            raise _refused(path, f"{info.st_size} bytes, at most {MAX_ARCHIVE_BYTES} are allowed")
        yield Archive(path, stream, info.st_size)


def _members(stream: BinaryIO, archive_size: int, archive: Path, bounds: Bounds) -> Iterator[Member]:
    """Every file of the archive in order; raises BundleError at the first header that is not wanted."""
    seen: set[str] = set()
    offset = 0
    while True:
        stream.seek(offset)
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK:
            raise _refused(archive, f"ends at byte {offset + len(block)} without an end mark: it was cut off")
        if block == bytes(_BLOCK):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise _refused(archive, f"no tar header at byte {offset} ({error})") from error
        name, size = header.name, header.size
        if len(seen) >= bounds.members:
            raise _refused(archive, f"more than {bounds.members} members")
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise _refused(archive, f"member {name[:100]!r} is of type {header.type!r}; only plain files are allowed")
        if not _NAME.fullmatch(name):
            raise _refused(archive, f"member name {name[:100]!r} is not allowed")
        if name in seen:
            raise _refused(archive, f"member {name} is there twice")
        allowed = bounds.bytes_of(name)
        if not 0 <= size <= allowed:
            raise _refused(archive, f"member {name} has {size} bytes, at most {allowed} are allowed")
        offset += _BLOCK
        if offset + size > archive_size:
            raise _refused(archive, f"member {name} has {size} bytes, but the file ends before: it was cut off")
        yield Member(name, offset, size)
        seen.add(name)
        offset += -(-size // _BLOCK) * _BLOCK


def _unpack(stream: BinaryIO, member: Member, folder: Path) -> None:
    target = folder / member.name
    target.parent.mkdir(exist_ok=True)
    stream.seek(member.offset)
    left = member.size
    with target.open("xb") as output:
        while left:
            piece = stream.read(min(left, _PIECE))
            if not piece:
                raise BundleError(f"member {member.name} was cut off while it was read")
            output.write(piece)
            left -= len(piece)
        output.flush()
        os.fsync(output.fileno())


def _archive(folder: Path, manifest: Manifest) -> Iterator[bytes]:
    """The bytes of the archive. Everything in a header that could differ between two exports is at its fixed default.

    Raises BundleError, OSError.
    """
    content = read_bounded(folder, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    if not _is_manifest(content, manifest):
        raise BundleError(f'engine "{folder}": {MANIFEST_FILE} was changed while it was read')
    size = 0
    for name in bundle_files(manifest):
        header = tarfile.TarInfo(name)
        is_manifest = name == MANIFEST_FILE
        with io.BytesIO(content) if is_manifest else _opened(folder / name) as stream:
            header.size = left = len(content) if is_manifest else os.fstat(stream.fileno()).st_size
            yield header.tobuf(tarfile.USTAR_FORMAT)
            while left:
                piece = stream.read(min(left, _PIECE))
                if not piece:
                    raise BundleError(f'engine "{folder}": {name} was cut off while it was read')
                yield piece
                left -= len(piece)
        padding = -header.size % _BLOCK
        yield bytes(padding)
        size += _BLOCK + header.size + padding
    yield _end(size)


def _packed(files: Mapping[str, bytes]) -> Iterator[bytes]:
    size = 0
    for name, content in files.items():
        header = tarfile.TarInfo(name)
        header.size = len(content)
        padding = -header.size % _BLOCK
        yield header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(padding)
        size += _BLOCK + header.size + padding
    yield _end(size)


def _end(size: int) -> bytes:
    """What ends an archive whose members take `size` bytes."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % tarfile.RECORDSIZE)


def _opened(file: Path) -> BinaryIO:
    return os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _is_manifest(content: bytes, manifest: Manifest) -> bool:
    try:
        return Manifest.model_validate_json(content) == manifest
    except ValidationError:
        return False


class _Hashes:
    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._blake2b = hashlib.blake2b()

    def update(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._blake2b.update(piece)

    @property
    def digests(self) -> Digests:
        return Digests(self._sha256.hexdigest(), self._blake2b.digest())


def _refused(archive: Path, why: str) -> BundleError:
    return BundleError(f'archive "{archive}" is refused: {why}; use a file made by "station engine export"')
