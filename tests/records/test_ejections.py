"""When a bin confirmed a reject, on record: of today, and in records that an older station began."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from station.codes import ReasonCode
from station.records.ejections import Ejection, ejections, insert_ejection
from station.records.schema import DATABASE_FILE, open_reader, open_writer

PUSHED = Ejection(2, 1002, 1, 5.0, 0.2, "counts", ReasonCode.SCORE_ABOVE_LIMIT, True, 41.5)
WITHOUT_TIME = """CREATE TABLE ejections (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, acquisition_id INTEGER NOT NULL, part_id INTEGER NOT NULL,
    ejector INTEGER NOT NULL, wall_time REAL NOT NULL, error REAL NOT NULL, unit TEXT NOT NULL,
    reason INTEGER NOT NULL, confirmed INTEGER)"""


def test_records_of_an_older_station_get_the_column_and_keep_their_rows(tmp_path: Path) -> None:
    open_writer(tmp_path / DATABASE_FILE).close()
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as older:
        older.execute("DROP TABLE ejections")
        older.execute(WITHOUT_TIME)
        older.execute("INSERT INTO ejections VALUES (1, 's0', 1, 1001, 1, 4.0, 0.1, 'counts', 10, 1)")
        older.commit()
    with closing(open_reader(tmp_path)) as connection:
        assert [one.confirmed_ms for one in ejections(connection)] == [None], "read as it is"
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("INSERT INTO sessions VALUES ('s1', 1.0, NULL, 0)")
        statement = insert_ejection("s1", PUSHED)
        connection.execute(statement.sql, statement.values)
        assert [one.confirmed_ms for one in ejections(connection)] == [None, 41.5]
        assert list(ejections(connection, "s1")) == [PUSHED]
    open_writer(tmp_path / DATABASE_FILE).close()
