"""A database of the fleet as several stations have filled it, for what reads it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from station.northbound.postgres.database import Database, Waiting, Who
from station.northbound.postgres.others import Found, Place
from station.northbound.postgres.rows import engines_of, values_of
from station.northbound.readings import day_of, moment
from station.records.parts import PartRow, part_row
from station.results import Verdict
from tests.bench.postgres import PostgresServer
from tests.bench.sample_parts import PartMaker

NASTY = "ST <b>4</b> \" ' %s [x]"
READER, READERS_WORD = "grafana", "secret of grafana"
HOUR_S = 3600.0


@dataclass(frozen=True)
class Sent:
    """What one station has sent."""

    name: str
    hours: int = 6
    """Back from now."""
    parts: int = 40
    """Of each hour."""
    bad: int = 2
    """Of each hour: FAIL, REVIEW and ERROR in turn."""
    engine: str = "3f" * 32
    recipe: str = "cover"
    waiting: int = 0
    oldest_s: float = 0.0
    left_out: int = 0
    clock_ahead_s: float = 0.0
    silent_s: float = 0.0
    """Since it was last heard."""
    events: tuple[tuple[str, str, str], ...] = ()
    """Kind, level, detail."""


def reader_of(server: PostgresServer, database: str) -> str:
    """How psql would connect as one who may only read; the password is not in it."""
    server.ask(
        database,
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER}') THEN "
        f"CREATE ROLE {READER} LOGIN PASSWORD '{READERS_WORD}' IN ROLE station_reader; END IF; END $$",
    )
    return f"host=127.0.0.1 port={server.port} dbname={database} user={READER}"


def fill(server: PostgresServer, database: str, *stations: Sent) -> None:
    """Through what sends."""
    for station in stations:
        _send(server, database, station)


def _send(server: PostgresServer, database: str, sent: Sent) -> None:
    now = time.time()
    sender = Database(server.seen_by_station(database), Who(sent.name, sent.name, "1.2.3"))
    rows = [row for back in range(sent.hours) for row in _rows(sent, now - back * HOUR_S - 60.0, back)]
    days = {day_of(row.wall_time) for row in rows}
    events = [
        (sent.name, "s1", number, moment(now - 60.0 * number), *event) for number, event in enumerate(sent.events, 1)
    ]
    with sender.transaction(days) as at:
        at.parts([values_of(row, sent.name, at.sequence) for row in rows if row.verdict != "PASS"])
        at.sums(_sums(sent, rows))
        at.engines(engines_of(rows, sent.name))
        at.others(Found(tuple(events), Place(len(events), "")), Found((), Place(0, "")))
        oldest = moment(now - sent.oldest_s) if sent.waiting else None
        at.done(Waiting(moment(now + sent.clock_ahead_s), sent.waiting, oldest, sent.left_out))
    sender.close()
    server.ask(
        database,
        "UPDATE station_fleet.stations SET seen_at = now() - make_interval(secs => %s) WHERE station = %s",
        (sent.silent_s, sent.name),
    )


def _rows(sent: Sent, at: float, hour: int) -> list[PartRow]:
    make = PartMaker()
    made = {verdict: part_row(make.inspected(1, verdict)) for verdict in Verdict}
    bad = (Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR)
    verdicts = [Verdict.PASS if number >= sent.bad else bad[number % 3] for number in range(sent.parts)]
    return [
        replace(
            made[verdict], acquisition_id=hour * sent.parts + number, wall_time=at, engine_id=sent.engine,
            recipe=sent.recipe,
        )
        for number, verdict in enumerate(verdicts, 1)
    ]  # fmt: skip


def _sums(sent: Sent, rows: list[PartRow]) -> list[tuple[object, ...]]:
    sums: dict[tuple[object, ...], int] = {}
    for row in rows:
        minute = datetime.fromtimestamp(row.wall_time // 60 * 60, timezone.utc)
        first = next(iter(row.reason_list), None)
        reason = 0 if first is None else int(first.code)
        key = (sent.name, row.session, minute, row.recipe, row.engine_id, row.verdict, reason, True)
        sums[key] = sums.get(key, 0) + 1
    return [(*key, count, 0, count, 30.0 * count, 45.0) for key, count in sums.items()]
