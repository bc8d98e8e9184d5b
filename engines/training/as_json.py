"""Whatever a training was given, as JSON can express it: for its dossier and for the key of its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, JsonValue


def plain_name(name: str) -> str:
    """`name` (of a file, anything but tame) as one printable line that does not begin with `#`.

    Everything that is not printable (line ends, direction marks, bytes that are no text) and backslashes are written
    as Python escapes, so are a `#` in front and blanks at the ends. Different names stay different.
    """
    escaped = "".join(
        character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
        for character in name
    )
    if escaped.startswith((" ", "#")):
        escaped = f"\\x{ord(escaped[0]):02x}{escaped[1:]}"
    return f"{escaped[:-1]}\\x20" if escaped.endswith(" ") else escaped


def plain(value: Any) -> JsonValue:
    """Dataclasses, models, mappings, collections, arrays, paths and numbers, at any depth.

    Sets are sorted, numbers that are not finite become null, texts are spelled by `plain_name`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {plain_name(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(entry) for entry in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else plain_name(str(value))
