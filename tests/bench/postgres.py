"""Debian's PostgreSQL, in a folder of its own: a server that can be stopped, killed, frozen, and is back on its port.

It never runs as root: where the tests do, it runs as the user that the package made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from station.northbound.postgres.link import Server
from station.northbound.postgres.schema import schema_text
from tests.bench.other_user import open_folder
from tests.bench.ports import free_port
from tests.bench.programs import require_program
from tests.bench.waiting import children_of, wait_for

OWNER, OWNERS_WORD = "owner", "of the owner"
STATION, STATIONS_WORD = "st04", "secret of st04"


class PostgresServer:
    """Owns the process."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.more: list[str] = []
        """Settings of the next start."""
        self._binaries = Path(require_program("initdb")).resolve().parent
        self._user = "postgres" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        self._made = 0

    @property
    def has_ended(self) -> bool:
        """By itself."""
        return self._process is not None and self._process.poll() is not None

    def make(self, *, log: Path | None = None) -> None:
        """An empty cluster, whose owner has a password. `log`: its write-ahead log lies there, in small files."""
        word = self.folder / "word"
        word.write_text(OWNERS_WORD)
        self.own(self.folder)
        self.own(word)
        aside = [] if log is None else ["--wal-segsize=1", f"--waldir={log}"]
        self._run("initdb", "-D", str(self.folder / "data"), "-U", OWNER, "-A", "scram-sha-256", f"--pwfile={word}",
                  "--no-sync", "-E", "UTF8", "--locale=C", *aside)  # fmt: skip

    def own(self, path: Path) -> None:
        """It is the server's, and nobody else reads it."""
        if self._user:
            shutil.chown(path, self._user)
        path.chmod(0o755 if path.is_dir() else 0o600)

    def start(self) -> None:
        """Until it takes connections."""
        settings = (
            f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", "fsync=off",
            "shared_buffers=16MB", "max_connections=40", "autovacuum=off", *self.more,
        )  # fmt: skip
        words = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", *words],
                user=self._user, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        wait_for(self._takes, f"PostgreSQL; {self.folder / 'log'}")

    def stop(self) -> None:
        """In order, and whoever is connected is thrown out."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """As when its computer loses power: nobody hears a goodbye."""
        if self._process is None:
            return
        for pid in [self._process.pid, *children_of(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    def freeze(self) -> None:
        """It keeps its connections, and does nothing."""
        assert self._process is not None
        self._frozen = [self._process.pid, *children_of(self._process.pid)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._frozen:
            os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def ask(self, database: str, statement: str, values: object = ()) -> list[tuple[Any, ...]]:
        """What its owner is given."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=OWNER, password=OWNERS_WORD, autocommit=True
        ) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[call-overload]
            return [] if cursor.description is None else list(cursor.fetchall())

    def new_database(self, *, with_schema: bool = True) -> str:
        """Its name; the station's user may write into it."""
        self._made += 1
        name = f"plant{self._made}"
        self.ask("postgres", f"CREATE DATABASE {name}")
        if with_schema:
            self.install(name)
        return name

    def install(self, database: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
        """As the document says: through psql."""
        done = subprocess.run(
            [self._binaries / "psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", OWNER, "-d", database],
            input=script or schema_text(), text=True, capture_output=True, timeout=60,
            env={**os.environ, "PGPASSWORD": OWNERS_WORD},
        )  # fmt: skip
        if done.returncode == 0:
            self.ask(
                database,
                f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{STATION}') THEN "
                f"CREATE ROLE {STATION} LOGIN PASSWORD '{STATIONS_WORD}' IN ROLE station_writer; END IF; END $$",
            )
        return done

    def seen_by_station(self, database: str, timeout_s: float = 20.0) -> Server:
        return Server("127.0.0.1", self.port, database, STATION, STATIONS_WORD, timeout_s=timeout_s)

    def _takes(self) -> bool:
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, timeout=20).returncode == 0

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._binaries / program, *words], user=self._user, cwd=self.folder, check=True, capture_output=True,
            timeout=60,
        )  # fmt: skip


@contextmanager
def postgres(*settings: str) -> Iterator[PostgresServer]:
    """A server that runs; `settings` in place of those of the tests."""
    require_program("initdb")
    with open_folder() as folder:
        server = PostgresServer(folder)
        server.more = list(settings)
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.kill()
