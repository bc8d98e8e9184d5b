"""How process values stand, for people: read from the file alone, whether the process that writes it runs or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from station.configuration.plc import ProcessSection
from station.process.joined import With, rejects_with
from station.process.storage import PROCESS, PROCESS_FILE, Finding, findings, reading, samples

OLD_PERIODS = 5.0
SHOWN = 50
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Now:
    """The last sample and what stands."""

    at: float | None
    """When the last sample was taken; None: there is none."""
    values: dict[str, float]
    learned: float
    """Share of the samples that are needed to know what is normal."""
    standing: Sequence[Finding]
    """What has begun and is not over."""
    findings: Sequence[Finding]
    """The newest, newest first."""

    def is_old(self, section: ProcessSection, now: float) -> bool:
        """Nobody has read for several periods: is `station process run` alive?"""
        return self.at is None or now - self.at > OLD_PERIODS * section.period_s + 5.0


def look(work_dir: Path, section: ProcessSection) -> Now:
    """Raises ProcessError."""
    with reading(work_dir / PROCESS_FILE) as connection:
        if connection is None:
            return Now(None, {}, 0.0, (), ())
        found = findings(connection, 1000)
        last = connection.execute("SELECT MAX(wall_time) FROM samples WHERE source = ?", (PROCESS,)).fetchone()[0]
        values = {} if last is None else samples(connection, PROCESS, float(last), float(last) + 1e-3)[-1][1]
        since = connection.execute("SELECT MAX(wall_time) FROM findings WHERE kind = 'learn'").fetchone()[0] or 0.0
        query = "SELECT COUNT(*) FROM samples WHERE source = ? AND wall_time >= ?"
        (count,) = connection.execute(query, (PROCESS, since)).fetchone()
    newest: dict[str, Finding] = {}
    for finding in found:
        newest.setdefault(finding.kind, finding)
    standing = [one for one in newest.values() if one.begins and one.kind != "learn"]
    return Now(last, values, min(1.0, count / section.learn_samples), standing, found[:SHOWN])


def rejects(
    records: sqlite3.Connection, work_dir: Path, section: ProcessSection, since: float, until: float
) -> list[With]:
    """With which values the rejects of a period came. Raises ProcessError, sqlite3.Error."""
    query = (
        "SELECT wall_time, verdict IN ('FAIL', 'REVIEW') FROM parts WHERE wall_time >= ? AND wall_time < ? "
        "AND challenge IS NULL AND verdict <> 'ERROR' ORDER BY wall_time"
    )
    parts = [(float(at), bool(rejected)) for at, rejected in records.execute(query, (since, until))]
    with reading(work_dir / PROCESS_FILE) as connection:
        if connection is None:
            return []
        found = samples(connection, PROCESS, since - DAY_S, until)
    return rejects_with(parts, found, OLD_PERIODS * section.period_s)
