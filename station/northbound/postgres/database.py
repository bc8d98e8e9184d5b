"""The database of the fleet, as one station sees it: transactions of a whole batch or nothing.

A transaction locks the row of its station, so of two connections under one name (one of them hung, the other came after
it) the second waits for the first, and its sequence is the higher one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from station.northbound.postgres.link import Cursor, Link, Server, Use
from station.northbound.postgres.others import Found, Place
from station.northbound.postgres.rows import COLUMNS, Values
from station.northbound.postgres.schema import SCHEMA
from station.northbound.postgres.trouble import Trouble

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
class Who:
    """The station, and the computer that sends under its name."""

    station: str
    instance: str
    software: str


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

    def __init__(self, cursor: Cursor, who: Who, row: Sequence[Any]) -> None:
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
        use = Use(f"station {who.station}", "this station writes", "station_writer", "results wait on the station")
        self._link = Link(server, use, (_PARTS_IN, _MINUTES_IN))
        self._who = who
        self._days: set[date] = set()

    @property
    def where(self) -> str:
        """For people."""
        return self._link.where

    def reach(self) -> str:
        """Connects, looks at the schema and closes again: why that does not work, or empty."""
        return self._link.reach()

    @contextmanager
    def transaction(self, days: Iterable[date]) -> Iterator[Transaction]:
        """All that is done in the block is there behind it, or nothing. `days`: those of the parts.

        Raises Trouble; Refused where the server would take other parts.
        """
        with self._link.limited():
            if not self._link.is_open:
                self._days.clear()
            connection = self._link.opened()
            if missing := set(days) - self._days:
                connection.execute(f"SELECT {SCHEMA}.make_days(%s)", (sorted(missing),))
                self._days |= missing
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(_ENTER, (self._who.station,))
                row = cursor.execute(_LOCK, (self._who.station,)).fetchone()
                if row is None:
                    raise Trouble(
                        f"{self.where}: station {self._who.station!r} belongs to another user of the database: give "
                        "[station] name another one, or, if this user sends for it from now on: "
                        f"SELECT {SCHEMA}.hand_over('{self._who.station}')"
                    )
                if row[0] not in (None, self._who.instance):
                    raise Trouble(
                        f"{self.where}: another computer sends under the name {self._who.station!r}; give [station] "
                        "name another one, or, if this computer takes its place: "
                        f"SELECT {SCHEMA}.hand_over('{self._who.station}')"
                    )
                yield Transaction(cursor, self._who, row)

    def close(self) -> None:
        """The connection, if there is one."""
        self._link.close()

    def cut(self) -> None:
        """Ends the transaction that is under way; nothing of it is taken."""
        self._link.cut()
