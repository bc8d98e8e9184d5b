"""The one canonical log line of every part, event and change.

Written by the recording thread and not where it happens: a log may block, a signal may not.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import structlog

from station.records.audit import AuditRow
from station.records.events import EventRow
from station.records.parts import PartRow, ViewRow
from station.results import Verdict

log = structlog.get_logger()


def log_part(row: PartRow) -> None:
    """A part, with what each camera saw."""
    log.log(
        logging.ERROR if row.verdict == Verdict.ERROR.name else logging.INFO,
        "late answer" if row.late else "part",
        acquisition_id=row.acquisition_id,
        part_id=row.part_id,
        verdict=row.late_verdict if row.late else row.verdict,
        reasons=[str(reason) for reason in row.reason_list],
        score=row.score,
        reject_score=row.reject_score,
        latency_ms=row.signalled_ms,
        engine_id=row.engine_id[:12],
        views={view.camera: _view(view) for view in row.views},
    )


def log_event(row: EventRow) -> None:
    """An event."""
    level = logging.getLevelName(row.level.upper())
    detail = {"detail": row.detail} if row.detail else {}
    log.log(level if isinstance(level, int) else logging.INFO, row.kind, **detail)


def log_audit(row: AuditRow) -> None:
    """An entry of the audit log."""
    log.info("audit", **asdict(row))


def _view(view: ViewRow) -> dict[str, Any]:
    return {
        "verdict": view.verdict,
        "score": view.score,
        "raw_score": view.raw_score,
        "image": view.image_path or view.image_skipped,
    }
