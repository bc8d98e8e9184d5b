"""The table of jobs in PostgreSQL, and what a job reads there of its station.

A worker takes a job with `FOR UPDATE SKIP LOCKED`, so two never take the same one, and has it as long as its lease is
renewed. Each write of a worker names the job and the try: whoever was given up for lost changes nothing any more. All
times are by the clock of the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from station.fleet.refreshing.jobs import Asked, Counts, Job, Result
from station.northbound.postgres.link import Connection, Link, Server, Use
from station.northbound.postgres.rows import as_json, clean
from station.northbound.postgres.schema import SCHEMA

_COLUMNS = (
    "job, round, station, recipe, parts, options, asked_by, asked_at, most_tries, state, tries, worker, began_at, "
    "ended_at, step, step_done, step_total, detail, core_s, product, engine_id, archive_sha256, archive_bytes, report, "
    "released_at, sequence, (state = 'running' AND leased_until < clock_timestamp()) AS is_lost"
)
_JOBS = f"{SCHEMA}.refresh_jobs"
_ADD = (
    f"INSERT INTO {_JOBS} (round, station, recipe, parts, options, asked_by, most_tries) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (station, recipe) WHERE state IN ('waiting', 'running') "
    "DO NOTHING RETURNING job"
)
_GIVE_UP = (
    f"UPDATE {_JOBS} SET state = 'failed', ended_at = clock_timestamp(), detail = 'its worker ' || worker || "
    "' was lost in try ' || tries || ' of ' || most_tries || ', at step ' || coalesce(nullif(step, ''), 'begin') "
    "WHERE state = 'running' AND leased_until < clock_timestamp() AND tries >= most_tries"
)
_TAKE = (
    f"WITH next AS (SELECT job FROM {_JOBS} WHERE (%(round)s::text IS NULL OR round = %(round)s) AND "
    "(state = 'waiting' OR (state = 'running' AND leased_until < clock_timestamp())) AND tries < most_tries "
    "ORDER BY tries, job FOR UPDATE SKIP LOCKED LIMIT 1) "
    f"UPDATE {_JOBS} AS j SET state = 'running', tries = tries + 1, worker = %(worker)s, began_at = clock_timestamp(), "
    "leased_until = clock_timestamp() + %(lease)s, step = '', step_done = 0, step_total = 0 "
    f"FROM next WHERE j.job = next.job RETURNING {', '.join(f'j.{name}' for name in _COLUMNS.split(', ')[:-1])}, false"
)
_OWN = "job = %(job)s AND tries = %(tries)s AND worker = %(worker)s AND state = 'running'"
_BEAT = (
    f"UPDATE {_JOBS} SET leased_until = clock_timestamp() + %(lease)s, step = %(step)s, step_done = %(done)s, "
    f"step_total = %(total)s WHERE {_OWN}"
)
_DONE = (
    f"UPDATE {_JOBS} SET state = 'done', ended_at = clock_timestamp(), detail = '', product = %(product)s, "
    "engine_id = %(engine_id)s, archive_sha256 = %(sha256)s, archive_bytes = %(bytes)s, report = %(report)s, "
    f"core_s = %(core_s)s WHERE {_OWN}"
)
_FAILED = (
    f"UPDATE {_JOBS} SET state = CASE WHEN %(again)s AND tries < most_tries THEN 'waiting' ELSE 'failed' END, "
    "ended_at = CASE WHEN %(again)s AND tries < most_tries THEN NULL ELSE clock_timestamp() END, "
    f"detail = %(why)s WHERE {_OWN}"
)
_PUT_BACK = f"UPDATE {_JOBS} SET state = 'waiting', tries = tries - 1, detail = %(why)s WHERE {_OWN}"
_WITHDRAW = (
    f"UPDATE {_JOBS} SET state = 'withdrawn', ended_at = clock_timestamp(), detail = %s WHERE state = 'waiting' "
    "AND (round = %s OR job::text = %s)"
)
_RELEASED = f"UPDATE {_JOBS} SET released_at = clock_timestamp(), sequence = %s WHERE job = %s AND state = 'done'"
_OLD = (
    f"SELECT {_COLUMNS} FROM {_JOBS} WHERE archive_sha256 IN (SELECT archive_sha256 FROM {_JOBS} "
    "WHERE archive_sha256 IS NOT NULL GROUP BY archive_sha256 "
    "HAVING bool_and(state = 'done' AND released_at IS NULL AND ended_at < clock_timestamp() - %s)) ORDER BY job"
)
_PARTS = (
    f"SELECT p.session, p.acquisition_id, p.part_id, p.views FROM {SCHEMA}.parts AS p "
    "JOIN unnest(%(sessions)s::text[], %(numbers)s::bigint[]) AS k(session, number) "
    "ON p.session = k.session AND p.acquisition_id = k.number "
    "WHERE p.station = %(station)s AND p.recipe = %(recipe)s AND p.challenge IS NULL "
    "AND p.verdict IN ('PASS', 'FAIL', 'REVIEW') AND p.wall_time >= %(since)s AND p.wall_time < %(until)s "
    "ORDER BY p.wall_time DESC, p.acquisition_id DESC"
)
_LABELS = (
    "SELECT l.session, l.acquisition_id, coalesce(l.camera, ''), l.label, coalesce(l.defect_class, '') "
    f"FROM {SCHEMA}.last_labels AS l JOIN unnest(%(sessions)s::text[], %(numbers)s::bigint[]) AS k(session, number) "
    "ON l.session = k.session AND l.acquisition_id = k.number WHERE l.station = %(station)s"
)
_STATIONS = (
    f"SELECT DISTINCT station FROM {SCHEMA}.engines WHERE recipe = %s AND last_part >= now() - %s ORDER BY station"
)
_ENGINE = f"SELECT engine_id FROM {SCHEMA}.engines WHERE station = %s AND recipe = %s ORDER BY last_part DESC LIMIT 1"
MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class FleetPart:
    """A judged part on record there, with its views as they were sent: untrusted JSON."""

    session: str
    acquisition_id: int
    part_id: int
    views: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> tuple[str, int]:
        return self.session, self.acquisition_id


@dataclass(frozen=True, slots=True)
class FleetLabel:
    """What a person said last of a part, or of one view of it."""

    camera: str
    """Empty: of the part, whatever view."""
    label: str
    defect_class: str


class Table:
    """Owns a connection. Used by one thread. Methods raise Trouble: nothing has changed."""

    def __init__(self, server: Server, worker: str = "") -> None:
        use = Use(
            "station fleet",
            "this station refreshes with",
            "station_refresher",
            "jobs wait, and nothing of them is lost",
        )
        self._link = Link(server, use)
        self._worker = worker

    @property
    def where(self) -> str:
        """For people."""
        return self._link.where

    def reach(self) -> str:
        """Why it cannot be used, or empty."""
        return self._link.reach()

    def close(self) -> None:
        """The connection, if there is one."""
        self._link.close()

    # ---- for whoever asks ---------------------------------------------------------------------------------------

    def stations(self, recipe: str, days: int) -> list[str]:
        """Those whose engines have judged parts of this recipe lately."""
        with self._asked() as connection:
            return [row[0] for row in connection.execute(_STATIONS, (clean(recipe), timedelta(days=days)))]

    def add(
        self, round_name: str, asked: Sequence[Asked], *, parts: int, options: Mapping[str, Any], by: str, tries: int
    ) -> list[int]:
        """New jobs, all or none; for a station and recipe that has an open one already there is no second."""
        with self._asked() as connection, connection.transaction():
            found = []
            for one in asked:
                values = (round_name, clean(one.station), clean(one.recipe), parts, as_json(dict(options)), clean(by))
                row = connection.execute(_ADD, (*values, tries)).fetchone()
                found += [] if row is None else [int(row[0])]
            return found

    def jobs(self, which: str | None = None) -> list[Job]:
        """Newest first; `which`: of this round, or with this number."""
        chosen = "" if which is None else "WHERE round = %(which)s OR job::text = %(which)s "
        query = f"SELECT {_COLUMNS} FROM {_JOBS} {chosen}ORDER BY job DESC LIMIT {MOST_LISTED}"
        with self._asked() as connection:
            return [Job(*row) for row in connection.execute(query, {"which": which})]

    def counts(self, round_name: str) -> Counts:
        """Of a round; jobs that were tried often enough have failed by then."""
        query = (
            "SELECT state, count(*), count(*) FILTER (WHERE state = 'running' AND leased_until < clock_timestamp()), "
            f"sum(tries) FROM {_JOBS} WHERE round = %s GROUP BY state"
        )
        with self._asked() as connection:
            connection.execute(_GIVE_UP)
            rows = connection.execute(query, (round_name,)).fetchall()
        return Counts({row[0]: row[1] for row in rows}, sum(row[2] for row in rows), sum(int(row[3]) for row in rows))

    def withdraw(self, which: str, by: str) -> int:
        """Of a round, or the one with this number: what nobody has taken yet. How many those were."""
        with self._asked() as connection:
            return connection.execute(_WITHDRAW, (f"withdrawn by {clean(by)}", which, which)).rowcount

    def released(self, job: int, sequence: int) -> None:
        """Its engine is in a channel."""
        with self._asked() as connection:
            connection.execute(_RELEASED, (sequence, job))

    def never_released(self, days: int) -> list[Job]:
        """That ended longer ago, oldest first; none whose archive is also that of a job that is younger or released."""
        with self._asked() as connection:
            return [Job(*row) for row in connection.execute(_OLD, (timedelta(days=days),))]

    # ---- for a worker -------------------------------------------------------------------------------------------

    def take(self, lease_s: float, round_name: str | None = None) -> Job | None:
        """The next job, which is this worker's until the lease is over; None: there is none."""
        values = {"round": round_name, "worker": self._worker, "lease": timedelta(seconds=lease_s)}
        with self._asked() as connection:
            connection.execute(_GIVE_UP)
            row = connection.execute(_TAKE, values).fetchone()
        return None if row is None else Job(*row)

    def beat(self, job: Job, lease_s: float, step: str, done: int, total: int) -> bool:
        """It goes on; False: it is another's by now."""
        lease = {"lease": timedelta(seconds=lease_s)}
        return self._own(_BEAT, job, {**lease, "step": clean(step)[:100], "done": done, "total": total})

    def done(self, job: Job, result: Result) -> bool:
        """The engine is there; False: the job is another's by now, and nothing was noted."""
        values = {
            "product": clean(result.product), "engine_id": result.engine_id, "sha256": result.archive_sha256,
            "bytes": result.archive_bytes, "report": as_json(json.loads(json.dumps(dict(result.report), default=str))),
            "core_s": result.core_s,
        }  # fmt: skip
        return self._own(_DONE, job, values)

    def failed(self, job: Job, why: str, *, again: bool) -> bool:
        """`again`: another try may end otherwise, and there is one left."""
        return self._own(_FAILED, job, {"why": clean(why)[:2000], "again": again})

    def put_back(self, job: Job, why: str) -> bool:
        """The worker stops; this was no try."""
        return self._own(_PUT_BACK, job, {"why": clean(why)[:2000]})

    # ---- what a job reads ---------------------------------------------------------------------------------------

    def parts(self, job: Job, day: date, keys: Sequence[tuple[str, int]]) -> list[FleetPart]:
        """Those of these parts that the station of the job judged on this day (UTC), newest first; no master parts."""
        since = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        values = {"recipe": job.recipe, "since": since, "until": since + timedelta(days=1), **_keys(job, keys)}
        with self._asked() as connection:
            rows = connection.execute(_PARTS, values).fetchall()
        return [FleetPart(str(row[0]), int(row[1]), int(row[2]), _views(row[3])) for row in rows]

    def labels(self, job: Job, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], list[FleetLabel]]:
        """What people said of these parts last."""
        found: dict[tuple[str, int], list[FleetLabel]] = {}
        with self._asked() as connection:
            for session, number, camera, label, defect_class in connection.execute(_LABELS, _keys(job, keys)):
                found.setdefault((session, number), []).append(FleetLabel(camera, label, defect_class))
        return found

    def engine_of(self, job: Job) -> str | None:
        """Id of the engine that has judged the newest part."""
        with self._asked() as connection:
            row = connection.execute(_ENGINE, (job.station, job.recipe)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _asked(self) -> Iterator[Connection]:
        with self._link.limited():
            yield self._link.opened()

    def _own(self, statement: str, job: Job, values: Mapping[str, Any]) -> bool:
        with self._asked() as connection:
            own = {"job": job.number, "tries": job.tries, "worker": self._worker}
            return connection.execute(statement, {**own, **values}).rowcount == 1


def _keys(job: Job, keys: Sequence[tuple[str, int]]) -> dict[str, Any]:
    sessions, numbers = [key[0] for key in keys], [key[1] for key in keys]
    return {"station": job.station, "sessions": sessions, "numbers": numbers}


def _views(found: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()
