"""What happened to the engines of one product: `history.jsonl`, one JSON object a line, only ever appended to."""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any


class Action(str, Enum):
    """What was done."""

    ADD = "add"
    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    """Back to the engine that was active before, by a person."""
    REFUSED = "refused"
    """Back to the engine that was active before, because the station did not take the new one."""
    INTERRUPTED = "interrupted"
    """The change before this one was announced but never made: the process was killed in between. Or by hand."""
    SIGN = "sign"
    """An engine that was there already came again, with a signature."""
    DAMAGED = "damaged"
    """A line that cannot be read, after a power cut for instance; `why` holds it."""


CHANGES = frozenset({Action.ACTIVATE, Action.ROLLBACK, Action.REFUSED, Action.INTERRUPTED})
"""What says which engine is active."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history. Versions are the names of their directories; None: no engine."""

    time: str
    """UTC, ISO 8601, whole seconds."""
    who: str
    action: Action
    before: str | None
    """Active before."""
    after: str | None
    """Active after; for `add` and `sign` the version it is about."""
    why: str
    signed_by: str = ""
    """The id of the trusted key whose signature was checked; empty: there was none."""


def event(
    action: Action, *, before: str | None, after: str | None, why: str, signed_by: str = "", who: str = ""
) -> Event:
    """An event of now, by `who`; empty: by the user of this process."""
    now = datetime.now(timezone.utc)
    return Event(f"{now:%Y-%m-%dT%H:%M:%SZ}", who or whoami(), action, before, after, why, signed_by)


def append(file: Path, entry: Event) -> None:
    """Add a line that survives a power cut. Raises OSError."""
    data = {
        "time": entry.time,
        "who": entry.who,
        "action": entry.action.value,
        "from": entry.before,
        "to": entry.after,
        "why": entry.why,
    }
    line = json.dumps(data | ({"key": entry.signed_by} if entry.signed_by else {}))
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as stream:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        stream.write(("\n" if torn else "").encode() + line.encode() + b"\n")
        os.fsync(descriptor)


def read(file: Path) -> tuple[Event, ...]:
    """All events, oldest first; none when there is no file yet. Raises OSError."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(_parse(line) for line in text.splitlines() if line.strip())


def activations(events: Sequence[Event]) -> tuple[str, ...]:
    """The versions that led to the active one, which is the last: what going back goes back through.

    Going back takes the newest off, so that going back twice never returns to what was bad.
    """
    stack: list[str] = []
    before_last: list[str] = []
    for entry in events:
        if entry.action not in CHANGES:
            continue
        if entry.action is Action.INTERRUPTED:
            stack = list(before_last)
        before_last = list(stack)
        if entry.action in (Action.ROLLBACK, Action.REFUSED):
            while stack and stack[-1] != entry.after:
                stack.pop()
        if entry.after is not None and stack[-1:] != [entry.after]:
            stack.append(entry.after)
    return tuple(stack)


def whoami() -> str:
    """`user@host`; through sudo also who asked for it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"uid {os.getuid()}"
    asked_by = os.environ.get("SUDO_USER")
    return f"{user}@{socket.gethostname()}" + (f" (sudo by {asked_by})" if asked_by else "")


def _parse(line: str) -> Event:
    try:
        data: Any = json.loads(line)
        return Event(
            time=_text(data["time"]),
            who=_text(data["who"]),
            action=Action(data["action"]),
            before=None if data["from"] is None else _text(data["from"]),
            after=None if data["to"] is None else _text(data["to"]),
            why=_text(data["why"]),
            signed_by=_text(data.get("key", "")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return Event("", "", Action.DAMAGED, None, None, line[:200])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
