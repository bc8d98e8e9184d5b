"""A connection to the database of the fleet: opened, of the schema that is known, and within a time limit.

The only importer of psycopg. What goes wrong becomes `Trouble`, with what to do about it, and the next connection is a
new one. `timeout_s` is of all that is done in a block: a time-out of a socket is one for each byte, and a server that
is stopped keeps its connections open. What runs longer is cut.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo

from station.northbound.postgres.schema import HOW_TO_INSTALL, SCHEMA, SCHEMA_VERSION
from station.northbound.postgres.trouble import Refused, Trouble

SSL_MODES = {"full": "verify-full", "authority": "verify-ca", "none": "disable"}
Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]


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
class Use:
    """What the connection is for, in the words of messages."""

    application: str
    """Shown by the server in its list of connections."""
    does: str
    """`this station writes`."""
    role: str
    """Of which the user must be a member."""
    until_then: str
    """What happens while the server is away."""


class Link:
    """Owns a connection. Used by one thread; `cut` may come from another."""

    def __init__(self, server: Server, use: Use, prepare: Sequence[str] = ()) -> None:
        """`prepare`: statements that each new connection begins with."""
        self._server = server
        self._use = use
        self._prepare = prepare
        self._connection: Connection | None = None
        self._was_cut = False

    @property
    def where(self) -> str:
        """For people."""
        return str(self._server)

    @property
    def is_open(self) -> bool:
        """The next `opened` is the connection of the last one."""
        return self._connection is not None and not self._connection.closed

    def reach(self) -> str:
        """Connects, looks at the schema and closes again: why that does not work, or empty."""
        try:
            with self.limited():
                self._connect().close()
        except Trouble as problem:
            return str(problem)
        return ""

    def opened(self) -> Connection:
        """The connection, made where there is none. In a block of `limited`."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            for statement in self._prepare:
                self._connection.execute(statement)
        return self._connection

    def close(self) -> None:
        """The connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def cut(self) -> None:
        """Ends what is under way; nothing of it is taken."""
        self._was_cut = True
        connection = self._connection
        if connection is None or connection.closed:
            return
        try:
            with socket.socket(fileno=os.dup(connection.fileno())) as plain:
                plain.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            return  # it is closed already

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Within `timeout_s` in all. Raises Trouble; Refused where the server would take other data."""
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

    def _connect(self) -> Connection:
        server = self._server

        def file(path: Path | None) -> str | None:
            return None if path is None else str(path)

        connection = psycopg.connect(
            make_conninfo(
                host=server.host, port=server.port, dbname=server.database, user=server.user,
                password=server.password or None, connect_timeout=max(2, round(server.timeout_s)),
                sslmode=SSL_MODES[server.encryption], sslrootcert=file(server.ca_file),
                sslcert=file(server.certificate_file), sslkey=file(server.key_file), gssencmode="disable",
                application_name=self._use.application, client_encoding="utf8",
            ),
            autocommit=True,
        )  # fmt: skip
        try:
            self._check_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_schema(self, connection: Connection) -> None:
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
                f"{self.where}: its schema {SCHEMA} has version {row[0]}, {self._use.does} version "
                f"{SCHEMA_VERSION}; {todo}; until then {self._use.until_then}"
            )

    def _said(self, problem: psycopg.Error) -> str:
        server = self._server
        if self._was_cut:
            return f"{self.where}: not done within {server.timeout_s:g} s"
        said = _first_line(problem)
        for kind, todo in _TODO:
            if isinstance(problem, kind):
                return f"{self.where}: {said}; {todo.format(use=self._use)}"
        if problem.sqlstate is None:  # libpq itself: nothing has come back
            if "password authentication failed" in said or "no password supplied" in said:
                return f"{self.where}: wrong password for user {server.user!r}; [postgres] password_file"
            if f'database "{server.database}" does not exist' in said:
                return f"{self.where}: {said}; [postgres] database"
            if "certificate" in said or "SSL" in said:
                return f"{self.where}: {said}; [postgres] encryption, ca_file"
        return f"{self.where}: {said}"


_TODO: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.UndefinedTable, f"its schema is an older one; whoever owns the database runs: {HOW_TO_INSTALL}"),
    (errors.DiskFull, "the disk of the server is full: {use.until_then}"),
    (errors.ReadOnlySqlTransaction, "it only reads: [postgres] host must lead to the server that writes"),
    (errors.InsufficientPrivilege, "the user must be a member of {use.role}: GRANT {use.role} TO ..."),
    (errors.InvalidPassword, "[postgres] password_file"),
    (errors.InvalidCatalogName, "[postgres] database"),
    (errors.TooManyConnections, "raise max_connections of the server, or put a pooler before it"),
)


def _first_line(problem: psycopg.Error) -> str:
    """What it says, without the statement and the values."""
    said = problem.diag.message_primary or str(problem) or type(problem).__name__
    return f"{said.strip().splitlines()[0]:.300}"
