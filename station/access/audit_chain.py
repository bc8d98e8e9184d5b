"""What was done to accounts, as a chain: each row carries the hash of the row before it.

`hash = sha256(prev || canonical JSON of the row)`. A row that was changed, removed or put elsewhere does not fit any
more. A tail that was cut off cannot be seen from inside: compare the head with one that was written down.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass

GENESIS = bytes(32)
ANCHOR = "anchor"
"""The action of a row that keeps the head of the daemon's audit log: two files, of two users, hold each other."""
_COLUMNS = ("seq", "at", "who", "via", "action", "object", "result")


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the chain is whole."""

    rows: int
    head: str
    """Hash of the last row, hexadecimal: to be written down elsewhere."""
    broken: str = ""
    """The first row that does not fit, and why; empty: all do."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One row."""

    seq: int
    at: float
    who: str
    via: str
    action: str
    object: str
    result: str


def append(
    connection: sqlite3.Connection, at: float, who: str, action: str, subject: str, *, via: str, result: str = "done"
) -> None:
    """Within the transaction of what it is about."""
    last = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev = (1, GENESIS) if last is None else (last["seq"] + 1, last["hash"])
    row = (seq, at, who, via, action, subject, result)
    connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, prev, _hash(prev, row)))


def verify(connection: sqlite3.Connection, anchor: str = "") -> Verified:
    """Follows the chain. `anchor`: a head that was written down, which must be among the hashes."""
    prev, expected, seen = GENESIS, 1, not anchor
    for row in connection.execute(f"SELECT {', '.join(_COLUMNS)}, prev, hash FROM audit ORDER BY seq"):
        values = tuple(row)[: len(_COLUMNS)]
        if row["seq"] != expected:
            return Verified(expected - 1, prev.hex(), f"row {expected} is missing: the next one is {row['seq']}")
        if row["prev"] != prev or row["hash"] != _hash(prev, values):
            return Verified(expected - 1, prev.hex(), f"row {expected} was changed, or stands in another's place")
        prev, expected = row["hash"], expected + 1
        seen = seen or prev.hex() == anchor.lower()
    if not seen:
        return Verified(expected - 1, prev.hex(), f"no row has the hash {anchor}: the end was cut off, or all is new")
    return Verified(expected - 1, prev.hex())


def deeds(connection: sqlite3.Connection, newest: int) -> list[Deed]:
    """The newest rows, newest first."""
    query = f"SELECT {', '.join(_COLUMNS)} FROM audit ORDER BY seq DESC LIMIT ?"
    return [Deed(*row) for row in connection.execute(query, (newest,))]


def _hash(prev: bytes, row: tuple[object, ...]) -> bytes:
    text = json.dumps(dict(zip(_COLUMNS, row, strict=True)), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(prev + text.encode()).digest()
