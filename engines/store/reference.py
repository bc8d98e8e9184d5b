"""Reference pictures of engines (`engines.bundle.reference`) on their way: into the store, to a file, and from one.

They are no part of the engine, so they have a file of their own beside the archive, `NAME.tar.pictures`, a plain tar as
the archive is, with a signature of its own beside it. Where engines must be signed, pictures from outside must be, too:
people decide about parts by them.
"""

from __future__ import annotations

import os
from pathlib import Path

from engines.bundle.archive import Bounds, open_archive, write_archive
from engines.bundle.files import REFERENCE_FOLDER, read_bounded, sync_directory, write_synced
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_manifest
from engines.bundle.reference import (
    INDEX_FILE,
    MAX_INDEX_BYTES,
    MAX_PICTURE_BYTES,
    MAX_PICTURES,
    has_reference,
    picture_name,
    read_reference,
)
from engines.bundle.reference import checked_files as check
from engines.errors import BundleError, SignatureError, StoreError
from engines.signatures.minisign import SecretKey, signature_file
from engines.signatures.trust import Trust
from engines.store import signed

SUFFIX = ".pictures"
PICTURES = Bounds(MAX_PICTURES + 1, lambda name: MAX_INDEX_BYTES if name == INDEX_FILE else MAX_PICTURE_BYTES)
_WITHOUT = "; to take the engine without its pictures: station engine import --no-pictures"


def beside(archive: Path) -> Path:
    """Where the reference pictures of an archive lie."""
    return archive.with_name(archive.name + SUFFIX)


def files_of(engine: Path, manifest: Manifest) -> dict[str, bytes]:
    """The files of the pictures of an engine in a folder, checked; empty: it has none. Raises BundleError."""
    count = len(read_reference(engine, manifest))
    if not count:
        return {}
    folder = engine.resolve()
    names = [picture_name(place) for place in range(count)]
    files = {INDEX_FILE: read_bounded(folder, INDEX_FILE, MAX_INDEX_BYTES)}
    files |= {name: read_bounded(folder, name, MAX_PICTURE_BYTES) for name in names}
    check(f'engine "{engine}"', files, manifest)
    return files


def copy(engine: Path, folder: Path, manifest: Manifest) -> None:
    """From one folder of an engine into another. Raises BundleError, OSError."""
    _write(folder, files_of(engine, manifest))


def check_may_come(engine: Path, trust: Trust) -> None:
    """Raises SignatureError: a folder from outside brings pictures, and here they would have to be signed."""
    if trust.required != "no" and has_reference(engine):
        problem = trust.missing(f'folder "{engine}"', f"none covers the pictures in {REFERENCE_FOLDER}/ of it")
        raise SignatureError(f"{problem}{_WITHOUT}")


def complete(version: Path, folder: Path) -> None:
    """Gives a version that was there already the pictures with which the same engine came again. Raises OSError."""
    if has_reference(folder) and not has_reference(version):
        (folder / REFERENCE_FOLDER).rename(version / REFERENCE_FOLDER)
        sync_directory(version)


def pack_beside(engine: Path, manifest: Manifest, archive: Path, sign: SecretKey | None) -> Path | None:
    """Write the pictures of an engine beside its archive; returns the file, None: the engine has none.

    Raises:
        BundleError, StoreError: they are damaged, or the file exists or cannot be written.
    """
    files = files_of(engine, manifest)
    if not files:
        return None
    output = beside(archive)
    digests = write_archive(output, files)
    if sign is not None:
        try:
            comment = signed.comment(output.name, manifest.engine_id)
            write_synced(signed.beside(output), signature_file(sign, digests.blake2b, comment))
        except OSError as error:
            raise StoreError(f'"{signed.beside(output)}" cannot be written: {error.strerror}') from error
    return output


def unpack_beside(archive: Path, folder: Path, trust: Trust) -> None:
    """The pictures that lie beside an archive, if any, into the folder of its unpacked engine.

    Raises:
        BundleError, SignatureError, OSError: they are not to be trusted; the message says how to go on without.
    """
    file = beside(archive)
    if not os.path.lexists(file):
        return
    try:
        with open_archive(file) as opened:
            signed.signer_of_archive(file, signed.read_signature(signed.beside(file)), opened.digests(), trust)
            files = opened.contents(PICTURES)
        check(f'archive "{file}"', files, read_manifest(folder))
    except SignatureError as problem:
        raise SignatureError(f"{problem}{_WITHOUT}") from problem
    except BundleError as problem:
        raise BundleError(f"{problem}{_WITHOUT}") from problem
    _write(folder, files)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_synced(folder / name, content)
