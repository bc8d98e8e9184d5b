"""Heads of the audit chains that are kept elsewhere, and where a chain departs from them.

Who can write the file of a chain and knows its rule can make another one that is whole. So the head leaves the station:
into the log, reports, evidence files and to the plant, always as the same text, which is found again in any of them:

    audit:changes:4711:9f86d081...      chain, row, its hash

A head says that all rows up to its own are those of then. Rows behind the newest
one that is known are not covered.
"""

from __future__ import annotations

import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.records.audit import CHANGES, ROWS, Head, head_of
from station.records.schema import RecordingError, open_reader

MAX_BYTES = 256 * 1024 * 1024
_TEXT = re.compile(rb"audit:(changes|accounts):(\d{1,18}):([0-9a-f]{64})")
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class AnchorError(ValueError):
    """What was given as an anchor is none; the message says what is one."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was kept elsewhere."""

    head: Head
    source: str
    """Where it was found, for people."""


def head_of_records(folder: Path) -> Head | None:
    """The same, of the records in this folder; None also while they are not there or cannot be read."""
    try:
        with closing(open_reader(folder)) as connection:
            return head_of(connection)
    except (RecordingError, sqlite3.Error):
        return None


def all_heads(connection: sqlite3.Connection, chain: str = CHANGES) -> Iterator[Head]:
    """Of every row: held against them, a chain shows the very row at which it departs."""
    if head_of(connection, chain) is not None:
        for number, own in connection.execute(f"{ROWS[chain]} ORDER BY id"):
            yield Head(number, bytes(own).hex(), chain)


def heads_in(content: bytes) -> set[Head]:
    """Those that stand anywhere in a text."""
    return {Head(int(row), own.decode(), chain.decode()) for chain, row, own in _TEXT.findall(content)}


def anchors_of(given: str) -> list[Anchor]:
    """Of a head as text, or of a file with such heads: a log, a report, an evidence file, what `station audit anchor`
    wrote. A hash alone is none here, since it has no row. Raises AnchorError.
    """
    if _TEXT.fullmatch(given.encode()):
        return [Anchor(one, "the head that was given") for one in heads_in(given.encode())]
    path = Path(given)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AnchorError(f"--anchor {given}: larger than {MAX_BYTES >> 20} MiB")
        found = set().union(*map(heads_in, _contents(path)))
    except (OSError, zipfile.BadZipFile) as problem:
        raise AnchorError(
            f"--anchor {given:.80}: no head (audit:changes:ROW:HASH, or 64 hexadecimal digits), no file: {problem}"
        ) from problem
    if not found:
        raise AnchorError(f"--anchor {given}: no head of an audit chain stands in this file (audit:changes:ROW:HASH)")
    return [Anchor(one, path.name) for one in sorted(found)]


def is_hash(given: str) -> bool:
    """Whether it is the hash of a row alone, as earlier stations printed it."""
    return _HASH.fullmatch(given) is not None


def departs(connection: sqlite3.Connection, anchors: Iterable[Anchor], chain: str = CHANGES) -> str:
    """Where the chain is another than the one of which these heads are; empty: it fits them all.

    The first row that differs lies behind the last head that fits, and is the first one that does not at the latest.
    """
    of_chain = [one for one in anchors if one.head.chain == chain]
    wrong = [one for one in of_chain if _hash_at(connection, one) != one.head.hash]
    if not wrong:
        return ""
    first = min(wrong, key=lambda one: one.head.row)
    row = first.head.row
    if _hash_at(connection, first) is None:
        newest = head_of(connection, chain)
        last = 0 if newest is None else newest.row
        if not any(one.head.row <= last for one in wrong):
            return f"row {row}, whose hash stands in {first.source}, is missing: the chain was cut off after row {last}"
    fits = max((one.head.row for one in of_chain if one.head.row < row), default=0)
    where = f"at row {row}" if fits == row - 1 else f"between row {fits + 1} and row {row}"
    return f"it departs {where} from the chain whose head stands in {first.source}: it was written anew from there on"


def _hash_at(connection: sqlite3.Connection, anchor: Anchor) -> str | None:
    chain = anchor.head.chain
    own = "id" if chain == CHANGES else "seq"
    row = connection.execute(f"{ROWS[chain]} WHERE {own} = ?", (anchor.head.row,)).fetchone()
    return None if row is None else bytes(row[1]).hex()


def _contents(path: Path) -> Iterator[bytes]:
    """Of the file, or of each member of a ZIP."""
    if not zipfile.is_zipfile(path):
        yield path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size <= MAX_BYTES:
                yield archive.read(member)
