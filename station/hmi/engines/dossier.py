"""The dossier beside an engine, as far as pages show it: what refinement removed, and which images may be a variant.

It was written by the training, and may have been changed since: what does not fit is as good as no dossier.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.bundle.files import DOSSIER_FOLDER

DATA_FILE = "dossier.json"
REFRESH_PARTS = Path("refresh") / "parts.json"
MAX_BYTES = 64 * 1024 * 1024
MAX_PICTURE_BYTES = 4 * 1024 * 1024
MOST_SHOWN = 60
_NAMED = re.compile(r"(?P<session>.+)-(?P<number>[0-9]{9})-part[0-9]+(-.+)?\.png")


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Image(_Loose):
    """What became of one image of the teaching."""

    id: Annotated[int, Field(ge=0)]
    name: str
    fate: Literal["kept", "removed"]
    removed_in_round: int | None = None
    removal_shown: float | None = None
    """0 to 1, where it left."""
    final_shown: float | None = None


class _Refinement(_Loose):
    removed: tuple[int, ...] = ()
    variants: tuple[tuple[int, ...], ...] = ()
    known_bad: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()


class Dossier(_Loose):
    """Of one engine."""

    images: tuple[Image, ...]
    refinement: _Refinement = _Refinement()
    suspects: object = None
    """What they add to the scores; None: nothing, and nobody has to look at them."""
    warnings: tuple[str, ...] = ()

    @property
    def removed(self) -> Sequence[Image]:
        """Those that were not learned, worst first; without those that a person had called bad.

        Suspects before the others: a person is asked to look at them, and pages show a bounded number.
        """
        bad, suspects = set(self.refinement.known_bad), self.stands_for_defects
        gone = [image for image in self.images if image.fate == "removed" and image.id not in bad]
        return sorted(
            gone, key=lambda image: (image.id not in suspects, -(image.removal_shown or image.final_shown or 0.0))
        )

    @property
    def stands_for_defects(self) -> frozenset[int]:
        """Ids of those among the removed that the engine takes for defects, though nobody has called them so."""
        return frozenset(() if self.suspects is None else self.refinement.suspects)

    @property
    def variants(self) -> Sequence[Sequence[Image]]:
        """Groups of images that look alike and unlike the rest."""
        known = {image.id: image for image in self.images}
        return [[known[number] for number in group if number in known] for group in self.refinement.variants]


def dossier_of(engine: Path) -> Dossier | None:
    """The dossier of the engine in this folder; None: there is none that can be read."""
    data = _read(engine / DOSSIER_FOLDER / DATA_FILE, MAX_BYTES)
    if data is None:
        return None
    try:
        return Dossier.model_validate_json(data)
    except ValidationError:
        return None


def picture_of(engine: Path, image: int, kind: str) -> bytes | None:
    """A small JPEG of an image: `plain`, or `map` under its anomaly map. None: the dossier has none."""
    name = f"{image:06}-map.jpg" if kind == "map" else f"{image:06}.jpg"
    return _read(engine / DOSSIER_FOLDER / "pictures" / name, MAX_PICTURE_BYTES)


def has_picture(engine: Path, image: int) -> bool:
    """Whether the dossier has a picture of this image; it has them of a bounded number."""
    return (engine / DOSSIER_FOLDER / "pictures" / f"{image:06}.jpg").is_file()


def taught_parts(engine: Path) -> list[str]:
    """The parts on record that a refresh has learned from, SESSION/ACQUISITION_ID; empty: not known."""
    data = _read(engine / REFRESH_PARTS, MAX_BYTES)
    if data is None:
        return []
    try:
        found = json.loads(data)
        named = [*found["training"], *found["held_out"]]
        return [name for name in dict.fromkeys(named) if isinstance(name, str)]
    except (ValueError, KeyError, TypeError):
        return []


def key_of(image_name: str) -> str:
    """SESSION/ACQUISITION_ID of an image of a refresh; empty: it is of a folder."""
    found = _NAMED.fullmatch(image_name)
    return f"{found['session']}/{int(found['number'])}" if found else ""


def _read(file: Path, most: int) -> bytes | None:
    """A plain file below the store, never through a link; None: not there, or larger than it may be."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        try:
            data = stream.read(most + 1)
        except OSError:
            return None
    return data if len(data) <= most else None
