"""Letting a part out of the quarantine, where that needs two people: then the daemon does it, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.control import ControlError
from station.labels.quarantine import release
from station.labels.schema import LabelError, labels_beside, open_writer
from station.labels.writing import MAX_NAME, Reviewer
from station.records.audit import AuditEntry

ROLE = "two people"


@dataclass(frozen=True, slots=True)
class Part:
    """Which one is meant."""

    session: str
    acquisition_id: int
    part_id: int
    wall_time: float

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Part:
        """Raises ControlError."""
        session, wall_time = request.get("session"), request.get("wall_time")
        acquisition, part = request.get("acquisition_id"), request.get("part_id")
        if not (
            isinstance(session, str)
            and isinstance(wall_time, int | float)
            and type(acquisition) is int
            and type(part) is int
        ):
            raise ControlError("session, acquisition_id, part_id and wall_time of the part are missing")
        return cls(session, acquisition, part, float(wall_time))


class Quarantine:
    """The handler of `quarantine`."""

    def __init__(self, records: Path, audit: Callable[[AuditEntry], None]) -> None:
        self._labels = labels_beside(records)
        self._audit = audit

    def reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "quarantine", "action": "release", "session": "s1", "acquisition_id": 1, ..., "why": ".."}`."""
        if request.get("action") != "release":
            raise ControlError(f"action = {request.get('action')!r}: release")
        part, who, why = Part.of(request), str(request["user"]), str(request.get("why") or "").strip()
        try:
            with closing(open_writer(self._labels)) as labels:
                release(labels, part, Reviewer(who[:MAX_NAME], ROLE), why)
        except LabelError as problem:
            raise ControlError(str(problem)) from problem
        self._audit(AuditEntry(f"operator {who}", "quarantine", f"part {part.part_id}", "released", "done", why))
        return {}
