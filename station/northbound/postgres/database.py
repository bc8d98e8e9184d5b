"""The database of the fleet, as one station sees it: a connection, and transactions of a whole batch or nothing.

The only importer of psycopg. A transaction locks the row of its station, so of two connections under one name (one of
them hung, the other came after it) the second waits for the first, and its sequence is the higher one.

`timeout_s` is of the whole transaction: a time-out of a socket is one for each byte, and a server that is stopped keeps
its connections open. What runs longer is cut.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo

from station.northbound.postgres.others import Found, Place
from station.northbound.postgres.rows import COLUMNS, Values
from station.northbound.postgres.schema import HOW_TO_INSTALL, SCHEMA, SCHEMA_VERSION

SSL_MODES = {"full": "verify-full", "authority": "verify-ca", "none": "disable"}
_KEY = ("station", "session", "acquisition_id", "wall_time")
_MINUTES = (
    "station", "session", "minute", "recipe", "engine_id", "verdict", "reason", "production", "parts", "late",
    "signalled", "signalled_sum_ms", "signalled_max_ms",
)  # fmt: skip
_MINUTE_VALUES = _MINUTES[8:]
_PARTS_IN = f"CREATE TEMPORARY TABLE incoming_parts (LIKE {SCHEMA}.parts) ON COMMIT DELETE ROWS"
_MINUTES_IN = f"CREATE TEMPORARY TABLE incoming_minutes (LIKE {SCHEMA}.minutes) ON COMMIT DELETE ROWS"
_PARTS = (
    f"INSERT INTO {SCHEMA}.parts ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM incoming_parts "
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in _KEY)
    + " WHERE excluded.sequence > parts.sequence"
)
_SUMS = (
    f"INSERT INTO {SCHEMA}.minutes ({', '.join(_MINUTES)}) SELECT {', '.join(_MINUTES)} FROM incoming_minutes "
    "ON CONFLICT (station, minute, session, recipe, engine_id, verdict, reason, production) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _MINUTE_VALUES)
    + " WHERE excluded.parts > minutes.parts"
)
_ENGINES = (
    f"INSERT INTO {SCHEMA}.engines VALUES (%s, %s, %s, %s, %s) ON CONFLICT (station, engine_id, recipe) DO UPDATE SET "
    "first_part = least(engines.first_part, excluded.first_part), "
    "last_part = greatest(engines.last_part, excluded.last_part)"
)
_EVENTS = f"INSERT INTO {SCHEMA}.events VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_LABELS = f"INSERT INTO {SCHEMA}.labels VALUES ({', '.join(['%s'] * 14)}) ON CONFLICT DO NOTHING"
_ENTER = f"INSERT INTO {SCHEMA}.stations (station) VALUES (%s) ON CONFLICT (station) DO NOTHING"
_LOCK = (
    f"SELECT instance, sequence, last_event, last_event_mark, last_label, last_label_mark FROM {SCHEMA}.stations "
    "WHERE station = %s FOR UPDATE"
)
_DONE = (
    f"UPDATE {SCHEMA}.stations SET instance = %s, sequence = %s, software = %s, seen_at = clock_timestamp(), "
    "clock_ahead_s = extract(epoch FROM %s::timestamptz - clock_timestamp()), waiting = %s, oldest_waiting = %s, "
    "left_out = %s, last_event = %s, last_event_mark = %s, last_label = %s, last_label_mark = %s WHERE station = %s"
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the database is, and as whom; `repr` shows no password."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)
    encryption: Literal["full", "authority", "none"] = "none"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = 20.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Who:
    """The station, and the computer that sends under its name."""

    station: str
    instance: str
    software: str


class Trouble(Exception):
    """Nothing of it was taken; the message says why and what to do."""


class Refused(Trouble):
    """The server takes all but what this batch holds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the station says of itself with every transaction."""

    now: Any
    """Its clock."""
    parts: int = 0
    oldest: Any = None
    left_out: int = 0


class Transaction:
    """One batch on its way; all of it is there once the block of `Database.transaction` has ended."""

    def __init__(self, cursor: psycopg.Cursor[Any], who: Who, row: Sequence[Any]) -> None:
        self._cursor = cursor
        self._who = who
        self.sequence = int(row[1]) + 1
        """Higher than that of everything that was ever sent under this name."""
        self.events, self.labels = Place(row[2], row[3]), Place(row[4], row[5])

    def parts(self, rows: Iterable[Values]) -> None:
        """Rows in the order of `COLUMNS`."""
        with self._cursor.copy(f"COPY incoming_parts ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._cursor.execute(_PARTS)

    def sums(self, rows: Sequence[Values]) -> None:
        """Of minutes."""
        with self._cursor.copy(f"COPY incoming_minutes ({', '.join(_MINUTES)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._cursor.execute(_SUMS)

    def engines(self, rows: Sequence[Values]) -> None:
        """That have judged."""
        self._cursor.executemany(_ENGINES, rows)

    def others(self, events: Found, labels: Found) -> None:
        """Behind the places `events` and `labels`, which move with them."""
        if events.rows:
            self._cursor.executemany(_EVENTS, events.rows)
        if labels.rows:
            self._cursor.executemany(_LABELS, labels.rows)
        self.events, self.labels = events.place, labels.place

    def done(self, waiting: Waiting) -> None:
        """What the row of the station says from now on."""
        places = (self.events.last, self.events.mark, self.labels.last, self.labels.mark)
        self._cursor.execute(
            _DONE,
            (
                self._who.instance, self.sequence, self._who.software, waiting.now, waiting.parts, waiting.oldest,
                waiting.left_out, *places, self._who.station,
            ),
        )  # fmt: skip


class Database:
    """Owns the connection. Used by one thread; `cut` may come from another."""

    def __init__(self, server: Server, who: Who) -> None:
        self._server = server
        self._who = who
        self._connection: psycopg.Connection[Any] | None = None
        self._days: set[date] = set()
        self._was_cut = False

    @property
    def where(self) -> str:
        """For people."""
        return str(self._server)

    def reach(self) -> str:
        """Connects, looks at the schema and closes again: why that does not work, or empty."""
        try:
            with self._limited():
                self._connect().close()
        except Trouble as problem:
            return str(problem)
        return ""

    @contextmanager
    def transaction(self, days: Iterable[date]) -> Iterator[Transaction]:
        """All that is done in the block is there behind it, or nothing. `days`: those of the parts.

        Raises Trouble; Refused where the server would take other parts.
        """
        with self._limited():
            connection = self._opened()
            if missing := set(days) - self._days:
                connection.execute(f"SELECT {SCHEMA}.make_days(%s)", (sorted(missing),))
                self._days |= missing
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(_ENTER, (self._who.station,))
                row = cursor.execute(_LOCK, (self._who.station,)).fetchone()
                if row is None:
                    raise Trouble(f"{self.where}: the row of station {self._who.station!r} is hidden from this user")
                if row[0] not in (None, self._who.instance):
                    raise Trouble(
                        f"{self.where}: another computer sends under the name {self._who.station!r}; give [station] "
                        "name another one, or, if this computer takes its place: "
                        f"SELECT {SCHEMA}.hand_over('{self._who.station}')"
                    )
                yield Transaction(cursor, self._who, row)

    def close(self) -> None:
        """The connection, if there is one."""
        connection, self._connection = self._connection, None
        self._days.clear()
        if connection is not None:
            connection.close()

    def cut(self) -> None:
        """Ends the transaction that is under way; nothing of it is taken."""
        self._was_cut = True
        connection = self._connection
        if connection is None or connection.closed:
            return
        try:
            with socket.socket(fileno=os.dup(connection.fileno())) as plain:
                plain.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            return  # it is closed already

    def _opened(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._days.clear()
            self._connection = self._connect()
            for statement in (_PARTS_IN, _MINUTES_IN):
                self._connection.execute(statement)
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        server = self._server

        def file(path: Path | None) -> str | None:
            return None if path is None else str(path)

        connection = psycopg.connect(
            make_conninfo(
                host=server.host, port=server.port, dbname=server.database, user=server.user,
                password=server.password or None, connect_timeout=max(2, round(server.timeout_s)),
                sslmode=SSL_MODES[server.encryption], sslrootcert=file(server.ca_file),
                sslcert=file(server.certificate_file), sslkey=file(server.key_file), gssencmode="disable",
                application_name=f"station {self._who.station}", client_encoding="utf8",
            ),
            autocommit=True,
        )  # fmt: skip
        try:
            self._check_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_schema(self, connection: psycopg.Connection[Any]) -> None:
        try:
            row = connection.execute(f"SELECT version FROM {SCHEMA}.version").fetchone()
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            row = None
        if row is None:
            raise Trouble(f"{self.where} has no schema {SCHEMA} yet; whoever owns the database runs: {HOW_TO_INSTALL}")
        if row[0] != SCHEMA_VERSION:
            newer = row[0] > SCHEMA_VERSION
            todo = "bring this station up to date" if newer else f"whoever owns the database runs: {HOW_TO_INSTALL}"
            raise Trouble(
                f"{self.where}: its schema {SCHEMA} has version {row[0]}, this station writes version "
                f"{SCHEMA_VERSION}; {todo}; until then results wait on the station"
            )

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Within `timeout_s` in all. What the server has becomes Trouble, and the next connection is a new one."""
        self._was_cut = False
        timer = threading.Timer(self._server.timeout_s, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (errors.DataError, errors.IntegrityError) as problem:
            self.close()
            raise Refused(f"{self.where}: {_first_line(problem)}") from problem
        except psycopg.Error as problem:
            self.close()
            raise Trouble(self._said(problem)) from problem
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()

    def _said(self, problem: psycopg.Error) -> str:
        server = self._server
        if self._was_cut:
            return f"{self.where}: not done within {server.timeout_s:g} s"
        said = _first_line(problem)
        for kind, todo in _TODO:
            if isinstance(problem, kind):
                return f"{self.where}: {said}; {todo}"
        if problem.sqlstate is None:  # libpq itself: nothing has come back
            if "password authentication failed" in said or "no password supplied" in said:
                return f"{self.where}: wrong password for user {server.user!r}; [postgres] password_file"
            if "certificate" in said or "SSL" in said:
                return f"{self.where}: {said}; [postgres] encryption, ca_file"
        return f"{self.where}: {said}"


_TODO: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "the disk of the server is full: results wait on the station"),
    (errors.ReadOnlySqlTransaction, "it only reads: [postgres] host must lead to the server that writes"),
    (errors.InsufficientPrivilege, "the user must be a member of station_writer: GRANT station_writer TO ..."),
    (errors.InvalidPassword, "[postgres] password_file"),
    (errors.InvalidCatalogName, "[postgres] database"),
    (errors.TooManyConnections, "raise max_connections of the server, or put a pooler before it"),
)


def _first_line(problem: psycopg.Error) -> str:
    """What it says, without the statement and the values."""
    said = problem.diag.message_primary or str(problem) or type(problem).__name__
    return f"{said.strip().splitlines()[0]:.300}"
