"""What the database of the fleet says of all stations, in one look: read-only, one moment for all of it.

It asks the views that Grafana asks. Who reads is a member of `station_reader`; the password comes from where libpq
finds it (`~/.pgpass`, PGPASSFILE), never from a command line, which every user of the computer sees.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

SCHEMA, SCHEMA_VERSION = "station_fleet", 1
CONNECT_S = 10
WHOLE_S = 60.0
"""For all of it."""
MOST_EVENTS = 50
MOST_REASONS = 12
_HOUR_S = 3600.0


class FleetError(Exception):
    """The database cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class StationNow:
    """A station, and its last hour of production."""

    name: str
    silent_s: float | None
    """Since it was last heard; None: never."""
    waiting: int
    """Parts on record there that are not here."""
    unsent_age_s: float
    left_out: int
    """Parts that were deleted there before they could be sent."""
    clock_ahead_s: float | None
    software: str
    parts: int
    passed_share: float | None
    """Of the parts of the last hour; None: there were none."""
    errors: int
    mean_ms: float | None
    max_ms: float | None
    """From the trigger to the signal."""
    engine_id: str | None
    recipe: str | None


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of production of one station."""

    station: str
    start: float
    """Seconds since the epoch."""
    parts: int
    passed: int
    failed: int
    in_review: int
    errors: int


@dataclass(frozen=True, slots=True)
class EngineUse:
    """One engine, and the stations on which it was the last that judged."""

    recipe: str
    engine_id: str
    stations: tuple[str, ...]
    first_part: float
    last_part: float


@dataclass(frozen=True, slots=True)
class Event:
    """A warning or an error that a station noted of itself."""

    station: str
    at: float
    kind: str
    level: str
    detail: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of it, at one moment."""

    database: str
    read_at: float
    """By the clock of the server, seconds since the epoch."""
    hours_back: int
    stations: tuple[StationNow, ...]
    hours: tuple[Hour, ...]
    """By station and time; an hour without a part is not there."""
    reasons: tuple[tuple[str, int, str, int], ...]
    """Verdict, code and name of the first reason, parts; the most frequent first."""
    engines: tuple[EngineUse, ...]
    events: tuple[Event, ...]
    """The newest first."""


def read(conninfo: str, hours_back: int) -> Fleet:
    """The last hours of the whole fleet. `conninfo`: as psql takes it, without a password. Raises FleetError."""
    with _reading(conninfo) as ask:
        ((now, name),) = ask("SELECT extract(epoch FROM now())::double precision, current_database()")
        stations = ask(
            "SELECT station, silent_s, waiting, unsent_age_s, left_out, clock_ahead_s, software, "
            "parts_last_hour::bigint, yield_last_hour::double precision, errors_last_hour::bigint, mean_ms, max_ms, "
            "engine_id, recipe "
            f"FROM {SCHEMA}.fleet ORDER BY station"
        )
        since = now // _HOUR_S * _HOUR_S - (hours_back - 1) * _HOUR_S
        hours = ask(
            "SELECT station, extract(epoch FROM hour)::double precision, sum(parts)::bigint, "
            "coalesce(sum(passed), 0)::bigint, round(sum(reject_rate * parts))::bigint, "
            "round(sum(review_rate * parts))::bigint, round(sum(error_rate * parts))::bigint "
            f"FROM {SCHEMA}.yield_by_hour WHERE hour >= to_timestamp(%s) AND hour <= now() "
            "GROUP BY station, hour ORDER BY station, hour",
            (since,),
        )
        reasons = ask(
            "SELECT m.verdict, m.reason, coalesce(r.name, m.reason::text), sum(m.parts)::bigint AS parts "
            f"FROM {SCHEMA}.minutes AS m LEFT JOIN {SCHEMA}.reasons AS r ON r.code = m.reason "
            "WHERE m.production AND m.verdict <> 'PASS' AND m.minute >= to_timestamp(%s) AND m.minute <= now() "
            "GROUP BY 1, 2, 3 ORDER BY parts DESC, 1, 2 LIMIT %s",
            (since, MOST_REASONS),
        )
        engines = ask(
            "SELECT recipe, engine_id, array_agg(station ORDER BY station), "
            "extract(epoch FROM min(first_part))::double precision, "
            "extract(epoch FROM max(last_part))::double precision AS last "
            f"FROM {SCHEMA}.engine_versions WHERE is_newest GROUP BY recipe, engine_id ORDER BY recipe, last DESC"
        )
        events = ask(
            "SELECT station, extract(epoch FROM wall_time)::double precision, kind, level, detail "
            f"FROM {SCHEMA}.events WHERE level IN ('warning', 'error') AND wall_time >= to_timestamp(%s) "
            "AND wall_time <= now() ORDER BY wall_time DESC, station LIMIT %s",
            (since, MOST_EVENTS),
        )
    return Fleet(
        name, now, hours_back,
        tuple(StationNow(*row) for row in stations),
        tuple(Hour(*row) for row in hours),
        tuple(tuple(row) for row in reasons),
        tuple(EngineUse(recipe, engine, tuple(names), first, last) for recipe, engine, names, first, last in engines),
        tuple(Event(*row) for row in events),
    )  # fmt: skip


@contextmanager
def _reading(conninfo: str) -> Iterator[Any]:
    """Asks within one transaction that only reads, and within `WHOLE_S`."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.Error as problem:
        raise FleetError(f"--database {conninfo!r}: {_first_line(problem)}; as psql takes it: {_EXAMPLE}") from problem
    if "password" in given:
        raise FleetError(
            "--database holds a password, which every user of this computer would see; put it into ~/.pgpass "
            "(HOST:PORT:DATABASE:USER:PASSWORD, chmod 600)"
        )
    timer = None
    try:
        with psycopg.connect(
            conninfo, autocommit=False, connect_timeout=CONNECT_S, client_encoding="utf8",
            application_name="station fleet page",
        ) as connection:  # fmt: skip
            timer = threading.Timer(WHOLE_S, _cut, (connection,))
            timer.daemon = True
            timer.start()
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SET LOCAL timezone = 'UTC'")  # an hour is the same hour for every reader
            _check_schema(connection)

            def ask(statement: str, values: Sequence[object] = ()) -> list[Any]:
                return connection.execute(statement, values or None).fetchall()

            yield ask
    except psycopg.errors.InsufficientPrivilege as problem:
        raise FleetError(
            f"{_first_line(problem)}; the user must be a member of station_reader: GRANT station_reader TO ..."
        ) from problem
    except psycopg.Error as problem:
        raise FleetError(_first_line(problem)) from problem
    finally:
        if timer is not None:
            timer.cancel()


def _cut(connection: psycopg.Connection[Any]) -> None:
    """Ends what runs, also where the server hangs: of the socket, since nothing else would come back."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as plain:
        plain.shutdown(socket.SHUT_RDWR)


_EXAMPLE = '"host=db.plant dbname=plant user=grafana"'


def _check_schema(connection: psycopg.Connection[Any]) -> None:
    try:
        row = connection.execute(f"SELECT version FROM {SCHEMA}.version").fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    if row is None or row[0] != SCHEMA_VERSION:
        found = "no schema" if row is None else f"version {row[0]} of the schema"
        raise FleetError(
            f"the database has {found} {SCHEMA}, this software reads version {SCHEMA_VERSION}; whoever owns it runs: "
            "station fleet schema | psql --dbname DATABASE"
        )


def _first_line(problem: psycopg.Error) -> str:
    said = problem.diag.message_primary or str(problem) or type(problem).__name__
    return f"{said.strip().splitlines()[0]:.300}"
