"""Good pictures that an engine was taught from, kept small beside it: what people compare a part with.

    reference/index.json    whose pictures these are, their size, and the SHA-256 of each
    reference/000.jpg ...   what the model saw of a good image, at most 256 px

No part of the engine: its id, its hashes and what it says of a part are the same without. They are read as untrusted
all the same: number, size, hash and dimensions are checked before anything is decoded, and links are not followed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.bundle.files import REFERENCE_FOLDER, read_bounded, sha256_of
from engines.bundle.manifest import InputSpec, Manifest, Sha256
from engines.bundle.png import decode_rgb
from engines.errors import BundleError
from engines.overlay import fitted

INDEX_FILE = f"{REFERENCE_FOLDER}/index.json"
MAX_PICTURES = 200
LONG_SIDE_PX = 256
MAX_PICTURE_BYTES = 128 << 10
"""Noise of 256 x 256 px in colour has 80 kB."""
MAX_INDEX_BYTES = 64 << 10
_JPEG_QUALITY = 88
_FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2})
"""Of JPEG: baseline, extended and progressive. Nothing else is written here."""


_REMEDY = (
    f'; reference pictures are no part of an engine: remove the folder "{REFERENCE_FOLDER}" and go on without, or '
    "restore them"
)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Entry(_Strict):
    image: Annotated[int, Field(ge=0)]
    sha256: Sha256


class _Index(_Strict):
    format_version: Literal[1] = 1
    engine_id: Sha256
    width: Annotated[int, Field(ge=1, le=LONG_SIDE_PX)]
    height: Annotated[int, Field(ge=1, le=LONG_SIDE_PX)]
    pictures: Annotated[tuple[_Entry, ...], Field(strict=False, min_length=1, max_length=MAX_PICTURES)]


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """A good image as the model saw it, as JPEG: two hundred of them are 3 MB, and 40 MB as pixels."""

    image: int
    """Its number in the dossier of the engine: which of the taught images it is."""
    jpeg: bytes

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, see `reference_size`. Raises BundleError: no picture."""
        pixels = decode_rgb(self.jpeg)
        if pixels is None:
            raise BundleError(f"the reference picture of image {self.image} cannot be decoded{_REMEDY}")
        return pixels


def picture_name(place: int) -> str:
    """Where the picture at this place of the index lies."""
    return f"{REFERENCE_FOLDER}/{place:03}.jpg"


def reference_size(spec: InputSpec) -> tuple[int, int]:
    """(width, height) of the pictures: the model's input, its longer side at most `LONG_SIDE_PX`."""
    factor = min(1.0, LONG_SIDE_PX / max(spec.width, spec.height))
    return max(1, round(spec.width * factor)), max(1, round(spec.height * factor))


def reference_picture(image: int, pixels: NDArray[np.uint8], spec: InputSpec) -> ReferencePicture:
    """Of a model input (height, width, 3), to be written. Raises BundleError: it cannot be."""
    return ReferencePicture(image, _jpeg(as_reference(pixels, spec)))


def as_reference(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """A model input (height, width, 3) as the pictures show it; taught images and those compared alike."""
    width, height = reference_size(spec)
    return fitted(pixels, width, height)


def reference_files(engine_id: str, spec: InputSpec, pictures: Sequence[ReferencePicture]) -> dict[str, bytes]:
    """What to write beside the engine, by name; nothing without pictures."""
    if not pictures:
        return {}
    width, height = reference_size(spec)
    files = {picture_name(place): one.jpeg for place, one in enumerate(pictures)}
    index = _Index(
        engine_id=engine_id,
        width=width,
        height=height,
        pictures=tuple(
            _Entry(image=one.image, sha256=sha256_of(files[picture_name(place)])) for place, one in enumerate(pictures)
        ),
    )
    return {INDEX_FILE: (index.model_dump_json(indent=1) + "\n").encode(), **files}


def has_reference(engine: Path) -> bool:
    """Whether pictures lie beside the engine in this folder; nothing is said of what they are worth."""
    return (engine / REFERENCE_FOLDER).is_dir()


def read_reference(engine: Path, manifest: Manifest) -> tuple[ReferencePicture, ...]:
    """The pictures beside the engine in a folder, checked; empty: it has none.

    Raises:
        BundleError: missing, too large, changed, of another engine, or no picture; the message says what to do.
    """
    if not has_reference(engine):
        return ()
    folder = engine.resolve()
    return tuple(_checked(f'engine "{engine}"', lambda name, most: read_bounded(folder, name, most), manifest))


def checked_files(where: str, files: Mapping[str, bytes], manifest: Manifest) -> None:
    """Raises BundleError unless these files are the pictures of the engine of `manifest`, whole and nothing else."""

    def read(name: str, most: int) -> bytes:
        if name not in files or len(files[name]) > most:
            raise BundleError(f"{where}: {name} is missing or larger than {most} bytes{_REMEDY}")
        return files[name]

    count = sum(1 for _ in _checked(where, read, manifest))
    if len(files) != count + 1:
        raise BundleError(f"{where}: {len(files)} files, its index names {count} pictures{_REMEDY}")


def _checked(where: str, read: Callable[[str, int], bytes], manifest: Manifest) -> Iterator[ReferencePicture]:
    try:
        index = _Index.model_validate_json(read(INDEX_FILE, MAX_INDEX_BYTES))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise BundleError(f"{where}, {INDEX_FILE}: {place}: {problem['msg']}{_REMEDY}") from error
    if index.engine_id != manifest.engine_id:
        raise BundleError(
            f"{where}, {INDEX_FILE}: pictures of engine {index.engine_id[:12]}, this is "
            f"{manifest.engine_id[:12]}{_REMEDY}"
        )
    if (index.width, index.height) != reference_size(manifest.input):
        raise BundleError(
            f"{where}, {INDEX_FILE}: {index.width} x {index.height} px, those of this engine have "
            f"{' x '.join(map(str, reference_size(manifest.input)))}{_REMEDY}"
        )
    for number, entry in enumerate(index.pictures):
        name = picture_name(number)
        data = read(name, MAX_PICTURE_BYTES)
        if sha256_of(data) != entry.sha256:
            raise BundleError(f"{where}, {name}: damaged or changed{_REMEDY}")
        size = jpeg_size(data)
        if size != (index.width, index.height):
            raise BundleError(f"{where}, {name}: a picture of {size}, expected {(index.width, index.height)}{_REMEDY}")
        picture = ReferencePicture(entry.image, data)
        if picture.pixels.shape[:2] != (index.height, index.width):
            raise BundleError(f"{where}, {name}: not the size that its header says{_REMEDY}")
        yield picture


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the header of a JPEG, before anything is decoded; None if this is none."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if kind == 0xDA or length < 2:  # the picture itself begins: no header came before
            return None
        at += 2 + length
    return None


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    content = data.tobytes()
    if not done or len(content) > MAX_PICTURE_BYTES:
        raise BundleError(f"reference picture of shape {pixels.shape}: cannot be written as JPEG")
    return content
