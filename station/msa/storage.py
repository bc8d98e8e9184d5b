"""`msa.db`, beside the labels: studies and what people said in them. A rating that was given is never changed.

What a station said stays in its records (`trials_of_station`), and is not copied here.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from station.access.shared_folder import file_beside, mode_in
from station.msa.study import STATION, KnownPart, Study, StudyError, checked

MSA_FILE = "msa.db"
SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE studies (
        name TEXT PRIMARY KEY,
        parts TEXT NOT NULL,  -- JSON: what each is known to be
        trials INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        appraisers TEXT NOT NULL,  -- JSON
        recipe TEXT NOT NULL,
        made_at REAL NOT NULL,
        made_by TEXT NOT NULL
    )""",
    """CREATE TABLE ratings (
        id INTEGER PRIMARY KEY,
        study TEXT NOT NULL REFERENCES studies (name),
        appraiser TEXT NOT NULL,
        trial INTEGER NOT NULL,
        part TEXT NOT NULL,
        accepted INTEGER NOT NULL CHECK (accepted IN (0, 1)),
        at REAL NOT NULL,
        entered_by TEXT NOT NULL,
        UNIQUE (study, appraiser, trial, part)
    )""",
    """CREATE TRIGGER ratings_are_never_changed BEFORE UPDATE ON ratings
        BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END""",
    """CREATE TRIGGER ratings_are_never_deleted BEFORE DELETE ON ratings
        BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END""",
)


@dataclass(frozen=True, slots=True)
class Rating:
    """What somebody said of a part in a trial."""

    appraiser: str
    trial: int
    """From 1."""
    part: str
    accepted: bool
    at: float = 0.0


def studies_beside(records: Path) -> Path:
    """Where the studies of a station lie; `records`: the folder of its records."""
    return file_beside(records, MSA_FILE)


def plan(file: Path, study: Study) -> Study:
    """Keeps a new study. Raises StudyError: it cannot be made, or its name is taken."""
    checked(study)
    with _writing(file) as connection:
        row = (
            study.name,
            json.dumps([asdict(part) for part in study.parts]),
            study.trials,
            study.seed,
            json.dumps(study.appraisers),
            study.recipe,
            study.made_at or time.time(),
            study.made_by,
        )
        try:
            connection.execute("INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise StudyError(f'there is a study "{study.name}" already; take another name') from None
    return study


def rate(file: Path, study: Study, ratings: Sequence[Rating], by: str) -> None:
    """Keeps what somebody said, all of it or nothing.

    Raises:
        StudyError: not of this study, out of its order, or said before.
    """
    for one in ratings:
        study.part(one.part)
        if not 1 <= one.trial <= study.trials:
            raise StudyError(f"trial {one.trial}: 1 to {study.trials}")
        if one.appraiser == STATION:
            raise StudyError(f'"{STATION}" is this station; what it said stays in its records')
        if not one.appraiser or len(one.appraiser) > 64 or not one.appraiser.isprintable():
            raise StudyError("appraiser: a name of 1 to 64 letters")
        if study.appraisers and one.appraiser not in study.appraisers:
            raise StudyError(f'"{one.appraiser}" does not take part; there are: {", ".join(study.appraisers)}')
    with _writing(file) as connection:
        for one in ratings:
            row = (study.name, one.appraiser, one.trial, one.part, one.accepted, one.at or time.time(), by)
            try:
                connection.execute(
                    "INSERT INTO ratings (study, appraiser, trial, part, accepted, at, entered_by) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise StudyError(
                    f'part "{one.part}" was rated in trial {one.trial} by {one.appraiser} already; it stays as it is'
                ) from None


def studies(file: Path) -> list[Study]:
    """All of them, newest first. Raises StudyError."""
    with _reading(file) as connection:
        if connection is None:
            return []
        rows = connection.execute("SELECT * FROM studies ORDER BY made_at DESC, name").fetchall()
    return [_study(row) for row in rows]


def study_named(file: Path, name: str) -> Study:
    """Raises StudyError: there is none, with those that there are."""
    found = studies(file)
    for each in found:
        if each.name == name:
            return each
    there = ", ".join(each.name for each in found) or "none; station msa plan makes one"
    raise StudyError(f'there is no study "{name}"; there are: {there}')


def ratings_of(file: Path, study: str) -> list[Rating]:
    """What people said, in the order in which they said it. Raises StudyError."""
    with _reading(file) as connection:
        if connection is None:
            return []
        query = "SELECT appraiser, trial, part, accepted, at FROM ratings WHERE study = ? ORDER BY id"
        rows = connection.execute(query, (study,)).fetchall()
    return [Rating(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]


def _study(row: sqlite3.Row) -> Study:
    return Study(
        row["name"],
        tuple(KnownPart(**part) for part in json.loads(row["parts"])),
        row["trials"],
        row["seed"],
        tuple(json.loads(row["appraisers"])),
        row["recipe"],
        row["made_at"],
        row["made_by"],
    )


@contextmanager
def _writing(file: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, whole or not at all."""
    try:
        with closing(sqlite3.connect(file, timeout=5.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                if _version(connection, file) == 0:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                    os.chmod(file, mode_in(file.parent))  # noqa: PTH101
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as problem:
        raise StudyError(f'studies "{file}" cannot be written: {problem}') from problem


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection | None]:
    """None: nobody has planned a study."""
    if not file.exists():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection if _version(connection, file) else None
    except sqlite3.Error as problem:
        raise StudyError(f'studies "{file}" cannot be read: {problem}') from problem


def _version(connection: sqlite3.Connection, file: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StudyError(f'studies "{file}" have schema version {version}, this station knows up to {SCHEMA_VERSION}')
    return version
