"""Values as TOML writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | Sequence[Value] | Mapping[str, Value]"


def as_toml(value: Value) -> str:
    """On one line. Raises ValueError for a number that TOML files of the station do not hold."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} is no number for a configuration")
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inside = ", ".join(f"{key_as_toml(key)} = {as_toml(each)}" for key, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
    return f"[{', '.join(as_toml(each) for each in value)}]"


def key_as_toml(key: str) -> str:
    """Bare where it can be."""
    is_bare = bool(key) and key.isascii() and all(letter.isalnum() or letter in "_-" for letter in key)
    return key if is_bare else json.dumps(key, ensure_ascii=False)
