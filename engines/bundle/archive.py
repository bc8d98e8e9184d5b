"""An engine as a single file, to carry it to another station: a plain USTAR archive of exactly the engine's files.

Writing is deterministic: the same engine gives the same bytes. Reading trusts nothing: the archive is walked header by
header, and names, kinds, sizes and number of all members are checked before the first byte is written. Only plain
files under plain names exist here, so links, devices, other directories and tar's own extensions are refused by kind.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, get_args

from engines.bundle.files import (
    MANIFEST_FILE,
    MAX_GOLDEN_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_MODEL_BYTES,
    bundle_files,
    sync_directory,
    variant_file,
)
from engines.bundle.manifest import MODEL_FILE, Variant
from engines.bundle.reading import read_bundle, read_manifest
from engines.errors import BundleError

MAX_MEMBERS = 64
MAX_ARCHIVE_BYTES = 4 << 30
_BLOCK = tarfile.BLOCKSIZE
_NAME = re.compile(r"(?:[a-z0-9_-]{1,60}/)?[a-z0-9_-]{1,60}\.[a-z0-9]{1,10}")
_MAX_BYTES = {
    MANIFEST_FILE: MAX_MANIFEST_BYTES,
    MODEL_FILE: MAX_MODEL_BYTES,
    **{variant_file(variant): MAX_MODEL_BYTES for variant in get_args(Variant)},
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    offset: int
    """Where its bytes begin in the archive."""
    size: int


def export_archive(engine: Path, output: Path) -> str:
    """Write the checked engine in directory `engine` to the new file `output`; returns the file's SHA-256 (hex).

    Raises:
        BundleError: the engine is damaged, or `output` exists or cannot be written.
    """
    bundle = read_bundle(engine)
    if output.exists():
        raise BundleError(f'"{output}" exists already; choose another file or remove it first')
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.absolute().parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                    for file in bundle_files(bundle.manifest):
                        _append(tar, bundle.path, file)
                stream.flush()
                os.fsync(stream.fileno())
                stream.seek(0)
                sha256 = _sha256(stream)
            temporary.chmod(0o644)
            temporary.replace(output)
            sync_directory(output.absolute().parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f'cannot write "{output}": {error.strerror or error}') from error
    return sha256


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack the untrusted file `archive` into the empty directory `folder` and check the engine in it.

    Raises:
        BundleError: not an archive of an engine; the message says what is wrong with it. `folder` may hold a part.
    """
    try:
        with _open_plain(archive) as (stream, size):
            members = list(_members(stream, size, archive))
            needed = sum(member.size for member in members)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise BundleError(f'archive "{archive}" needs {needed} bytes, "{folder}" has {free} free; make room')
            for member in members:
                _unpack(stream, member, folder)
    except OSError as error:
        raise BundleError(f'archive "{archive}": {error.strerror or error}') from error
    named = set(bundle_files(read_manifest(folder)))
    found = {member.name for member in members}
    if named != found:
        problems = [f"{name} is missing" for name in sorted(named - found)]
        problems += [f"{name} does not belong to the engine" for name in sorted(found - named)]
        raise _refused(archive, ", ".join(problems))
    read_bundle(folder)


def _members(stream: BinaryIO, archive_size: int, archive: Path) -> Iterator[Member]:
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
        if len(seen) >= MAX_MEMBERS:
            raise _refused(archive, f"more than {MAX_MEMBERS} members")
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise _refused(archive, f"member {name[:100]!r} is of type {header.type!r}; only plain files are allowed")
        if not _NAME.fullmatch(name):
            raise _refused(archive, f"member name {name[:100]!r} is not allowed")
        if name in seen:
            raise _refused(archive, f"member {name} is there twice")
        allowed = _MAX_BYTES.get(name, MAX_GOLDEN_BYTES)
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
            piece = stream.read(min(left, 1 << 20))
            if not piece:
                raise BundleError(f"member {member.name} was cut off while it was read")
            output.write(piece)
            left -= len(piece)
        output.flush()
        os.fsync(output.fileno())


@contextmanager
def _open_plain(archive: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The archive and its size in bytes; never a pipe or device, which might not end."""
    descriptor = os.open(archive, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise _refused(archive, "not a plain file")
        if info.st_size > MAX_ARCHIVE_BYTES:
            raise _refused(archive, f"{info.st_size} bytes, at most {MAX_ARCHIVE_BYTES} are allowed")
        yield stream, info.st_size


def _append(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    """Everything in the header that could differ between two exports is left at its fixed default."""
    with (folder / name).open("rb") as stream:
        header = tarfile.TarInfo(name)
        header.size = os.fstat(stream.fileno()).st_size
        tar.addfile(header, stream)


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    for piece in iter(lambda: stream.read(1 << 20), b""):
        digest.update(piece)
    return digest.hexdigest()


def _refused(archive: Path, why: str) -> BundleError:
    return BundleError(f'archive "{archive}" is refused: {why}; use a file made by "station engine export"')
