"""The beginning of a part's way: by a trigger of the PLC, or by the first frame where parts trigger the camera.

    PLC or software: TriggerRequested ─► ledger ─► TriggerAck ─► Judging: cameras are triggered, frames come
    line:            frame of the first camera ─► ledger: which id, anything lost before? ─► Judging

Whatever opens a part also tells the journal and the tracking to the ejector. Triggers while the station is not ready
open none; they are counted, and the part is Reject.
"""

from __future__ import annotations

from station.codes import ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import PartIdLatched, TriggerMissed
from station.line.signalling.closing import Closing
from station.line.signalling.in_force import InForce
from station.line.signalling.judging import Judging
from station.line.signalling.ledger import Ledger
from station.line.signalling.ports import Ports
from station.line.signalling.status import StatusBlock
from station.line.signalling.view_matching import FrameMessage
from station.results import Decision, Part


class Opening:
    """Hands every part to `Judging`; one whose frame is known to be lost to `Closing`."""

    def __init__(
        self,
        ports: Ports,
        *,
        ledger: Ledger,
        handshake: Handshake,
        in_force: InForce,
        status: StatusBlock,
        judging: Judging,
        closing: Closing,
        line_triggered: bool,
    ) -> None:
        """`line_triggered`: parts trigger the first camera themselves."""
        self._ledger = ledger
        self._handshake = handshake
        self._judging = judging
        self._closing = closing
        self._status = status
        self._in_force = in_force
        self._ports = ports
        self._line_triggered = line_triggered

    # ---- by the PLC ---------------------------------------------------------------------------------------------

    def triggered(self, source: str, now: int, part_id: int = 0, encoder_count: int = 0, deadline_ms: int = 0) -> None:
        """The station is to take a part: `plc` or `software`."""
        part = self._ledger.open(source, now, part_id=part_id, encoder_count=encoder_count, deadline_ms=deadline_ms)
        self._opened(part)
        self._handshake.trigger_accepted(part.acquisition_id, now)
        self._status.refresh(now)  # TriggerAck before anything else
        self._judging.begin(part, now)

    def trigger_missed(self, request: TriggerMissed, now: int) -> None:
        """The PLC raised Trigger while the station was not ready."""
        self._ledger.miss()
        self._missed(1, "the PLC raised Trigger", now)
        if not self._line_triggered:
            self._ports.tracking.trigger_missed(request.part_id, now)

    def latched(self, request: PartIdLatched, now: int) -> None:
        """The PLC announces the next part: the ledger keeps its id until the frame comes."""
        if not self._line_triggered:
            return  # the handshake gives it to the next Trigger
        dropped = self._ledger.latch(
            request.part_id,
            now,
            while_ready=self._handshake.ready,
            encoder_count=request.encoder_count,
            deadline_ms=request.deadline_ms,
        )
        self._missed(dropped, "part ids were latched without a trigger", now)

    # ---- by the first camera ------------------------------------------------------------------------------------

    def frame(self, message: FrameMessage, now: int) -> None:
        """A frame of the first camera finds the part that waits for it, or opens one."""
        trigger_time_ns = message.trigger_time_ns
        if self._ledger.awaits_frame or not self._line_triggered:
            match_ = self._ledger.frame_for_trigger(trigger_time_ns)
        else:
            ready = self._handshake.ready and trigger_time_ns >= self._in_force.since_ns
            match_ = self._ledger.frame(trigger_time_ns, lost_before=message.lost_before, ready=ready)
        for part in match_.without_frame:
            self._opened(part, placed=False)
            self._closing.close(part, Decision.error(ReasonCode.LOST_FRAME))
        self._missed(match_.missed, "the camera was triggered", now)
        self._ports.tracking.frame_missed(match_, trigger_time_ns)
        if match_.part is None:
            self._judging.no_part_for(message, match_.why_not)
            return
        part = match_.part
        if part.source != "line":
            self._judging.lead_frame(part, message, now)
            return
        self._opened(part)
        self._handshake.trigger_accepted(part.acquisition_id, now, holds_ready=False)
        self._judging.begin(part, now, message)

    # ---- by time ------------------------------------------------------------------------------------------------

    def expire(self, now: int) -> None:
        """Parts whose deadline is over end as errors; so do announced ones whose frame did not come."""
        missed = self._ledger.counters.missed
        for expired in self._ledger.expire(now):
            if expired.opened_now:
                self._opened(expired.part, placed=False)
            self._judging.expired(expired.part, expired.code)
        for _ in range(self._ledger.counters.missed - missed):
            self._ports.event("missed", "error", "a part id was latched while not ready, and no frame came for it")

    # ---- inside -------------------------------------------------------------------------------------------------

    def _opened(self, part: Part, *, placed: bool = True) -> None:
        self._ports.tracking.opened(part, placed=placed)
        if not self._ports.journal_opened(part):
            lost = f"acquisition {part.acquisition_id} would not survive a kill"
            self._ports.event("journal_full", "error", lost)

    def _missed(self, count: int, detail: str, now: int) -> None:
        for _ in range(count):
            self._handshake.trigger_missed(now)
            self._ports.event("missed", "error", detail)
