"""The files of an engine: their names and largest sizes, and how one file is read safely and written durably.

Imports neither numpy nor what understands an image: whoever only needs a name or a durable write pays for no more.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import BundleError

if TYPE_CHECKING:
    from engines.bundle.location_spec import PictureName
    from engines.bundle.manifest import Manifest, Variant

MANIFEST_FILE = "manifest.json"
FRAME_FILE = "frame.onnx"
DOSSIER_FOLDER = "dossier"
"""How the engine came about, for people. No part of the engine: it is the same without."""
REFERENCE_FOLDER = "reference"
"""Good pictures to compare parts with, see `engines.bundle.reference`. No part of the engine either."""
MAX_MANIFEST_BYTES = 1 << 20
MAX_MODEL_BYTES = 1 << 30
MAX_GOLDEN_BYTES = 64 << 20


def bundle_files(manifest: Manifest) -> tuple[str, ...]:
    """Every file of an engine, relative to its directory."""
    return (
        MANIFEST_FILE,
        manifest.model.file,
        *(variant_file(name) for name in manifest.variants),
        *([FRAME_FILE] if manifest.frame else []),
        *(entry.file for entry in manifest.golden),
        *(sample_file(index) for index in range(len(manifest.sample))),
        *(picture_file(name) for name in manifest.pictures),
    )


def variant_file(variant: Variant) -> str:
    """Where an engine holds its graph in another precision."""
    return f"model_{variant}.onnx"


def golden_file(name: str) -> str:
    """Where an engine holds a golden image."""
    return f"golden/{name}.png"


def sample_file(index: int) -> str:
    """Where an engine holds an image of its sample."""
    return f"sample/{index:02}.png"


def picture_file(name: PictureName) -> str:
    """Where an engine holds a picture that its location needs."""
    return f"location/{name}.png"


def read_bounded(folder: Path, name: str, max_bytes: int) -> bytes:
    """Read a regular file that lies inside `folder` without following any link.

    Raises:
        BundleError: missing, not readable, a link, not a plain file, or larger than `max_bytes`.
    """
    file = folder / name
    where = f'engine "{folder}", {name}'
    try:
        if file.parent.resolve(strict=True) != file.parent:
            raise BundleError(f"{where}: lies behind a link; an engine holds plain files only")
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise BundleError(f"{where}: not a plain file")
            if info.st_size > max_bytes:
                raise BundleError(f"{where}: {info.st_size} bytes, at most {max_bytes} are allowed")
            return stream.read(max_bytes)
    except OSError as error:
        raise BundleError(f"{where}: {reason(error)}; restore the engine") from error


def read_hashed(folder: Path, name: str, sha256: str, max_bytes: int) -> bytes:
    """`read_bounded`, of a file whose SHA-256 (hex) is known. Raises BundleError also when it differs."""
    data = read_bounded(folder, name, max_bytes)
    found = sha256_of(data)
    if found != sha256:
        raise BundleError(
            f'engine "{folder}", {name}: sha256 {found[:12]}, the manifest says {sha256[:12]}: '
            "damaged or changed; restore the engine"
        )
    return data


def write_synced(file: Path, data: bytes) -> None:
    """Write a file that survives a power cut. Raises OSError."""
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """A hard link to a file that never changes, or a copy where it lies on another file system. Raises OSError."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, target)


def sync_directory(folder: Path) -> None:
    """Make names in `folder` survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make everything below `folder` survive a power cut. Raises OSError; BundleError: there is a link in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BundleError(f'"{path}" is a link; only plain files are stored')
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def reason(error: OSError) -> str:
    """What the operating system says, without the path that the message names already."""
    return error.strerror or str(error)
