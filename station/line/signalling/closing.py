"""The end of a part's way: the one place where it gets its result.

    decision ─► challenge test, handshake: may it stand? ─► ledger ─► tracking ─► journal ─► PLC ─► record

The journal is a memory write; the record waits in the recorder's queue. So a slow disk may delay a record, never a
signal.
"""

from __future__ import annotations

from collections import deque

from station import noted
from station.codes import ErrorCode, ReasonCode, WarningCode
from station.line.handshake.messages import PartResult
from station.line.signalling.desk import Desk
from station.line.signalling.snapshot import RecentPart
from station.line.signalling.status import StatusBlock
from station.results import (
    Decision,
    Inspection,
    InspectionRecord,
    Part,
    Verdict,
    class_number_of,
    defect_area_mm2,
    score_of,
)

RECENT_PARTS = 16
NAMES_A_KIND = (Verdict.FAIL, Verdict.REVIEW)
"""Verdicts of parts whose kind of defect the PLC reads."""


class Closing:
    """Owns the list of the parts that were closed last. Called by the signalling thread; opens nothing."""

    def __init__(self, desk: Desk, status: StatusBlock) -> None:
        self._desk = desk
        self._status = status
        self._recent: deque[RecentPart] = deque(maxlen=RECENT_PARTS)

    @property
    def recent(self) -> tuple[RecentPart, ...]:
        return tuple(self._recent)

    def close(self, part: Part, decision: Decision) -> None:
        """The part has its verdict, or will never have one."""
        desk = self._desk
        acquisition_id = part.acquisition_id
        inspections = desk.views.close(acquisition_id, in_time=decision.code is not ReasonCode.DEADLINE)
        decision = desk.challenge.closed(part.challenge, acquisition_id, decision)
        desk.condition.challenge_keeps_off(desk.challenge.keeps_off)
        if refusal := desk.handshake.refusal(decision.verdict, acquisition_id):
            # the PLC will not read this verdict, so it must not stand in the books either
            decision = Decision.error(refusal, f"was {decision.verdict.name}")
        desk.ledger.close(acquisition_id, decision)
        desk.ports.tracking.closed(acquisition_id, decision)
        now = desk.clock()
        desk.ports.journal_decided(acquisition_id, decision.verdict, decision.code)
        desk.handshake.result(self._result(part, decision, inspections, now))
        if desk.ledger.fault_due:
            detail = str(decision.reasons[0]) if decision.reasons else ""
            desk.condition.raise_fault(ErrorCode.ERRORS_IN_A_ROW, detail)
        self._status.refresh(now)
        record = self._record(part, decision, inspections, signalled_ns=desk.clock())
        desk.ports.record(record)
        self._recent.append(_line_of(record))

    def judged_late(self, acquisition_id: int, inspection: Inspection) -> None:
        """A view was judged after its part had a result: recorded, applied to nothing."""
        desk = self._desk
        part = desk.views.cut_short(acquisition_id)
        if part is None:
            desk.condition.warn(WarningCode.LATE_RESULT, True)
            found = noted.LATE_RESULT(count=acquisition_id, verdict=inspection.decision.verdict.name)
            desk.ports.event("late_result", "warning", found)
            part = desk.ledger.late(acquisition_id)
        if part is not None:
            desk.ports.record(
                self._record(part, inspection.decision, (inspection,), signalled_ns=desk.clock(), late=True)
            )

    def _result(self, part: Part, decision: Decision, inspections: tuple[Inspection, ...], now: int) -> PartResult:
        return PartResult(
            acquisition_id=part.acquisition_id,
            part_id=part.part_id,
            verdict=decision.verdict,
            reason=decision.code,
            score=score_of(inspections) or 0.0,
            threshold=self._desk.in_force.of(part.acquisition_id).reject_score(inspections),
            defect_area=round(defect_area_mm2(inspections) * 1000),
            latency_ms=(now - part.time_ns) / 1e6,
            encoder_count=part.encoder_count,
            challenge=bool(part.challenge),
            defect_class=class_number_of(inspections) if decision.verdict in NAMES_A_KIND else 0,
        )

    def _record(
        self,
        part: Part,
        decision: Decision,
        inspections: tuple[Inspection, ...],
        *,
        signalled_ns: int,
        late: bool = False,
    ) -> InspectionRecord:
        judge = self._desk.in_force.of(part.acquisition_id)
        identity = judge.identity
        return InspectionRecord(
            session=identity.session,
            part=part,
            decision=decision,
            views=inspections,
            signalled_ns=signalled_ns,
            engine_id=judge.engine_id,
            recipe=identity.recipe,
            recipe_checksum=identity.recipe_checksum,
            config_checksum=identity.config_checksum,
            reject_score=judge.reject_score(inspections),
            late=late,
        )


def _line_of(record: InspectionRecord) -> RecentPart:
    part, decision = record.part, record.decision
    return RecentPart(
        part.acquisition_id,
        part.part_id,
        decision.verdict,
        score_of(record.views),
        record.latency_ms,
        str(decision.reasons[0]) if decision.reasons else "",
    )
