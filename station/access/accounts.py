"""People with accounts: invited with a one-time code, roles, locked; signing in and how wrong tries are slowed down.

Every method opens the database for itself, so that any thread and the command `station user` may call it at once.
The answer to a wrong name, a wrong password and a locked account is the same, and takes the same time.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from station.access import audit_chain, passwords
from station.access.accounts_schema import AccountError, change, opened
from station.access.passwords import PasswordError

PEOPLE_ROLES = ("viewer", "operator", "quality", "integrator", "maintenance", "admin")
ADMIN = "admin"
CODE_LASTS_S = 7 * 24 * 3600.0
LOGIN_LASTS_S = 12 * 3600.0
"""Whatever the person does."""
SEEN_EVERY_S = 20.0
"""A login that is used is written down this often, not at every request."""
FREE_TRIES = {"name": 5, "address": 20}
"""Wrong ones in a row; a panel at the line is one address for a whole shift."""
LONGEST_LOCK_S = 15 * 60.0
FORGET_TRIES_S = 24 * 3600.0
MAX_NAME = 32


class Refused(Exception):
    """Not signed in. It does not say why."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account."""

    name: str
    roles: tuple[str, ...]
    state: str
    """`invited`, `active` or `locked`."""
    created_by: str


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody who is signed in."""

    name: str
    roles: tuple[str, ...]
    csrf: str
    """Stands in every form of his pages."""


class Accounts:
    """Owns `hmi.db` in this folder."""

    def __init__(self, folder: Path, *, idle_s: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._idle_s = idle_s
        self._now = clock
        self._nobodys = ""

    def users(self) -> list[User]:
        """By name."""
        with opened(self._folder) as connection:
            rows = connection.execute("SELECT name, roles, state, created_by FROM users ORDER BY name COLLATE NOCASE")
            return [User(row["name"], _roles(row), row["state"], row["created_by"]) for row in rows]

    def invite(self, name: str, roles: Sequence[str], by: str, *, via: str) -> str:
        """A new person; returns the one-time code with which he chooses his password. Raises AccountError."""
        _check_name(name)
        _check_roles(roles)
        code, now = passwords.new_code(), self._now()
        with opened(self._folder) as connection, change(connection):
            if connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise AccountError(f'there is a person "{name}" already')
            connection.execute(
                "INSERT INTO users (name, roles, code, code_ends, state, created_at, created_by) "
                "VALUES (?, ?, ?, ?, 'invited', ?, ?)",
                (name, json.dumps(list(roles)), passwords.digest_of_code(code), now + CODE_LASTS_S, now, by),
            )
            audit_chain.append(connection, now, by, "invite", f"{name}: {', '.join(roles)}", via=via)
        return code

    def first_admin(self) -> str | None:
        """The code for the first person, while nobody has ever signed in; None afterwards."""
        with opened(self._folder) as connection:
            used = connection.execute("SELECT 1 FROM users WHERE password IS NOT NULL").fetchone()
            there = connection.execute("SELECT 1 FROM users WHERE name = ?", (ADMIN,)).fetchone()
        if used:
            return None
        return self.renew_code(ADMIN, "station", via="station") if there else self.invite(
            ADMIN, [ADMIN], "station", via="station"
        )  # fmt: skip

    def renew_code(self, name: str, by: str, *, via: str) -> str:
        """A new code, for who has lost code or password; his logins end. Raises AccountError."""
        code, now = passwords.new_code(), self._now()
        with opened(self._folder) as connection, change(connection):
            user = _user(connection, name)
            connection.execute(
                "UPDATE users SET code = ?, code_ends = ?, password = NULL, state = 'invited' WHERE id = ?",
                (passwords.digest_of_code(code), now + CODE_LASTS_S, user["id"]),
            )
            _end_logins(connection, user)
            audit_chain.append(connection, now, by, "new code", user["name"], via=via)
        return code

    def set_roles(self, name: str, roles: Sequence[str], by: str, *, via: str) -> None:
        """Also ends his logins: a login has the roles with which it began. Raises AccountError."""
        _check_roles(roles)
        with opened(self._folder) as connection, change(connection):
            user = _user(connection, name)
            if ADMIN not in roles:
                _keep_an_admin(connection, user)
            connection.execute("UPDATE users SET roles = ? WHERE id = ?", (json.dumps(list(roles)), user["id"]))
            _end_logins(connection, user)
            said = f"{user['name']}: {', '.join(_roles(user))} -> {', '.join(roles)}"
            audit_chain.append(connection, self._now(), by, "roles", said, via=via)

    def set_locked(self, name: str, by: str, *, locked: bool, via: str) -> None:
        """A locked person is signed out and stays out. Raises AccountError."""
        with opened(self._folder) as connection, change(connection):
            user = _user(connection, name)
            if locked:
                _keep_an_admin(connection, user)
            free = "active" if user["password"] is not None else "invited"
            connection.execute(
                "UPDATE users SET state = ? WHERE id = ?", ("locked" if locked else free, user["id"])
            )  # fmt: skip
            _end_logins(connection, user)
            connection.execute("DELETE FROM tries WHERE who = ?", (_name_key(name),))
            audit_chain.append(connection, self._now(), by, "lock" if locked else "unlock", user["name"], via=via)

    def welcome(self, name: str, code: str, password: str, address: str) -> str:
        """Chooses a password with the one-time code; returns the token of the login. Raises Refused, PasswordError."""
        passwords.check_new(password, name)
        stored, given, now = passwords.hashed(password), passwords.digest_of_code(code), self._now()
        with opened(self._folder) as connection:
            self._check_tries(connection, name, address)
            user = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
            fits = user is not None and user["code"] is not None and hmac.compare_digest(user["code"], given)
            if not fits or user["state"] != "invited" or user["code_ends"] < now:
                self._failed(connection, name, address)
                raise Refused
            with change(connection):
                done = connection.execute(
                    "UPDATE users SET password = ?, code = NULL, code_ends = NULL, state = 'active' "
                    "WHERE id = ? AND code = ?",
                    (stored, user["id"], given),
                )
                if done.rowcount != 1:  # the same code, by somebody else, just now
                    raise Refused
                audit_chain.append(connection, now, user["name"], "password", user["name"], via="hmi")
                return self._begin_login(connection, user, address)

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Returns the token of a new login. Raises Refused."""
        with opened(self._folder) as connection:
            user = self._proven(connection, name, password, address)
            with change(connection):
                connection.execute("DELETE FROM tries WHERE who = ?", (_name_key(name),))
                return self._begin_login(connection, user, address)

    def is_proven(self, name: str, password: str, address: str) -> bool:
        """The password of somebody who is signed in, asked once more; a wrong one counts as a wrong try."""
        with opened(self._folder) as connection:
            try:
                self._proven(connection, name, password, address)
            except Refused:
                return False
        return True

    def change_password(self, name: str, old: str, new: str, address: str) -> str:
        """Ends all logins of this person and begins a new one. Raises Refused, PasswordError."""
        passwords.check_new(new, name)
        with opened(self._folder) as connection:
            user = self._proven(connection, name, old, address)
            stored = passwords.hashed(new)
            with change(connection):
                connection.execute("UPDATE users SET password = ? WHERE id = ?", (stored, user["id"]))
                _end_logins(connection, user)
                audit_chain.append(connection, self._now(), user["name"], "password", user["name"], via="hmi")
                return self._begin_login(connection, user, address)

    def login_of(self, token: str) -> Login | None:
        """Who has this token; None when the login has ended, was idle for too long, or never was."""
        now, digest = self._now(), passwords.digest(token)
        with opened(self._folder) as connection:
            row = connection.execute(
                "SELECT logins.*, users.name, users.roles, users.state FROM logins "
                "JOIN users ON users.id = logins.user WHERE hash = ?",
                (digest,),
            ).fetchone()
            if row is None or row["state"] != "active":
                return None
            if row["ends_at"] <= now or row["seen_at"] + self._idle_s <= now:
                return None
            if now - row["seen_at"] >= SEEN_EVERY_S:
                connection.execute("UPDATE logins SET seen_at = ? WHERE hash = ?", (now, digest))
            return Login(row["name"], _roles(row), row["csrf"])

    def sign_out(self, token: str) -> None:
        """Ends this login."""
        with opened(self._folder) as connection:
            connection.execute("DELETE FROM logins WHERE hash = ?", (passwords.digest(token),))

    def deeds(self, newest: int) -> list[audit_chain.Deed]:
        """What was done, newest first."""
        with opened(self._folder) as connection:
            return audit_chain.deeds(connection, newest)

    def verified(self, anchor: str = "") -> audit_chain.Verified:
        """Whether the chain of what was done is whole."""
        with opened(self._folder) as connection:
            return audit_chain.verify(connection, anchor)

    def _proven(self, connection: sqlite3.Connection, name: str, password: str, address: str) -> sqlite3.Row:
        """The row of who has this name and password. Raises Refused."""
        self._check_tries(connection, name, address)
        user: sqlite3.Row | None = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
        self._nobodys = self._nobodys or passwords.nobodys()
        stored = self._nobodys if user is None or user["password"] is None else str(user["password"])
        is_right = passwords.is_right(stored, password)
        if not is_right or user is None or user["state"] != "active":
            self._failed(connection, name, address)
            raise Refused
        return user

    def _check_tries(self, connection: sqlite3.Connection, name: str, address: str) -> None:
        """Raises Refused while one of them is slowed down; the password is not even looked at."""
        locked = connection.execute(
            "SELECT 1 FROM tries WHERE who IN (?, ?) AND locked_until > ?",
            (_name_key(name), f"address:{address}", self._now()),
        ).fetchone()
        if locked:
            raise Refused

    def _failed(self, connection: sqlite3.Connection, name: str, address: str) -> None:
        now = self._now()
        with change(connection):
            connection.execute("DELETE FROM tries WHERE last_at < ?", (now - FORGET_TRIES_S,))
            for who, free in ((_name_key(name), FREE_TRIES["name"]), (f"address:{address}", FREE_TRIES["address"])):
                row = connection.execute("SELECT failed FROM tries WHERE who = ?", (who,)).fetchone()
                failed = 1 if row is None else row["failed"] + 1
                lock_s = 0.0 if failed < free else min(LONGEST_LOCK_S, 60.0 * 2 ** min(failed - free, 10))
                connection.execute(
                    "INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)",
                    (who, failed, now, now + lock_s if lock_s else 0),
                )
                if failed == free:
                    audit_chain.append(connection, now, who, "sign in", who, via="hmi", result="slowed down")

    def _begin_login(self, connection: sqlite3.Connection, user: sqlite3.Row, address: str) -> str:
        """A new token at every login: one that somebody slipped in is never taken."""
        token, now = secrets.token_urlsafe(32), self._now()
        connection.execute(
            "DELETE FROM logins WHERE ends_at <= ? OR seen_at + ? <= ?", (now, self._idle_s, now)
        )  # fmt: skip
        values = (
            passwords.digest(token),
            user["id"],
            now,
            now,
            now + LOGIN_LASTS_S,
            address,
            secrets.token_urlsafe(32),
        )
        connection.execute("INSERT INTO logins VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        audit_chain.append(connection, now, user["name"], "sign in", user["name"], via="hmi")
        return token


def _user(connection: sqlite3.Connection, name: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise AccountError(f'there is no person "{name}"')
    return row


def _keep_an_admin(connection: sqlite3.Connection, user: sqlite3.Row) -> None:
    """Raises AccountError when nobody could change accounts any more."""
    others = connection.execute("SELECT * FROM users WHERE id <> ? AND state = 'active'", (user["id"],))
    if ADMIN in _roles(user) and not any(ADMIN in _roles(other) for other in others):
        raise AccountError(f'"{user["name"]}" is the last admin; make another person admin first')


def _end_logins(connection: sqlite3.Connection, user: sqlite3.Row) -> None:
    connection.execute("DELETE FROM logins WHERE user = ?", (user["id"],))


def _roles(row: sqlite3.Row) -> tuple[str, ...]:
    return tuple(json.loads(row["roles"]))


def _name_key(name: str) -> str:
    return f"name:{name.casefold()[:MAX_NAME]}"


def _check_name(name: str) -> None:
    if not (name and len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise AccountError(f"name {name!r:.60}: 1 to {MAX_NAME} letters without spaces at its ends")


def _check_roles(roles: Sequence[str]) -> None:
    unknown = sorted(set(roles) - set(PEOPLE_ROLES))
    if unknown or not roles:
        raise AccountError(f"roles {', '.join(unknown) or 'none'}: allowed are {', '.join(PEOPLE_ROLES)}")


__all__ = ["AccountError", "Accounts", "Login", "PasswordError", "Refused", "User"]
