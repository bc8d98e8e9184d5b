"""The plant process while the disk of its server is really full; run as a program, as root, in a mount namespace.

    python -m tests.northbound.postgres.full_server DIRECTORY tables | log

DIRECTORY is a small file system of its own, which is filled. `tables`: the tables lie there, all else has room. `log`:
the write-ahead log lies there, without which a server goes down. Ends with 0 when all promises were kept.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from station.configuration.load import load_station
from station.forwarding.progress import forwarding_beside, read_progress
from tests.bench.other_user import open_folder
from tests.bench.places import ROOT
from tests.bench.postgres import PostgresServer
from tests.bench.waiting import wait_for
from tests.line.recording.full_disk import fill, free
from tests.northbound.plant_process import ended, started
from tests.northbound.postgres.station import hours_of, parts_at
from tests.northbound.postgres.test_process import WHERE, configured
from tests.northbound.sending import record

BEFORE, ALL = 40, 240
"""Parts: their rows need more than is left of the files that are there."""
HOURS = "SELECT * FROM station_fleet.hours('ST-04') ORDER BY 1"


@contextmanager
def server_at(small: Path, scenario: str) -> Iterator[tuple[PostgresServer, str]]:
    """A server that runs, and its database."""
    with open_folder() as folder:
        server = PostgresServer(folder)
        server.own(small)
        server.make(log=small / "log" if scenario == "log" else None)
        server.more = ["restart_after_crash=off", "wal_recycle=off"]
        server.start()
        try:
            database = server.new_database()
            if scenario == "tables":
                server.ask("postgres", f"CREATE TABLESPACE small LOCATION '{small}'")
                server.ask("postgres", f"ALTER DATABASE {database} SET TABLESPACE small")
            yield server, database
        finally:
            server.kill()


def write_log(server: PostgresServer) -> None:
    """Until the files of the log that were there before are full, too: the server goes down."""
    with suppress(psycopg.OperationalError):
        for _ in range(100):
            server.ask("postgres", "SELECT pg_logical_emit_message(false, 'test', repeat('x', 500000))")
    wait_for(lambda: server.has_ended, "the end of a server that cannot write its log")


def main(small: Path, scenario: str) -> None:
    """Raises AssertionError."""
    with tempfile.TemporaryDirectory() as name, server_at(small, scenario) as (server, database):
        config = configured(Path(name), server.port, database)
        records = load_station(config).records_dir
        file = forwarding_beside(records)
        process = started(config, WHERE)
        try:
            wait_for(lambda: read_progress(file) != [], "its first look")
            record(records, parts_at(1, BEFORE, every_s=2.0))
            wait_for(lambda: server.ask(database, HOURS) == hours_of(records), "what was before")
            fill(small)
            if scenario == "log":
                write_log(server)
            record(records, parts_at(BEFORE + 1, ALL, every_s=2.0))
            wait_for(lambda: read_progress(file)[0].failing_since is not None, "the failure")
            status = [sys.executable, "-m", "station", "plant", "status", "--config", str(config)]
            said = subprocess.run(status, cwd=ROOT, capture_output=True, text=True, timeout=60)
            sys.stdout.write(said.stdout)
            assert said.returncode == 1
            if scenario == "tables":
                assert "disk of the server is full" in read_progress(file)[0].detail
                assert read_progress(file)[0].cursor.last_id < ALL
            else:
                wait_for(lambda: "refused" in read_progress(file)[0].detail, "what the plant process says")
            free(small)
            if scenario == "log":
                server.start()  # as whoever looks after it does, or systemd
            wait_for(lambda: server.ask(database, HOURS) == hours_of(records), "every row, once", 60.0)
            wait_for(lambda: read_progress(file)[0].failing_since is None, "all is well")
            assert server.ask(database, "SELECT sum(parts)::int FROM station_fleet.minutes") == [(ALL,)]
        finally:
            code, log = ended(process, signal.SIGTERM)
        assert code == 0, log


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
