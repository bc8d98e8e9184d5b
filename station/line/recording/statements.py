"""What the database is to execute for each kind of row that has no image, with its line in the log."""

from __future__ import annotations

from station.line.recording.log import log_audit, log_event
from station.line.recording.messages import Acknowledged, PlainRow, SessionKilled
from station.records.audit import AuditRow, insert_audit
from station.records.batches.rows import BatchRow, upsert_batch
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.configurations import KeptFile, keep_file
from station.records.ejections import Ejection, insert_ejection
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.records.events import EventRow, insert_event
from station.records.parts import part_acknowledged
from station.records.sessions import session_killed
from station.records.statement import Statement


def statement_of(session: str, row: PlainRow) -> Statement:  # noqa: PLR0911  one statement a row
    """Logs what a person may look for, and returns the statement. `session`: of the station that writes."""
    match row:
        case EventRow():
            log_event(row)
            return insert_event(row)
        case AuditRow():
            log_audit(row)
            return insert_audit(session, row)
        case Ejection():
            return insert_ejection(session, row)
        case ChallengeRow():
            return upsert_challenge(row)
        case KeptFile():
            return keep_file(row)
        case Acknowledged(acquisition_id, after_trigger_ms):
            return part_acknowledged(session, acquisition_id, after_trigger_ms)
        case SessionKilled(killed):
            return session_killed(killed)
        case BatchRow():
            return upsert_batch(row)
        case ShadowRun():
            return upsert_run(row)
        case ShadowRow():
            return insert_shadow(row)
