"""Who asks the daemon for something, and where he has proven who he is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PAGES, SHELL, NOBODY = "pages", "shell", ""
"""`NOBODY`: root, or the station's own user: no person."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A person with an account on the pages, a user of this computer, or nobody."""

    name: str
    via: str
    may: Callable[[Mapping[str, Any]], bool]
    """Whether he may ask this request himself."""
