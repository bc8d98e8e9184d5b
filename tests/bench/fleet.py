"""Stations that have sent rows and images, and the computer that makes their engines: real database, real share."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from station.fleet.refreshing.jobs import Asked, Job
from station.fleet.refreshing.results import MARK as RESULTS_MARK
from station.fleet.refreshing.results import Results
from station.fleet.refreshing.table import Table
from station.northbound.images.policy import name_of
from station.northbound.images.stores import MARK, Folder, Readable, Store
from station.northbound.postgres.database import Database, Waiting, Who
from station.northbound.postgres.link import Server
from station.northbound.postgres.rows import engines_of, values_of
from station.northbound.readings import day_of, moment
from station.python_command import python_command
from station.records.images import encode_png
from station.records.parts import PartRow, part_row
from station.results import Pixels, Verdict
from tests.bench.engines.pictures import ring
from tests.bench.postgres import PostgresServer
from tests.bench.sample_parts import PartMaker

REFRESHER, REFRESHERS_WORD = "refresher", "secret of the refresher"
QUICK = {"steps": 0, "defect_trials": 0, "location": "none", "refine": "none"}
"""A teaching of seconds."""
Hash = Callable[[bytes], str]


def scratched_after(good: int) -> Callable[[int], Pixels]:
    """Pictures of parts 1 to `good` are good, those behind scratched."""
    return lambda number: ring(number, scratch=number > good)


@dataclass
class Fleet:
    """One database, one share, one folder of results, one computer that refreshes."""

    folder: Path
    server: PostgresServer
    database: str
    lease_s: float = 4.0
    tries: int = 3
    more: str = ""
    """Of the configuration."""
    now: float = field(default_factory=time.time)
    opened: list[Table] = field(default_factory=list)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.share, self.results = self.folder / "share", Results(self.folder / "results")
        for folder, mark in ((self.share, MARK), (self.results.folder, RESULTS_MARK)):
            folder.mkdir(parents=True)
            (folder / mark).touch()
        self.store: Store = Folder(self.share)
        self.readable: Readable = Folder(self.share)
        self.server.ask(
            self.database,
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{REFRESHER}') THEN "
            f"CREATE ROLE {REFRESHER} LOGIN PASSWORD '{REFRESHERS_WORD}' IN ROLE station_refresher; END IF; END $$",
        )
        word = self.folder / "password"
        word.write_text(REFRESHERS_WORD + "\n")
        word.chmod(0o600)
        self.config = self.folder / "station.toml"
        self.config.write_text(
            '[station]\nname = "center"\nwork_dir = "work"\n[cameras.top]\nproducer = "simtl"\n[plc]\nrole = "off"\n'
            '[engine]\nstore = "engines"\nproduct = "cover"\n'
            f'[postgres]\nhost = "127.0.0.1"\nport = {self.server.port}\ndatabase = "{self.database}"\n'
            f'user = "{REFRESHER}"\npassword_file = "password"\nencryption = "none"\n'
            f'[images]\nfolder = "{self.share}"\n'
            f'[fleet]\nresults = "{self.results.folder}"\nlease_s = {self.lease_s}\ntries = {self.tries}\n{self.more}'
        )

    def keep_in(self, store: Store, readable: Readable, lines: str) -> None:
        """Images go there and come from there; `lines` of [images] in place of the folder."""
        self.store, self.readable = store, readable
        self.config.write_text(self.config.read_text().replace(f'folder = "{self.share}"\n', lines))

    @property
    def seen_by_refresher(self) -> Server:
        return Server("127.0.0.1", self.server.port, self.database, REFRESHER, REFRESHERS_WORD)

    def table(self, worker: str = "") -> Table:
        self.opened.append(Table(self.seen_by_refresher, worker))
        return self.opened[-1]

    def close(self) -> None:
        """Every connection, and whatever a test has left running."""
        for table in self.opened:
            table.close()
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=20)

    def ask(self, statement: str, values: object = ()) -> list[tuple[Any, ...]]:
        return self.server.ask(self.database, statement, values)

    # ---- what stations send -------------------------------------------------------------------------------------

    def send(
        self,
        station: str,
        verdicts: Mapping[int, Verdict],
        picture: Callable[[int], Pixels] = ring,
        *,
        session: str = "s1",
        days_ago: float = 0.5,
        recipe: str = "default",
        hashed: Hash | None = None,
    ) -> list[PartRow]:
        """Rows and images of these parts, as the plant process of the station does; `hashed`: a hash in each row."""
        maker = PartMaker(session, picture)
        rows = []
        for number, verdict in verdicts.items():
            record = maker.inspected(number, verdict)
            at = self.now - days_ago * 86_400 + number
            row = part_row(replace(record, recipe=recipe, part=replace(record.part, wall_time=at)))
            content = bytes(encode_png(picture(number)))
            for view in row.views:
                self.store.put(name_of(station, row, view), content)
            rows.append((row, content))
        self.rows(
            station, [row for row, _ in rows], {row.acquisition_id: hashed(c) for row, c in rows} if hashed else {}
        )
        return [row for row, _ in rows]

    def rows(self, station: str, rows: Sequence[PartRow], hashes: Mapping[int, str] | None = None) -> None:
        """Rows alone."""
        sender = Database(self.server.seen_by_station(self.database), Who(station, station, "1"))
        with sender.transaction({day_of(row.wall_time) for row in rows}) as at:
            at.parts(values_of(row, station, at.sequence) for row in rows)
            at.engines(engines_of(rows, station))
            at.done(Waiting(moment(self.now)))
        sender.close()
        for number, digest in (hashes or {}).items():
            self.ask(
                "UPDATE station_fleet.parts SET views = jsonb_set(views, '{0,image_sha256}', to_jsonb(%s::text)) "
                "WHERE station = %s AND acquisition_id = %s", (digest, station, number),
            )  # fmt: skip

    def send_usual(self, station: str, good: int = 30, scratched: int = 4) -> list[PartRow]:
        """Good parts that passed, scratched ones that failed."""
        verdicts = {n: Verdict.PASS if n <= good else Verdict.FAIL for n in range(1, good + scratched + 1)}
        return self.send(station, verdicts, scratched_after(good))

    def label(
        self, station: str, row: PartRow, label: str, defect_class: str | None = None, camera: str | None = None
    ) -> None:
        """As the page of the review does."""
        self.ask(
            "INSERT INTO station_fleet.labels SELECT %s, coalesce(max(decision), 0) + 1, now(), %s, %s, %s, "
            "to_timestamp(%s), %s, %s, NULL, '', 'anna', 'quality', 'decision' FROM station_fleet.labels",
            (station, row.session, row.acquisition_id, camera, row.wall_time, label, defect_class),
        )

    # ---- jobs ---------------------------------------------------------------------------------------------------

    def add(self, *stations: str, round_name: str = "r1", **options: Any) -> list[int]:
        """Jobs for these stations."""
        table = self.table()
        try:
            asked = [Asked(name, "default") for name in stations]
            return table.add(round_name, asked, parts=500, options=QUICK | options, by="anna", tries=self.tries)
        finally:
            table.close()

    def jobs(self, which: str | None = None) -> list[Job]:
        table = self.table()
        try:
            return table.jobs(which)
        finally:
            table.close()

    def job(self, number: int) -> Job:
        (found,) = self.jobs(str(number))
        return found

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """`station fleet ...`, with a process group of its own."""
        process = subprocess.Popen(
            python_command("station", "fleet", *words, f"--config={self.config}"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "COLUMNS": "200", "STATION_GIVES_WAY": "no", **environment},
        )  # fmt: skip
        self.started.append(process)
        return process
