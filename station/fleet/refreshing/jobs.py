"""What a job is, and what becomes of it.

waiting ──take──► running ──► done       an engine in the folder of results
   ▲                │  └────► failed     trying again would end the same way, or it was tried often enough
   └── lease over, ─┘
       worker failed or stopped
waiting ──► withdrawn                    nobody wants it any more
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

OPEN = ("waiting", "running")
STATES = (*OPEN, "done", "failed", "withdrawn")
SHA256 = re.compile("[0-9a-f]{64}")


class FleetError(Exception):
    """It cannot be done, and trying again would end the same way; the message says why and what to do."""


class Unlucky(Exception):
    """This try came to nothing, another one may not; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An engine that is wanted."""

    station: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Result:
    """What was made."""

    product: str
    engine_id: str
    archive_sha256: str
    archive_bytes: int
    report: Mapping[str, Any]
    core_s: float
    """Processor time of this try."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table."""

    number: int
    round: str
    station: str
    recipe: str
    parts: int
    options: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    most_tries: int
    state: str
    tries: int
    worker: str
    began_at: datetime | None
    ended_at: datetime | None
    step: str
    step_done: int
    step_total: int
    detail: str
    core_s: float | None
    product: str | None
    engine_id: str | None
    archive_sha256: str | None
    archive_bytes: int | None
    report: Mapping[str, Any] | None
    released_at: datetime | None
    sequence: int | None
    is_lost: bool = False
    """It runs, and its lease is over."""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs of a round by their state."""

    of: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    """Of those that run: nothing is heard of their workers."""
    tries: int = 0
    """Of all of them together."""

    @property
    def total(self) -> int:
        return sum(self.of.values())

    @property
    def open(self) -> int:
        return sum(self.of.get(state, 0) for state in OPEN)

    @property
    def ended(self) -> int:
        return self.total - self.open

    @property
    def may_be_taken(self) -> int:
        return self.of.get("waiting", 0) + self.lost

    @property
    def leased(self) -> int:
        """Some worker is at them."""
        return self.of.get("running", 0) - self.lost


def in_words(job: Job) -> str:
    """What stands in the last column of a list."""
    if job.state == "done":
        said = f"engine {(job.engine_id or '')[:12]}"
        return f"{said}, released with sequence {job.sequence}" if job.sequence else said
    if job.is_lost:
        return f"nothing is heard of {job.worker}; it is tried again"
    if job.state == "running":
        step = f"{job.step} {job.step_done}/{job.step_total}" if job.step else "begins"
        return f"{step}, by {job.worker}"
    return job.detail


def summary(jobs: Sequence[Job]) -> str:
    """`3 done, 1 failed`."""
    counts = {state: sum(job.state == state for job in jobs) for state in STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"
