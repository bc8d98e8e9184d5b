"""The plant is away for days, and its process is killed again and again: does every part arrive, each once?

    python -m benchmarks.plant_away [--hours 72] [--rate 20] [--kills 100] [--pass-every 20] [--json FILE]

A station has made parts for so long without a network. Then Debian's PostgreSQL is there, and `station plant run` sends
what has been waiting, while it is killed with SIGKILL at random moments and the server is killed and started now and
then. At the end both sides are compared: number and hash of the rows of each hour, and the sums of each minute with all
parts of the records. Exit code 1 when they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from station.configuration.load import load_station
from station.forwarding.progress import Progress, forwarding_beside, read_progress
from station.records.schema import DATABASE_FILE, open_writer
from tests.bench.many_parts import fill
from tests.bench.postgres import PostgresServer, postgres
from tests.northbound.plant_process import started
from tests.northbound.postgres.station import NOON, Row, hashed
from tests.northbound.postgres.test_process import WHERE, configured

SERVER_KILLED_EVERY = 20
"""Kills of the process."""
LONGEST_LIFE_S = 2.5
DRAIN_S = 7200.0
STATION = "ST-04"
CHOSEN = "verdict <> 'PASS' OR acquisition_id % :every = 0"
"""As `station.northbound.postgres.rows.Policy` does."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=72.0)
    parser.add_argument("--rate", type=float, default=20.0, help="parts a second")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pass-every", type=int, default=20, help="of PASS, every Nth has a row; 1: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plant-away-") as temporary, postgres("max_wal_size=4GB") as server:
        found = away(Path(temporary), server, options)
    print(json.dumps(found, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["rows_equal"] and found["sums_equal"] else 1


def away(folder: Path, server: PostgresServer, options: argparse.Namespace) -> dict[str, Any]:
    """What was sent, how long it took, and whether both sides are equal."""
    database = server.new_database()
    config = configured(folder, server.port, database)
    config.write_text(
        config.read_text().replace("pass_every = 1\nbatch = 20\n", f"pass_every = {options.pass_every}\nbatch = 1000\n")
        + "[plant]\nkeep_unsent_days = 30\n"
    )
    records = load_station(config).records_dir
    records.mkdir(parents=True, exist_ok=True)
    open_writer(records / DATABASE_FILE).close()
    process = started(config, WHERE)  # a station that has been connected before
    while not read_progress(forwarding_beside(records)):
        time.sleep(0.1)
    end(process)
    count = round(3600 * options.hours * options.rate)
    fill(records, count, now=NOON, step_s=1 / options.rate, with_images=0)
    print(f"{count} parts of {options.hours:g} hours wait", flush=True)
    draw, began, lives = random.Random(options.seed), time.monotonic(), []
    for kill in range(options.kills):
        if kill % SERVER_KILLED_EVERY == SERVER_KILLED_EVERY // 2:
            server.kill()
        process = started(config, WHERE)
        lives.append(draw.uniform(0.0, LONGEST_LIFE_S))
        time.sleep(lives[-1])
        end(process)
        if kill % SERVER_KILLED_EVERY == SERVER_KILLED_EVERY // 2 + 1:
            server.start()
    killed_s, sent_then = time.monotonic() - began, progress(records).sent
    process = started(config, WHERE)
    began = time.monotonic()
    while waiting(records):
        if process.poll() is not None or time.monotonic() - began > DRAIN_S:
            raise SystemExit(f"it does not end: {progress(records)}")
        time.sleep(0.5)
    drained_s = time.monotonic() - began
    end(process, signal.SIGTERM)
    rows = server.ask(database, f"SELECT * FROM station_fleet.hours('{STATION}') ORDER BY 1")
    sums = server.ask(
        database, "SELECT extract(epoch FROM minute)::bigint, verdict, sum(parts)::bigint FROM station_fleet.minutes "
        "GROUP BY 1, 2 ORDER BY 1, 2",
    )  # fmt: skip
    ((there,),) = server.ask(database, "SELECT count(*) FROM station_fleet.parts")
    return {
        "parts": count, "hours": options.hours, "kills": options.kills, "pass_every": options.pass_every,
        "sent_while_killed": sent_then, "killed_s": round(killed_s, 1), "drained_s": round(drained_s, 1),
        "parts_per_s": round((count - sent_then) / drained_s) if count > sent_then else None, "rows": there,
        "rows_equal": rows == chosen(records, options.pass_every), "sums_equal": sums == minutes(records),
        "load": os.getloadavg()[0], "cores": os.cpu_count(),
    }  # fmt: skip


def end(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """With its pipes closed."""
    process.send_signal(number)
    process.communicate(timeout=60)


def progress(records: Path) -> Progress:
    return read_progress(forwarding_beside(records))[0]


def waiting(records: Path) -> bool:
    """Whether anything is behind the cursor."""
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        ((last,),) = connection.execute("SELECT max(id) FROM parts")
    return int(last) > progress(records).cursor.last_id


def chosen(records: Path, every: int) -> list[Row]:
    """What the function `hours` of the schema has to say."""
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        return hashed(
            connection.execute(
                "SELECT CAST(wall_time / 3600 AS INTEGER), session, acquisition_id, verdict FROM parts "
                f"WHERE {CHOSEN}", {"every": every},
            )
        )  # fmt: skip


def minutes(records: Path) -> list[Row]:
    """Begin of the minute, verdict, parts: all of them."""
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        found = Counter(
            connection.execute("SELECT CAST(wall_time / 60 AS INTEGER) * 60, verdict FROM parts").fetchall()
        )
    return sorted((minute, verdict, parts) for (minute, verdict), parts in found.items())


if __name__ == "__main__":
    sys.exit(main())
