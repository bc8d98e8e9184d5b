"""Rows of many stations in one PostgreSQL: how many a second on one connection, and 200 stations at one part a second.

    python -m benchmarks.fleet_rows [--stations 200] [--seconds 600] [--rows 100000] [--json FILE]

The server is Debian's, in a folder of its own, and writes through to the disk. Each simulated station has a connection
and sends what a station sends: rows, a sum of the minute, its engine, every 5 s one transaction. Exit code 1 when a row
is missing or there twice.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from station.northbound.postgres.database import Database, Waiting, Who
from station.northbound.postgres.rows import Values, engines_of, values_of
from station.northbound.postgres.trouble import Trouble
from station.northbound.readings import day_of, moment
from station.records.parts import PartRow, part_row
from station.results import Verdict
from tests.bench.postgres import PostgresServer, postgres
from tests.bench.sample_parts import PartMaker

EVERY_S = 5.0
ONE = "one"
VERDICTS = (Verdict.PASS, Verdict.PASS, Verdict.FAIL)


def rows_of(count: int, first: int, at: float) -> list[PartRow]:
    """Parts of one minute, two of three PASS."""
    made = [part_row(PartMaker().inspected(number, verdict)) for number, verdict in enumerate(VERDICTS)]
    return [
        replace(made[n % 3], acquisition_id=n, part_id=n, wall_time=at + n / 1000) for n in range(first, first + count)
    ]


def sums_of(rows: list[PartRow], station: str, minute: float, total: int) -> list[Values]:
    """One row of the table `minutes`: all parts of this minute until now."""
    key = (station, rows[0].session, moment(minute), rows[0].recipe, rows[0].engine_id, "PASS", 0, True)
    return [(*key, total, 0, total, 20.0 * total, 20.0)]


def deliver(database: Database, station: str, rows: list[PartRow], total: int) -> None:
    with database.transaction({day_of(row.wall_time) for row in rows}) as at:
        at.parts(values_of(row, station, at.sequence) for row in rows)
        at.sums(sums_of(rows, station, rows[0].wall_time // 60 * 60, total))
        at.engines(engines_of(rows, station))
        at.done(Waiting(moment(time.time())))


def one_connection(server: PostgresServer, name: str, count: int, batch: int) -> dict[str, object]:
    """As a station drains that was away for long; then the same again, of which nothing may be new."""
    database = Database(server.seen_by_station(name, 120), Who(ONE, ONE, ""))
    at, found = time.time(), dict[str, object]()
    for what in ("new", "again"):
        began = time.perf_counter()
        for first in range(0, count, batch):
            deliver(database, ONE, rows_of(batch, first, at), first + batch)
        found[f"{what}_rows_per_s"] = round(count / (time.perf_counter() - began))
    database.close()
    ((rows,),) = server.ask(name, "SELECT count(*) FROM station_fleet.parts WHERE station = %s", (ONE,))
    assert rows == count, f"{rows} rows of {count}"
    ((size,),) = server.ask(
        name, "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits "
        "WHERE inhparent = 'station_fleet.parts'::regclass",
    )  # fmt: skip
    return {"rows": count, "batch": batch, **found, "bytes_per_row_after_both": round(size / count)}


@dataclass
class Simulated:
    """One station of many."""

    database: Database
    name: str
    pauses: threading.Event
    took_ms: list[float] = field(default_factory=list)
    sent: int = 0
    problem: str = ""

    def run(self, seconds: float, offset_s: float) -> None:
        began = time.monotonic() + offset_s
        turn = 0
        while turn * EVERY_S < seconds:
            self.pauses.wait(max(0.0, began + turn * EVERY_S - time.monotonic()))
            rows = rows_of(int(EVERY_S), self.sent, time.time())
            at = time.perf_counter()
            try:
                deliver(self.database, self.name, rows, self.sent + len(rows))
            except Trouble as problem:
                self.problem = str(problem)
                return
            self.took_ms.append((time.perf_counter() - at) * 1e3)
            self.sent += len(rows)
            turn += 1
        self.database.close()


def many(server: PostgresServer, name: str, stations: int, seconds: float) -> dict[str, object]:
    """Each part once, and how long a transaction took."""
    never = threading.Event()
    all_of_them = [
        Simulated(Database(server.seen_by_station(name, 60), Who(f"ST-{n}", str(n), "")), f"ST-{n}", never)
        for n in range(stations)
    ]
    threads = [
        threading.Thread(target=one.run, args=(seconds, EVERY_S * n / stations)) for n, one in enumerate(all_of_them)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    problems = {one.problem for one in all_of_them if one.problem}
    assert not problems, problems
    ((rows,),) = server.ask(name, "SELECT count(*) FROM station_fleet.parts WHERE station <> %s", (ONE,))
    sent = sum(one.sent for one in all_of_them)
    assert rows == sent, f"{rows} rows of {sent}"
    took = sorted(ms for one in all_of_them for ms in one.took_ms)
    return {
        "stations": stations, "seconds": seconds, "rows": rows, "transactions": len(took),
        "median_ms": round(statistics.median(took), 1), "p99_ms": round(took[int(0.99 * len(took))], 1),
        "worst_ms": round(took[-1], 1),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = [f"max_connections={options.stations + 20}", "fsync=on", "shared_buffers=128MB", "autovacuum=on"]
    with postgres(*settings) as server:
        name = server.new_database()
        try:
            found = {
                "one_connection": one_connection(server, name, options.rows, 1000),
                "many": many(server, name, options.stations, options.seconds),
            }
        except AssertionError as problem:
            print(problem, file=sys.stderr)
            return 1
    text = json.dumps(found, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
