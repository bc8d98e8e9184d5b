"""One look at everything that can be wrong with a station: what it says of itself, its records, its disk.

Nothing is guessed: what the station does not say is *not known*.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from station.forwarding.progress import ForwardingError, Progress, forwarding_beside, is_running, read_progress
from station.hmi import queries
from station.hmi.site import Site
from station.live.reading import LiveReader, NoLiveMemory
from station.records.schema import RecordingError

State = Literal["good", "act", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Disk:
    """Of the work folder."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see of a station now."""

    at: float
    """Seconds since the epoch."""
    status: Mapping[str, Any] | None
    """What the daemon says of itself; None: it does not answer, and `problem` says why."""
    problem: str
    beat_age_s: float | None
    """How long ago signalling last turned; None: not known."""
    happened: queries.Happened | None
    records_problem: str
    disk: Disk | None
    plant: Sequence[Progress] = ()
    """What was sent by each connector that has ever run."""
    plant_runs: bool = False
    plant_problem: str = ""
    newest_id: int = 0
    """The newest row of the records."""


def look(site: Site) -> Look:
    """Asks once; never raises."""
    heard = site.line.now()
    happened, records_problem = None, ""
    try:
        happened = queries.happened(site, time.time())
    except (RecordingError, OSError) as problem:
        records_problem = str(problem)
    try:
        usage = shutil.disk_usage(site.station.work_dir)
        disk = Disk(usage.free, usage.total)
    except OSError:
        disk = None
    file, plant, plant_problem = forwarding_beside(site.records), list[Progress](), ""
    try:
        plant = read_progress(file)
    except ForwardingError as problem:
        plant_problem = str(problem)
    return Look(
        time.time(), heard.status, heard.problem, _beat_age(site), happened, records_problem, disk,
        plant, is_running(file), plant_problem, 0 if happened is None else happened.newest_id,
    )  # fmt: skip


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _beat_age(site: Site) -> float | None:
    reader = LiveReader(site.station.runtime_dir)
    try:
        return reader.beat_age_s()
    except (NoLiveMemory, OSError):
        return None
    finally:
        reader.close()
