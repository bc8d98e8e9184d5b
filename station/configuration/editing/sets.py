"""A change as text, in addresses and in a shell: `decision.reject_score=0.55`; JSON, null takes the key out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SET = "set"


def change_of(text: str) -> tuple[tuple[str, ...], Any]:
    """The key and its value. Raises ValueError, which says how it is written."""
    name, found, value = text.partition("=")
    path = tuple(name.split("."))
    if not found or not all(path):
        raise ValueError(f'"{text:.60}": write it as decision.reject_score=0.55')
    try:
        return path, json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError(f'{name:.60}: "{value:.60}" is no value; numbers are as 0.55, words in quotes') from None


def as_sets(changes: Mapping[tuple[str, ...], Any]) -> list[tuple[str, str]]:
    """The same back, each under the name `set`."""
    return [(SET, f"{'.'.join(path)}={json.dumps(value, ensure_ascii=False)}") for path, value in changes.items()]


def _no_constant(name: str) -> Any:
    raise ValueError(name)
