"""Requests that wait for a second person, in one file of the work folder: they survive a restart, and end by time."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from engines.bundle.files import sync_directory

FILE = "second_person.json"
MOST_WAITING = 10
SHORT = 400
"""Letters of `what` in the status, which every page asks for."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one person has asked, as it will be done when a second one confirms it."""

    number: int
    rule: str
    """`engine`, `limits` or `quarantine`, as in the configuration."""
    what: str
    """In words, with every value that would change."""
    why: str
    asked_by: str
    via: str
    """`pages` or `shell`: where its two people prove who they are."""
    asked_at: float
    ends_at: float
    """Seconds since the epoch."""
    message: Mapping[str, Any]
    """The request of the control socket."""
    base: Mapping[str, str] = field(default_factory=dict)
    """What it was based on; it is void when any of it is another then."""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal: who confirms names the digest of what he has read."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> str:
        """For the audit log."""
        return f"{self.number} ({self.rule})"

    def in_short(self) -> dict[str, Any]:
        """For the status."""
        what = self.what if len(self.what) <= SHORT else f"{self.what[:SHORT]}..."
        return {**self.in_full(), "what": what}

    def in_full(self) -> dict[str, Any]:
        """For who has to decide about it."""
        names = ("number", "rule", "what", "why", "asked_by", "via", "asked_at", "ends_at", "digest")
        return {name: getattr(self, name) for name in names}


class WaitingRequests:
    """Owns the file. Any thread may ask; what is returned is on disk."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Takes up what an earlier process left. A file that cannot be read is put aside: nothing waits then."""
        self._path = path
        self._now = clock
        self._lock = threading.Lock()
        self._last = 0
        self._all: tuple[Waiting, ...] = ()
        self._load()

    def all(self) -> tuple[Waiting, ...]:
        """Those whose time has not ended, oldest first."""
        now = self._now()
        return tuple(one for one in self._all if one.ends_at > now)

    def find(self, number: object) -> Waiting | None:
        """None: it was never there, is done or withdrawn, or its time has ended."""
        return next((one for one in self.all() if one.number == number), None)

    def put(self, make: Callable[[int], Waiting]) -> Waiting:
        """Keeps what `make` returns for the next number. Raises OSError: it is not kept."""
        with self._lock:
            added = make(self._last + 1)
            self._write(added.number, (*self._all, added))
        return added

    def take_away(self, one: Waiting) -> bool:
        """It is done, void or withdrawn. False: somebody else has taken it away. Raises OSError."""
        with self._lock:
            if one not in self._all:
                return False
            self._write(self._last, tuple(other for other in self._all if other != one))
        return True

    def ended(self) -> tuple[Waiting, ...]:
        """Takes away those whose time has ended, and returns them, once. Raises OSError."""
        if all(one.ends_at > self._now() for one in self._all):
            return ()
        with self._lock:
            gone = tuple(one for one in self._all if one.ends_at <= self._now())
            self._write(self._last, tuple(one for one in self._all if one not in gone))
        return gone

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_bytes())
            self._all = tuple(Waiting(**one) for one in kept["waiting"])
            self._last = int(kept["last"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as problem:
            aside = self._path.with_suffix(".damaged")
            log.error("requests that waited for a second person are lost", file=str(aside), problem=str(problem))
            self._all = ()
            self._path.replace(aside)

    def _write(self, last: int, waiting: tuple[Waiting, ...]) -> None:
        temporary = self._path.with_name(f".{self._path.name}.new")
        with temporary.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            json.dump({"last": last, "waiting": [asdict(one) for one in waiting]}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_directory(self._path.parent)
        self._last, self._all = last, waiting
