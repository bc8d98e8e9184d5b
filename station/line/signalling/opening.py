"""The beginning of a part's way: by a trigger of the PLC, or by the first frame where parts trigger the camera.

    PLC or software: TriggerRequested ─► ledger ─► TriggerAck ─► Judging: cameras are fired, frames come
    line:            frame of the first camera ─► ledger: which id, anything lost before? ─► Judging

Whatever opens a part also enters it in the journal and in the tracking to the ejector. Triggers while the station is
not ready open none; they are counted, and the part is Reject.
"""

from __future__ import annotations

from station import noted
from station.codes import ReasonCode
from station.line.handshake.messages import PartIdLatched, TriggerMissed
from station.line.signalling.closing import Closing
from station.line.signalling.desk import Desk
from station.line.signalling.ledger import Expired, FrameMatch
from station.line.signalling.status import StatusBlock
from station.line.signalling.view_matching import FrameMessage
from station.results import Decision, Part


class Opening:
    """Opens parts, and closes at once those whose frame is known to be lost. Owns nothing; called by the signalling
    thread.
    """

    def __init__(self, desk: Desk, status: StatusBlock, closing: Closing) -> None:
        self._desk = desk
        self._status = status
        self._closing = closing

    # ---- by the PLC ---------------------------------------------------------------------------------------------

    def triggered(self, source: str, now: int, part_id: int = 0, encoder_count: int = 0, deadline_ms: int = 0) -> Part:
        """The part of a trigger that the station takes; `source`: `plc` or `software`."""
        desk = self._desk
        part = desk.ledger.open(source, now, part_id=part_id, encoder_count=encoder_count, deadline_ms=deadline_ms)
        self._enter(part)
        desk.handshake.trigger_accepted(part.acquisition_id, now)
        self._status.refresh(now)  # TriggerAck before anything else
        return part

    def trigger_missed(self, request: TriggerMissed, now: int) -> None:
        """The PLC raised Trigger while the station was not ready."""
        self._desk.ledger.miss()
        self._missed(1, noted.PLC_TRIGGERED())
        if not self._desk.views.line_triggered:
            self._desk.ports.tracking.trigger_missed(request.part_id, now)

    def latched(self, request: PartIdLatched) -> None:
        """The PLC announces the next part: the ledger keeps its id until the frame comes.

        From when the PLC wrote it: the message may have waited in the inbox while the part went past the light barrier.
        By the time of its turn the frame would be one part without an id, and the id another without a frame.
        """
        desk = self._desk
        if not desk.views.line_triggered:
            return  # the handshake gives it to the next Trigger
        dropped = desk.ledger.latch(
            request.part_id,
            request.time_ns,
            while_ready=desk.handshake.ready,
            encoder_count=request.encoder_count,
            deadline_ms=request.deadline_ms,
        )
        self._missed(dropped, noted.LATCHED_WITHOUT_TRIGGER())

    # ---- by the first camera ------------------------------------------------------------------------------------

    def frame(self, message: FrameMessage, now: int) -> FrameMatch:
        """The part that a frame of the first camera opens, or why it opens none. Parts that came before it without a
        frame end as errors.
        """
        desk = self._desk
        trigger_time_ns = message.trigger_time_ns
        ready = desk.handshake.ready and trigger_time_ns >= desk.in_force.since_ns
        match = desk.ledger.frame(trigger_time_ns, lost_before=message.lost_before, ready=ready)
        for part in match.without_frame:
            self._enter(part, placed=False)
            self._closing.close(part, Decision.error(ReasonCode.LOST_FRAME))
        self._missed(match.missed, noted.CAMERA_TRIGGERED())
        desk.ports.tracking.frame_missed(match, trigger_time_ns)
        if match.part is not None:
            self._enter(match.part)
            desk.handshake.trigger_accepted(match.part.acquisition_id, now, holds_ready=False)
        return match

    # ---- by time ------------------------------------------------------------------------------------------------

    def expire(self, now: int) -> list[Expired]:
        """Parts whose time is over, for the caller to close; announced ones whose frame did not come are opened."""
        ledger = self._desk.ledger
        missed = ledger.counters.missed
        expired = ledger.expire(now)
        for end in expired:
            if end.opened_now:
                self._enter(end.part, placed=False)
        for _ in range(ledger.counters.missed - missed):
            detail = noted.LATCHED_WITHOUT_FRAME()
            self._desk.ports.event("missed", "error", detail)
        return expired

    def _enter(self, part: Part, *, placed: bool = True) -> None:
        """Enters a part in the tracking and the journal. Not `placed`: its trigger was not seen."""
        ports = self._desk.ports
        ports.tracking.opened(part, placed=placed)
        if not ports.journal_opened(part):
            ports.event("journal_full", "error", noted.NOT_IN_JOURNAL(count=part.acquisition_id))

    def _missed(self, count: int, detail: str) -> None:
        for _ in range(count):
            self._desk.handshake.trigger_missed()
            self._desk.ports.event("missed", "error", detail)
