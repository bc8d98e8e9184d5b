"""The end of a part's way: the one place where it gets its result.

    decision ─► challenge test, handshake: may it stand? ─► ledger ─► tracking ─► journal ─► PLC ─► record

The journal is a memory write; the record waits in the recorder's queue. So a slow disk may delay a record, never a
signal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from station.codes import ErrorCode, ReasonCode, WarningCode
from station.line.challenge.duty import ChallengeDuty
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import PartResult
from station.line.signalling.annunciator import Annunciator
from station.line.signalling.in_force import InForce
from station.line.signalling.ledger import Ledger
from station.line.signalling.ports import Ports
from station.line.signalling.snapshot import RecentPart
from station.line.signalling.status import StatusBlock
from station.line.signalling.view_matching import ViewMatching
from station.results import Decision, Inspection, InspectionRecord, Part, defect_area_mm2, score_of

RECENT_PARTS = 16


class Closing:
    """Owns the list of the parts that were closed last."""

    def __init__(
        self,
        ports: Ports,
        *,
        ledger: Ledger,
        views: ViewMatching,
        handshake: Handshake,
        challenge: ChallengeDuty,
        annunciator: Annunciator,
        in_force: InForce,
        status: StatusBlock,
        clock: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._handshake = handshake
        self._challenge = challenge
        self._annunciator = annunciator
        self._status = status
        self._in_force = in_force
        self._ports = ports
        self._clock = clock
        self._recent: deque[RecentPart] = deque(maxlen=RECENT_PARTS)

    @property
    def recent(self) -> tuple[RecentPart, ...]:
        return tuple(self._recent)

    def close(self, part: Part, decision: Decision) -> None:
        """The part has its verdict, or will never have one."""
        views = self._views.close(part.acquisition_id, in_time=decision.code is not ReasonCode.DEADLINE)
        decision = self._challenge.closed(part.challenge, part.acquisition_id, decision)
        if refusal := self._handshake.refusal(decision.verdict, part.acquisition_id):
            # the PLC will not be told this verdict, so it must not stand in the books either
            decision = Decision.error(refusal, f"was {decision.verdict.name}")
        self._ledger.close(part.acquisition_id, decision)
        self._ports.tracking.closed(part.acquisition_id, decision)
        now = self._clock()
        self._ports.journal_decided(part.acquisition_id, decision.verdict, decision.code)
        self._handshake.result(self._result(part, decision, views, now), now)
        if self._ledger.fault_due:
            detail = str(decision.reasons[0]) if decision.reasons else ""
            self._annunciator.raise_fault(ErrorCode.ERRORS_IN_A_ROW, detail)
        self._status.refresh(now)
        record = self._record(part, decision, views, signalled_ns=self._clock())
        self._ports.record(record)
        self._recent.append(_line_of(record))

    def answered_late(self, acquisition_id: int, view: Inspection) -> None:
        """A view was judged after its part had a result: recorded, applied to nothing."""
        part = self._views.cut_short(acquisition_id)
        if part is None:
            self._annunciator.warn(WarningCode.LATE_RESULT, True)
            found = f"acquisition {acquisition_id} {view.decision.verdict.name} came after its part had a result"
            self._ports.event("late_result", "warning", f"{found}; not applied")
            part = self._ledger.late(acquisition_id)
        if part is not None:
            self._ports.record(self._record(part, view.decision, (view,), signalled_ns=self._clock(), late=True))

    def _result(self, part: Part, decision: Decision, views: tuple[Inspection, ...], now: int) -> PartResult:
        return PartResult(
            acquisition_id=part.acquisition_id,
            part_id=part.part_id,
            verdict=decision.verdict,
            reason=decision.code,
            score=score_of(views) or 0.0,
            threshold=self._in_force.reject_score(views),
            defect_area=round(defect_area_mm2(views) * 1000),
            latency_ms=(now - part.time_ns) / 1e6,
            encoder_count=part.encoder_count,
            challenge=bool(part.challenge),
        )

    def _record(
        self,
        part: Part,
        decision: Decision,
        views: tuple[Inspection, ...],
        *,
        signalled_ns: int,
        late: bool = False,
    ) -> InspectionRecord:
        identity = self._in_force.identity
        return InspectionRecord(
            session=identity.session,
            part=part,
            decision=decision,
            views=views,
            signalled_ns=signalled_ns,
            engine_id=self._in_force.engine_id,
            recipe=identity.recipe,
            recipe_checksum=identity.recipe_checksum,
            config_checksum=identity.config_checksum,
            reject_score=self._in_force.reject_score(views),
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
