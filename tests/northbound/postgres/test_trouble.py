"""A server that is away, full, read-only, of another version, hung: it is said what and what to do, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from station.northbound.postgres.database import Database, Who
from station.northbound.postgres.schema import schema_text
from tests.bench.other_user import open_folder
from tests.bench.places import ROOT
from tests.bench.postgres import OWNER, STATION, STATIONS_WORD, PostgresServer, postgres
from tests.bench.programs import require_program
from tests.northbound.postgres.station import Station, hours_of, parts_at

pytestmark = pytest.mark.system
FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file "base/1": No space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON station_fleet.parts FOR EACH ROW EXECUTE FUNCTION full_disk()"""
"""As a server says it whose disk is full."""


@pytest.mark.parametrize(
    ("break_it", "repair", "words"),
    [
        ("DROP SCHEMA station_fleet CASCADE", schema_text, ("has no schema station_fleet", "station fleet schema |")),
        (
            "UPDATE station_fleet.version SET version = 2", "UPDATE station_fleet.version SET version = 1",
            ("has version 2, this station writes version 1", "bring this station up to date", "results wait"),
        ),
        (FULL, "DROP TRIGGER full_disk ON station_fleet.parts", ("No space left", "disk of the server is full")),
        (
            "ALTER DATABASE {database} SET default_transaction_read_only = on",
            "ALTER DATABASE {database} RESET default_transaction_read_only", ("read-only", "[postgres] host must lead"),
        ),
        (
            f"REVOKE station_writer FROM {STATION}", f"GRANT station_writer TO {STATION}",
            ("permission denied", "GRANT station_writer"),
        ),
        (
            f"ALTER ROLE {STATION} PASSWORD 'another'", f"ALTER ROLE {STATION} PASSWORD '{STATIONS_WORD}'",
            ("password", "[postgres] password_file"),
        ),
    ],
)  # fmt: skip
def test_it_is_said_and_once_it_is_repaired_everything_arrives(
    station: Station, break_it: str, repair: str | Callable[[], str], words: tuple[str, ...]
) -> None:
    station.drain()
    if "default_transaction" not in break_it:
        station.ask(break_it.format(database=station.database))
    else:
        station.server.ask("postgres", break_it.format(database=station.database))
    station.start()
    station.record(parts_at(1, 30))
    pauses = [station.drain() for _ in range(3)]
    assert pauses == [1.0, 2.0, 4.0]
    progress = station.progress
    assert progress.failing_since is not None
    for word in words:
        assert word in progress.detail
    assert STATIONS_WORD not in progress.detail
    assert progress.cursor.last_id == 0
    if callable(repair):
        assert station.server.install(station.database, repair()).returncode == 0
    else:
        station.server.ask("postgres", repair.format(database=station.database)) if "ALTER DATABASE" in repair else (
            station.ask(repair)
        )
    station.drain()
    assert station.progress.failing_since is None
    assert station.hours() == hours_of(station.records)


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with postgres() as server:
        yield server


def test_a_server_that_goes_and_comes(own: PostgresServer, tmp_path: Path) -> None:
    database = own.new_database()
    own.stop()
    station = Station(tmp_path, own, database, timeout_s=2.0)
    assert station.drain() == 1.0
    station.record(parts_at(1, 10))
    assert station.drain() == 1.0 or station.progress.failing_since is not None
    assert "refused" in station.progress.detail
    own.start()
    station.drain()
    assert station.hours() == hours_of(station.records)
    station.record(parts_at(11, 40))
    own.kill()
    station.drain()
    assert station.progress.failing_since is not None
    own.start()
    station.drain()
    assert station.hours() == hours_of(station.records)
    station.record(parts_at(41, 60))
    own.freeze()
    began = time.monotonic()
    station.drain()
    assert time.monotonic() - began < 30
    assert "not done within 2 s" in station.progress.detail
    own.thaw()
    station.drain()
    station.drain()
    assert station.hours() == hours_of(station.records)
    station.record(parts_at(61, 62))
    own.ask(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'st04'")
    station.drain()
    station.drain()
    assert station.hours() == hours_of(station.records)
    station.close()


def test_only_the_server_of_the_authority_gets_the_password(own: PostgresServer, tmp_path: Path) -> None:
    openssl = require_program("openssl")
    for name, host in (("theirs", "IP:127.0.0.1"), ("another", "DNS:elsewhere")):
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}", "-keyout", own.folder / f"{name}.key",
             "-out", own.folder / f"{name}.pem"],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    database = own.new_database()
    who = Who("ST-04", "here", "1")

    def reach(certificate: str, trusted: str, encryption: str) -> str:
        own.stop()
        for name in ("key", "pem"):
            file = own.folder / f"{certificate}.{name}"
            own.own(file)
        own.more = [
            "ssl=on",
            *(f"ssl_{a}_file={own.folder / certificate}.{b}" for a, b in (("cert", "pem"), ("key", "key"))),
        ]
        own.start()
        server = replace(own.seen_by_station(database), encryption=encryption, ca_file=own.folder / f"{trusted}.pem")  # type: ignore[arg-type]
        return Database(server, who).reach()

    assert reach("theirs", "theirs", "full") == ""
    assert "certificate" in (said := reach("theirs", "another", "full"))
    assert "[postgres] encryption, ca_file" in said
    assert "elsewhere" in reach("another", "another", "full")
    assert reach("another", "another", "authority") == ""


def test_a_schema_of_another_version_is_not_overwritten(server: PostgresServer) -> None:
    database = server.new_database()
    assert server.install(database).returncode == 0, "again is allowed"
    server.ask(database, "UPDATE station_fleet.version SET version = 7")
    done = server.install(database)
    assert done.returncode != 0
    assert "has version 7, this script knows 1" in done.stderr


def test_who_reads_may_not_write_and_who_writes_may_not_change_the_schema(server: PostgresServer) -> None:
    database = server.new_database()
    rights = server.ask(
        database,
        "SELECT has_table_privilege('station_reader', 'station_fleet.parts', 'INSERT'), "
        "has_table_privilege('station_reader', 'station_fleet.fleet', 'SELECT'), "
        "has_table_privilege('station_writer', 'station_fleet.parts', 'DELETE'), "
        "has_function_privilege('station_writer', 'station_fleet.hand_over(text)', 'EXECUTE'), "
        "has_function_privilege('public', 'station_fleet.make_days(date[])', 'EXECUTE'), "
        "has_schema_privilege('station_writer', 'station_fleet', 'CREATE')",
    )
    assert rights == [(False, True, False, False, False, False)]
    assert OWNER not in repr(server.seen_by_station(database))
    assert STATIONS_WORD not in repr(server.seen_by_station(database))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a small file system for the user of the server")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", ["tables", "log"])
def test_a_disk_of_the_server_that_is_really_full(scenario: str) -> None:
    """In a mount namespace of its own: rows wait, the plant process says it, and with space they arrive, each once."""
    require_program("initdb")
    with open_folder() as small:
        mount = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs -o size=64m,mode=755 none "$0" && exec "$@"',
            str(small),
        ]
        if subprocess.run([*mount, "true"], capture_output=True).returncode != 0:
            pytest.skip("needs a small tmpfs: root may not mount here")
        program = [sys.executable, "-m", "tests.northbound.postgres.full_server", str(small), scenario]
        done = subprocess.run([*mount, *program], capture_output=True, text=True, timeout=170, cwd=ROOT)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
