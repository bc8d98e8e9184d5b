"""A stolen password of one station neither reads nor writes what another one sends; a database of before gets there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from station.northbound.postgres.trouble import Trouble
from tests.bench.postgres import PostgresServer
from tests.northbound.postgres.station import Station, hours_of, parts_at

pytestmark = pytest.mark.system
STEP_1 = Path(__file__).with_name("schema_of_step_1.sql")
"""The schema as it was before a user had rows of his own."""
TABLES = ("stations", "parts", "minutes", "engines", "events", "labels")
THIEF = ("thief", "of the thief")


def login(server: PostgresServer, name: str, role: str = "station_writer") -> tuple[str, str]:
    """A user of this role, of the whole server."""
    word = f"of the {name}"
    server.ask(
        "postgres",
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN "
        f"CREATE ROLE {name} LOGIN PASSWORD '{word}' IN ROLE {role}; END IF; END $$",
    )
    return name, word


def ask(station: Station, user: tuple[str, str], statement: str, values: object = ()) -> list[tuple[Any, ...]]:
    """What this user is given."""
    with psycopg.connect(
        host="127.0.0.1", port=station.server.port, dbname=station.database, user=user[0], password=user[1],
        autocommit=True,
    ) as connection:  # fmt: skip
        cursor = connection.execute(statement, values)  # type: ignore[call-overload]
        return [] if cursor.description is None else list(cursor.fetchall())


@pytest.fixture
def two(server: PostgresServer, tmp_path: Path) -> Iterator[tuple[Station, Station]]:
    """Each with a user of its own, both have sent."""
    database = server.new_database()
    stations = [
        Station(tmp_path / name, server, database, name, login=login(server, user))
        for name, user in (("ST-04", "honest"), ("ST-05", "thief"))
    ]
    for station in stations:
        station.drain()
        station.record(parts_at(1, 6))
        station.drain()
        assert station.hours() == hours_of(station.records)
        for statement in (
            "INSERT INTO station_fleet.events VALUES (%s, 's', 1, now(), 'k', 'info', '')",
            "INSERT INTO station_fleet.labels VALUES (%s, 1, now(), 's1', 1, NULL, now(), 'good', NULL, NULL, '', "
            "'anna', 'quality', 'decision')",
        ):
            ask(station, station.login, statement, (station.name,))
    yield stations[0], stations[1]
    for station in stations:
        station.close()


def test_each_station_sees_its_own_rows(two: tuple[Station, Station]) -> None:
    for station in two:
        for table in TABLES:
            found = ask(station, station.login, f"SELECT DISTINCT station FROM station_fleet.{table}")
            assert found == [(station.name,)], table
        assert station.ask(f"SELECT db_user FROM station_fleet.stations WHERE station = '{station.name}'") == [
            (station.login[0],)
        ]


TRIED = (
    "CREATE TEMPORARY TABLE wanted AS SELECT * FROM station_fleet.parts; UPDATE wanted SET station = 'ST-04'; "
    "INSERT INTO station_fleet.parts SELECT * FROM wanted ON CONFLICT (station, session, acquisition_id, wall_time) "
    "DO UPDATE SET verdict = 'PASS'",
    "INSERT INTO station_fleet.events VALUES ('ST-04', 's', 2, now(), 'k', 'info', '')",
    "INSERT INTO station_fleet.labels VALUES ('ST-04', 2, now(), 's1', 1, NULL, now(), 'good', NULL, NULL, '', "
    "'anna', 'quality', 'decision')",
    "INSERT INTO station_fleet.engines VALUES ('ST-04', 'f', 'r', now(), now())",
    "INSERT INTO station_fleet.engines VALUES ('ST-99', 'f', 'r', now(), now())",
    "INSERT INTO station_fleet.stations (station, db_user) VALUES ('ST-98', 'honest')",
    "INSERT INTO station_fleet.stations (station) VALUES ('ST-04') ON CONFLICT (station) DO UPDATE SET waiting = 9",
    "UPDATE station_fleet.parts SET station = 'ST-04'",
    "UPDATE station_fleet.stations SET db_user = 'honest' WHERE station = 'ST-05'",
    "DELETE FROM station_fleet.parts",
    "TRUNCATE station_fleet.parts",
    "SELECT * FROM station_fleet.parts_other",
    "INSERT INTO station_fleet.minutes_other SELECT * FROM station_fleet.minutes",
    "SELECT * FROM station_fleet.last_labels",
    "SELECT * FROM station_fleet.fleet",
    "SELECT station_fleet.hand_over('ST-04')",
    "SELECT station_fleet.assign('ST-04', 'thief')",
    "ALTER TABLE station_fleet.parts DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own_stations ON station_fleet.parts",
    "SET row_security = off; SELECT * FROM station_fleet.parts",
    "SET ROLE honest",
)


def test_what_a_stolen_password_tries_is_refused(two: tuple[Station, Station]) -> None:
    honest, thief = two

    def rows() -> list[list[tuple[Any, ...]]]:
        return [honest.ask(f"SELECT * FROM station_fleet.{table} WHERE station = 'ST-04'") for table in TABLES]

    before, taken = rows(), []
    for statement in TRIED:
        for role in ("", "SET ROLE station_writer; "):  # the role in which its users are
            try:
                found = ask(thief, thief.login, role + statement)
            except errors.InsufficientPrivilege:
                continue
            if not role or found:  # as the role itself it has no row to change
                taken.append(statement)
    assert taken == []
    assert rows() == before


@pytest.mark.parametrize("table", ["stations", "parts", "minutes", "engines"])
def test_rows_of_others_are_not_there_to_be_changed(two: tuple[Station, Station], table: str) -> None:
    _, thief = two
    found = ask(
        thief, thief.login, f"UPDATE station_fleet.{table} SET station = station WHERE station = 'ST-04' RETURNING 1"
    )
    assert found == []


def test_under_the_name_of_another_nothing_is_sent_and_the_reason_is_said(
    two: tuple[Station, Station], tmp_path: Path
) -> None:
    honest, thief = two
    stolen = Station(tmp_path / "stolen", thief.server, thief.database, "ST-04", login=thief.login)
    stolen.record(parts_at(7, 9))
    assert stolen.drain() == 1.0
    assert "'ST-04' belongs to another user of the database" in stolen.progress.detail
    assert "hand_over('ST-04')" in stolen.progress.detail
    assert honest.hours() == hours_of(honest.records)
    stolen.close()


@pytest.mark.parametrize("role", ["station_reader", "station_refresher"])
def test_who_reads_for_the_plant_reads_all(two: tuple[Station, Station], role: str) -> None:
    honest, _ = two
    reader = login(honest.server, f"of_{role}", role)
    tables = TABLES if role == "station_reader" else ("stations", "parts", "engines", "labels", "last_labels")
    for table in tables:
        query = f"SELECT DISTINCT station FROM station_fleet.{table} ORDER BY 1"
        assert ask(honest, reader, query) == [("ST-04",), ("ST-05",)], table
        if table != "last_labels":
            with pytest.raises(errors.InsufficientPrivilege):
                ask(honest, reader, f"UPDATE station_fleet.{table} SET station = station")


def test_who_was_granted_a_table_singly_is_shown_all_of_it(two: tuple[Station, Station]) -> None:
    """An empty answer would look like a plant without parts."""
    honest, _ = two
    two_roles = login(honest.server, "reads_and_sends")
    honest.ask("GRANT station_reader TO reads_and_sends")
    other = login(honest.server, "analyst", "pg_monitor")
    honest.ask("GRANT USAGE ON SCHEMA station_fleet TO analyst; GRANT SELECT ON station_fleet.parts TO analyst")
    for user in (two_roles, other):
        assert ask(honest, user, "SELECT count(DISTINCT station) FROM station_fleet.parts") == [(2,)]
    with pytest.raises(errors.InsufficientPrivilege):
        ask(honest, two_roles, "INSERT INTO station_fleet.engines VALUES ('ST-04', 'f', 'r', now(), now())")


def test_a_station_gets_another_user(two: tuple[Station, Station], tmp_path: Path) -> None:
    honest, thief = two
    heir = Station(tmp_path / "heir", honest.server, honest.database, "ST-04", login=login(honest.server, "heir"))
    for statement in ("SELECT station_fleet.hand_over('ST-04')", "SELECT station_fleet.hand_over('ST-04')"):
        honest.ask(statement)
    heir.drain()
    heir.record(parts_at(7, 9))
    heir.drain()
    assert heir.progress.failing_since is None
    assert heir.ask("SELECT db_user FROM station_fleet.stations WHERE station = 'ST-04'") == [("heir",)]
    honest.record(parts_at(20, 21))
    honest.drain()
    assert "belongs to another user" in honest.progress.detail
    heir.ask("SELECT station_fleet.assign('ST-04', 'honest'), station_fleet.hand_over('ST-05'), "
             "station_fleet.assign('ST-05', 'honest'), station_fleet.assign('ST-77', 'honest')")  # fmt: skip
    assert heir.ask("SELECT db_user FROM station_fleet.stations ORDER BY station") == [("honest",)] * 3
    thief.record(parts_at(7, 9))
    thief.drain()
    assert "belongs to another user" in thief.progress.detail
    with pytest.raises(errors.UndefinedObject):
        heir.ask("SELECT station_fleet.assign('ST-04', 'nobody')")
    heir.close()


def test_a_database_of_before_is_brought_up_to_date_while_stations_send(server: PostgresServer, tmp_path: Path) -> None:
    """No row is lost, no station has to be brought up to date with it, and the first one that sends owns its name."""
    database = server.new_database(with_schema=False)
    assert server.install(database, STEP_1.read_text() + "COMMIT;\n").returncode == 0
    stations = [
        Station(tmp_path / name, server, database, name, login=login(server, user))
        for name, user in (("ST-04", "honest"), ("ST-05", "thief"))
    ]
    for station in stations:
        station.drain()
        station.record(parts_at(1, 6))
        station.drain()
        assert station.hours() == hours_of(station.records), "a station of today sends to a database of before"
    assert stations[0].ask("SELECT count(*) FROM information_schema.columns WHERE column_name = 'db_user'") == [(0,)]
    for _ in range(2):
        done = server.install(database)
        assert done.returncode == 0, done.stderr
    assert stations[0].ask("SELECT version, step FROM station_fleet.version") == [(1, 2)]
    assert stations[0].ask("SELECT DISTINCT db_user FROM station_fleet.stations") == [(None,)]
    for station in stations:
        station.record(parts_at(7, 12))
        station.drain()
        assert station.progress.failing_since is None, station.progress.detail
        assert station.hours() == hours_of(station.records)
    owners = "SELECT station, db_user FROM station_fleet.stations ORDER BY 1"
    assert stations[0].ask(owners) == [("ST-04", "honest"), ("ST-05", "thief")]
    assert ask(stations[1], stations[1].login, "SELECT DISTINCT station FROM station_fleet.parts") == [("ST-05",)]
    assert server.install(database).returncode == 0
    assert stations[0].ask(owners) == [("ST-04", "honest"), ("ST-05", "thief")], "again, it stays so"
    for station in stations:
        station.close()
    server.ask(database, "UPDATE station_fleet.version SET step = 3")
    done = server.install(database)
    assert done.returncode != 0
    assert "has step 3, this script knows 2" in done.stderr


def test_users_of_several_stations_have_them_all(server: PostgresServer, tmp_path: Path) -> None:
    """Where a plant has one user for all of its stations, they are as apart as before: not at all."""
    database = server.new_database()
    for name in ("ST-04", "ST-05"):
        station = Station(tmp_path / name, server, database, name)
        station.drain()
        station.record(parts_at(1, 3))
        station.drain()
        assert station.progress.failing_since is None
        station.close()
    assert ask(station, station.login, "SELECT count(*)::int FROM station_fleet.parts") == [(6,)]
    other = Station(tmp_path / "other", server, database, "ST-04", login=login(server, "honest"))
    with pytest.raises(Trouble, match="belongs to another user"), other.sender.transaction([]):
        pass
    other.close()
