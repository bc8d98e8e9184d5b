"""Who asks the daemon for something, and where he has proven who he is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PAGES, PLANT, SHELL, NOBODY = "pages", "plant", "shell", ""
"""`NOBODY`: root, or a user of this computer that a service runs as: no person."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A person with an account on the pages, a user of this computer, or nobody."""

    name: str
    via: str
    may: Callable[[Mapping[str, Any]], bool]
    """Whether he may ask this request himself."""
    on_record: str = ""
    """Who asked, in the audit log, where that is more than the name."""

    @property
    def is_remote(self) -> bool:
        """He asks from a client of the plant, by way of the plant process."""
        return self.on_record not in ("", self.name)

    @property
    def user(self) -> str:
        """Who asked, in the audit log."""
        return self.on_record or self.name
