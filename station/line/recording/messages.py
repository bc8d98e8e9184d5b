"""What the recorder is given: a type for each kind of row, and two for itself; and how it does."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from station.codes import WarningCode
from station.line.recording.journal import UnfinishedPart
from station.line.recording.waiting_images import Admitted
from station.records.audit import AuditRow
from station.records.batches.rows import BatchRow
from station.records.challenges import ChallengeRow
from station.records.configurations import KeptFile
from station.records.ejections import Ejection
from station.records.engines.shadows import ShadowRow, ShadowRun
from station.records.events import EventRow
from station.results import InspectionRecord


@dataclass(frozen=True, slots=True)
class RecorderHealth:
    """How recording does. `ok` is False while anything is delayed or skipped."""

    ok: bool
    warning: WarningCode
    waiting: int
    """Parts and events that are not in the database yet."""
    oldest_s: float
    """For how long the oldest of them has waited."""
    lost: int
    """Rows given up since the start, because too many waited or the database refused them."""
    replaced: int
    """How often the database was removed or replaced since the start."""
    detail: str


@dataclass(frozen=True, slots=True)
class PartToStore:
    """A part, with its pictures where they are to be stored."""

    admitted: Admitted
    is_recovered: bool = False
    """An earlier process left it in the journal."""


def recovered(part: UnfinishedPart, engine_id: str, recipe: str) -> PartToStore:
    """A part that an earlier process left in the journal, with what is still known of it."""
    record = InspectionRecord(
        session=part.session,
        part=part.part,
        decision=part.decision,
        views=(),
        signalled_ns=0,
        engine_id=engine_id,
        recipe=recipe,
        config_checksum="",
        reject_score=float("nan"),
    )
    return PartToStore(Admitted(record), is_recovered=True)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The PLC has read the result of a part."""

    acquisition_id: int
    after_trigger_ms: float


@dataclass(frozen=True, slots=True)
class SessionKilled:
    """An earlier process was killed and left parts."""

    session: str


@dataclass(frozen=True, slots=True)
class PictureToStore:
    """A part that is on record without its pictures, which are wanted after all."""

    record: InspectionRecord


PlainRow = (
    Acknowledged
    | SessionKilled
    | EventRow
    | AuditRow
    | Ejection
    | ChallengeRow
    | KeptFile
    | BatchRow
    | ShadowRun
    | ShadowRow
)
"""What becomes rows without writing an image."""
Row = PartToStore | PictureToStore | PlainRow
"""What becomes rows."""


@dataclass(frozen=True, slots=True)
class Flush:
    """`done` is set once everything that was given before is in the database."""

    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Stop:
    """Write what waits and end."""


Message = Row | Flush | Stop


def identified(row: Row) -> dict[str, Any]:
    """What identifies a row in the log when it is lost."""
    match row:
        case PartToStore():
            record = row.admitted.record
            return {
                "acquisition_id": record.part.acquisition_id,
                "part_id": record.part.part_id,
                "verdict": record.decision.verdict.name,
            }
        case PictureToStore():
            return {"acquisition_id": row.record.part.acquisition_id, "part_id": row.record.part.part_id}
        case ChallengeRow():
            return {"challenge": row.run.number, "verdict": row.run.verdict.value}
        case KeptFile():
            return {"kind": row.kind, "name": row.name, "checksum": row.checksum}
        case _:
            return asdict(row)
