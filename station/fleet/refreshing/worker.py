"""One worker: takes a job, gathers its images, has an engine made, keeps it, and says so in the table.

    take ──► gather ──► step (a process that teaches) ──► folder of results ──► done
                │                   │                            │
                └───────────────────┴── FleetError: failed ──────┘   Unlucky: tried again   Lost: thrown away

The row says `done` last. A worker that is killed before leaves a lease that ends, and files that nobody refers to.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Protocol

from engines.store.store import EngineStore
from engines.store.versions import Version
from station.fleet.refreshing.gathering import Gathered, OnStep, Source, gather
from station.fleet.refreshing.heart import Heart, Lost
from station.fleet.refreshing.jobs import FleetError, Job, Result, Unlucky
from station.fleet.refreshing.results import Kept, Results
from station.fleet.refreshing.table import Table
from station.northbound.images.stores import Readable
from station.northbound.postgres.trouble import Refused, Trouble

FINISH_S = 3600.0
"""A worker that is done waits as long for a database that is away: a restart throws no work of minutes away."""
PAUSE_S = 2.0
LOCK = ".worker"


@dataclass(frozen=True, slots=True)
class Made:
    """An engine in a store of its own."""

    store: EngineStore
    version: Version
    product: str
    engine_id: str
    report: Mapping[str, Any]


class Step(Protocol):
    """Makes an engine from images: what `station refresh` does. A process that teaches is started by it."""

    def __call__(self, job: Job, gathered: Gathered, active_id: str | None, folder: Path, show: OnStep) -> Made:
        """`active_id`: of the engine that the station has. Raises FleetError, Unlucky, and what `show` raises."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker works with."""

    open_table: Callable[[str], Table]
    """By the name of the worker."""
    store: Readable
    results: Results
    folder: Path
    """On a disk of this computer: a folder for each try, removed at its end."""
    step: Step
    days: int
    lease_s: float
    most_bytes: int
    """Of the images of a job, in `folder`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job that was taken."""

    job: Job
    outcome: Literal["done", "failed", "again", "lost"]
    detail: str
    """The engine, or why there is none."""


class Worker:
    """Works at one job at a time. Used by one thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._table = desk.open_table(self.name)

    def close(self) -> None:
        """The connection."""
        self._table.close()

    def reach(self) -> str:
        """Why nothing could be done here, or empty; a job that is taken then would only lose a try."""
        return self._table.reach() or self._desk.store.reach() or self._desk.results.reach()

    def work_one(self, round_name: str | None = None) -> Ended | None:
        """Takes the next job and works at it; None: there is none. Raises Trouble: the database cannot be used."""
        job = self._table.take(self._desk.lease_s, round_name)
        if job is None:
            return None
        try:
            return self._work(job)
        except (SystemExit, KeyboardInterrupt):
            with suppress(Trouble):
                self._table.put_back(job, f"{self.name} was stopped")
            raise

    def _work(self, job: Job) -> Ended:
        began_s = _cpu_s()
        with Heart(lambda: self._desk.open_table(self.name), job, self._desk.lease_s) as heart:
            try:
                with _own_folder(self._desk.folder, job) as folder:
                    made = self._made(job, folder, heart)
                    heart.show("result", 0, 1)
                    kept = self._desk.results.keep(made.store, made.version)
                result = _result(made, kept, _cpu_s() - began_s)
                if not self._say(heart, lambda: self._table.done(job, result)):
                    raise Lost
            except Lost:
                return Ended(job, "lost", "it was given to another worker")
            except (FleetError, Unlucky, Trouble, OSError) as problem:
                again, why = not isinstance(problem, FleetError), str(problem)
                try:
                    self._say(heart, lambda: self._table.failed(job, why, again=again))
                except Lost:
                    return Ended(job, "lost", "it was given to another worker")
                return Ended(job, "again" if again and job.tries < job.most_tries else "failed", why)
        return Ended(job, "done", made.engine_id)

    def _made(self, job: Job, folder: Path, heart: Heart) -> Made:
        desk = self._desk
        source = Source(self._table, desk.store, desk.days, datetime.now(timezone.utc).date(), desk.most_bytes)
        gathered = gather(source, job, folder / "gathered", heart.show)
        return desk.step(job, gathered, self._table.engine_of(job), folder, heart.show)

    def _say(self, heart: Heart, said: Callable[[], bool]) -> bool:
        """Waits for a database that is away. Raises Trouble after `FINISH_S`, Refused at once, Lost."""
        end = time.monotonic() + FINISH_S
        while True:
            try:
                return said()
            except Refused:
                raise
            except Trouble:
                if time.monotonic() >= end:
                    raise
                time.sleep(PAUSE_S)
                heart.check()


def _result(made: Made, kept: Kept, core_s: float) -> Result:
    return Result(made.product, made.engine_id, kept.sha256, kept.size, made.report, round(core_s, 2))


def _cpu_s() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def _own_folder(above: Path, job: Job) -> Iterator[Path]:
    """A folder for this try, gone afterwards; those of workers that were killed go now."""
    above.mkdir(mode=0o750, parents=True, exist_ok=True)
    for left in above.iterdir():
        if not left.name.startswith("."):
            _remove_left(left)
    folder = above / f"{job.number}-{job.tries}-{os.getpid()}"
    new = above / f".{folder.name}"
    new.mkdir()
    descriptor = os.open(new / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        new.rename(folder)  # under this name it is locked, until its worker is gone
        yield folder
    finally:
        os.close(descriptor)
        for left in (new, folder):
            shutil.rmtree(left, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return  # it is no folder of a worker
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # its worker is at it
    finally:
        os.close(descriptor)
