"""In place of a teaching: an engine at once, or what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engines.store.store import EngineStore, manifest_of
from station.fleet.refreshing.gathering import Gathered, OnStep
from station.fleet.refreshing.jobs import Job
from station.fleet.refreshing.worker import Desk, Made, Worker
from tests.bench.fleet import Fleet


def engine_for(station: str, folder: Path) -> Path:
    """Another one for each station."""
    from tests.bench.engines.small_engine import write_small_engine  # a second, where one is there already

    return write_small_engine(folder, width=64, height=64, reject_score=40.0 + sum(station.encode()) % 50)


@dataclass
class QuickStep:
    """An engine at once."""

    before: Callable[[Job], None] = lambda _job: None
    made: Path | None = None
    """Folder of engines by the names of stations; None: they are made."""
    seen: list[tuple[Job, Gathered, str | None]] = field(default_factory=list)

    def __call__(self, job: Job, gathered: Gathered, active_id: str | None, folder: Path, show: OnStep) -> Made:
        self.seen.append((job, gathered, active_id))
        self.before(job)
        show("learn", 1, 2)
        engine = engine_for(job.station, folder / "engine") if self.made is None else self.made / job.station
        (folder / "refresh").mkdir()
        (folder / "refresh" / "comparison.json").write_text(json.dumps({"of": job.station}))
        store = EngineStore(folder / "store" / "cover", check=lambda _path: None)
        version = store.add(engine, why="test", extras={"refresh": folder / "refresh"})
        return Made(store, version, "cover", manifest_of(version).engine_id, {"images": len(gathered.images)})


def worker_of(fleet: Fleet, step: QuickStep, *, folder: str = "worker", days: int = 30) -> Worker:
    desk = Desk(fleet.table, fleet.readable, fleet.results, fleet.folder / folder, step, days, fleet.lease_s, 1 << 30)
    return Worker(desk)
