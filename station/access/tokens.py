"""Tokens of programs: made by an admin, shown once, kept as a digest, with an end. They open the API and no page."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from station.access import audit_chain, passwords
from station.access.accounts_schema import AccountError, change, opened

TOKEN_RIGHTS = ("read", "label", "audit")
"""`read`: what the API shows, but the audit trail. `label`: say what a part was. `audit`: who changed what."""
LONGEST_DAYS = 730
USED_EVERY_S = 60.0
"""A token that is used is written down this often, not at every request."""
MAX_NAME = 32
_PREFIX = "station_"
"""So that a token that leaked into a file can be found."""


@dataclass(frozen=True, slots=True)
class Token:
    """Of one program."""

    name: str
    rights: tuple[str, ...]
    made_by: str
    ends_at: float
    used_at: float | None


class Tokens:
    """Owns the table of tokens in `hmi.db` of this folder. Any thread may ask."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = clock

    def all(self) -> list[Token]:
        """By name; those that have ended, too."""
        with opened(self._folder) as connection:
            return [_token(row) for row in connection.execute("SELECT * FROM tokens ORDER BY name COLLATE NOCASE")]

    def make(self, name: str, rights: Sequence[str], days: int, by: str, *, via: str) -> str:
        """A new token; returned here and never again. Raises AccountError."""
        if not (name and len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
            raise AccountError(f"name {name!r:.60}: 1 to {MAX_NAME} letters without spaces at its ends")
        if not rights or any(right not in TOKEN_RIGHTS for right in rights):
            raise AccountError(f"rights: one or more of {', '.join(TOKEN_RIGHTS)}")
        if not 1 <= days <= LONGEST_DAYS:
            raise AccountError(f"days: 1 to {LONGEST_DAYS}")
        secret, now = _PREFIX + secrets.token_urlsafe(32), self._now()
        with opened(self._folder) as connection, change(connection):
            if connection.execute("SELECT 1 FROM tokens WHERE name = ?", (name,)).fetchone():
                raise AccountError(f'there is a token "{name}" already; withdraw it first')
            values = (passwords.digest(secret), name, json.dumps(list(rights)), by, now, now + days * 86_400.0)
            connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, NULL)", values)
            audit_chain.append(connection, now, by, "new token", f"{name}: {', '.join(rights)}", via=via)
        return secret

    def withdraw(self, name: str, by: str, *, via: str) -> None:
        """It opens nothing any more. Raises AccountError."""
        with opened(self._folder) as connection, change(connection):
            if not connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount:
                raise AccountError(f'there is no token "{name}"')
            audit_chain.append(connection, self._now(), by, "withdraw token", name, via=via)

    def of(self, secret: str) -> Token | None:
        """Whose token that is; None: nobody's, or it has ended."""
        now, digest = self._now(), passwords.digest(secret)
        with opened(self._folder) as connection:
            row = connection.execute("SELECT * FROM tokens WHERE hash = ?", (digest,)).fetchone()
            if row is None or row["ends_at"] <= now:
                return None
            if row["used_at"] is None or now - row["used_at"] >= USED_EVERY_S:
                connection.execute("UPDATE tokens SET used_at = ? WHERE hash = ?", (now, digest))
            return _token(row)


def _token(row: sqlite3.Row) -> Token:
    return Token(row["name"], tuple(json.loads(row["rights"])), row["made_by"], row["ends_at"], row["used_at"])
