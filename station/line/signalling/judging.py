"""The middle of a part's way: its frames go to the engine, their verdicts come back, the last one decides the part.

    begin ─► frame of each camera ─► inspection ─► judged ─┬─► joined: Closing
                                                           └─► an error, or a view that does not come: Closing

Which frame belongs to which part is for `ViewMatching` and `Ledger` to say; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from station import noted
from station.codes import ReasonCode
from station.line.acquisition.messages import FrameFailed
from station.line.inspection.joining import failed_view, join, missing_views
from station.line.signalling.closing import Closing
from station.line.signalling.desk import Desk
from station.line.signalling.messages import TriggerTest
from station.line.signalling.opening import Opening
from station.line.signalling.view_matching import FrameMessage, MissingView
from station.results import Decision, Frame, Inspection, Part, Reason, Verdict


class Judging:
    """Owns who gets the frames for teaching and those of a trigger test. Called by the signalling thread."""

    def __init__(self, desk: Desk, opening: Opening, closing: Closing) -> None:
        self._desk = desk
        self._opening = opening
        self._closing = closing
        self._teach: Callable[[Frame], bool] | None = None
        self._test: TriggerTest | None = None

    # ---- frames -------------------------------------------------------------------------------------------------

    def begin(self, part: Part, now: int, lead: FrameMessage | None = None) -> None:
        """Starts an opened part; `lead` is the first camera's frame if it is here already."""
        views = self._desk.views
        opened = views.opened(part, self._position(part.time_ns))
        self._too_close(opened.too_close)
        if lead is not None and views.is_open(part.acquisition_id):
            self._lead_frame(part, lead, now)
        for message in opened.frames:
            self._take(part, message, now)
        self._fire_cameras(now)

    def frame(self, message: FrameMessage, now: int) -> None:
        """A frame of any camera finds its part, opens one, or belongs to none."""
        if self._is_of_test(message, now) and self._test is not None and message.camera in self._test.fires:
            self._test.took(message)
            return
        if message.camera != self._desk.views.lead:
            self._follower_frame(message, now)
            return
        ledger = self._desk.ledger
        waits = ledger.awaits_frame or not self._desk.views.line_triggered
        match = ledger.frame_for_trigger(message.trigger_time_ns) if waits else self._opening.frame(message, now)
        if match.part is None:
            self._belongs_to_none(message, match.why_not)
        elif waits:
            self._lead_frame(match.part, message, now)
        else:
            self.begin(match.part, now, message)

    def teach(self, sink: Callable[[Frame], bool]) -> None:
        """Frames of the next parts go to `sink` too, until it returns False."""
        self._teach = sink
        self._desk.condition.collect(True)

    # ---- a picture while off line -------------------------------------------------------------------------------

    def try_trigger(self, test: TriggerTest) -> None:
        """Fires the cameras once, for whoever sets them up. Refused while a part could come of it."""
        desk = self._desk
        if desk.condition.may_signal:
            test.reply.put("the station is on line: take it off line first")
        elif not desk.ledger.is_empty:
            test.reply.put("a part is on its way; try again when it has its result")
        else:
            self._test = test
            for camera in test.fires:
                desk.ports.fire_camera(camera)
            test.reply.put("")

    def _is_of_test(self, message: FrameMessage, now: int) -> bool:
        test, desk = self._test, self._desk
        if test is None or now > test.until_ns or message.camera not in test.cameras:
            return False
        return not desk.condition.may_signal and desk.ledger.is_empty

    def _lead_frame(self, part: Part, message: FrameMessage, now: int) -> None:
        self._desk.views.lead_arrived(part.acquisition_id)
        self._take(part, message, now)

    def _follower_frame(self, message: FrameMessage, now: int) -> None:
        match = self._desk.views.frame(message, self._position(message.trigger_time_ns), now)
        self._missing(match.missing)
        self._too_close(match.ambiguous)
        if match.part is not None:
            self._take(match.part, message, now)
        elif match.why_not:
            self._belongs_to_none(message, match.why_not)

    def _belongs_to_none(self, message: FrameMessage, why: str) -> None:
        if self._is_of_test(message, self._desk.clock()) and self._test is not None:
            self._test.took(message)
        frame = noted.FRAME_OF if self._has_several else noted.FRAME
        found = frame(camera=message.camera, count=message.trigger_time_ns)
        self._desk.ports.event("frame_" + why, "warning", found)

    def _take(self, part: Part, message: FrameMessage, now: int) -> None:
        """Sends the frame of a part to inspection, or gives its view a verdict where that is not possible."""
        desk = self._desk
        acquisition_id = part.acquisition_id
        if not desk.views.is_open(acquisition_id):
            return
        if not desk.views.exposing(acquisition_id):
            desk.handshake.exposure_completed(acquisition_id)
        if isinstance(message, FrameFailed):
            self._closing.close(part, self._of_view(message.camera, Decision.error(message.code, message.detail)))
            return
        teaching = self._taken_for_teaching(message.frame)
        has_engine = desk.in_force.inspector is not None
        if has_engine and desk.ports.inspect(part, message.frame):
            return
        if has_engine:
            decision = Decision.error(ReasonCode.OVERLOAD)
        elif teaching:
            decision = Decision(Verdict.REVIEW, (Reason(ReasonCode.TEACHING),))
        else:
            decision = Decision.error(ReasonCode.NO_ENGINE)
        self._judged(part, Inspection(message.frame, decision, decided_ns=now))

    def _taken_for_teaching(self, frame: Frame) -> bool:
        if self._teach is None:
            return False
        if not self._teach(frame):
            self._teach = None
            self._desk.condition.collect(False)
        return True

    # ---- verdicts -----------------------------------------------------------------------------------------------

    def inspected(self, acquisition_id: int, inspection: Inspection, now: int) -> None:
        """The inspection stage has judged a frame."""
        self.expire(now)  # the message may have waited in the inbox until its part's deadline was over
        part = self._desk.ledger.open_part(acquisition_id)
        if part is None:
            self._closing.judged_late(acquisition_id, inspection)
        else:
            self._judged(part, inspection)

    def _judged(self, part: Part, inspection: Inspection) -> None:
        """One view has its verdict: the last one, or an error, decides the part."""
        inspections = self._desk.views.judged(part.acquisition_id, inspection)
        if inspection.decision.verdict is Verdict.ERROR:
            self._closing.close(part, self._of_view(inspection.camera, inspection.decision))
        elif inspections is not None:
            self._closing.close(part, join(inspections, self._desk.in_force.of(part.acquisition_id).joining))

    def _of_view(self, camera: str, decision: Decision) -> Decision:
        return failed_view(camera, decision) if self._has_several else decision

    def _too_close(self, acquisition_ids: Iterable[int]) -> None:
        for part in self._desk.ledger.open_parts:
            if part.acquisition_id in acquisition_ids:
                self._closing.close(part, Decision.error(ReasonCode.VIEW_AMBIGUOUS))

    def _missing(self, missing: Iterable[MissingView]) -> None:
        for view in missing:
            if self._desk.views.is_open(view.part.acquisition_id):
                self._closing.close(view.part, missing_views([view.camera]))

    # ---- time and place -----------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """What time alone brings: deadlines, views that did not come, cameras to be fired."""
        self.expire(now)
        missing, unmatched = self._desk.views.expire(now)
        self._missing(missing)
        for message in unmatched:
            self._belongs_to_none(message, "unmatched")
        self._fire_cameras(now)

    def expire(self, now: int) -> None:
        """Parts whose deadline is over end as errors; so do announced ones whose frame did not come."""
        for expired in self._opening.expire(now):
            absent = self._desk.views.absent(expired.part.acquisition_id)
            several = absent and self._has_several
            self._closing.close(expired.part, missing_views(absent) if several else Decision.error(expired.code))

    def _fire_cameras(self, now: int) -> None:
        for camera in self._desk.views.due(now):
            self._desk.ports.fire_camera(camera)

    def _position(self, time_ns: int) -> float | None:
        return self._desk.belt.position(time_ns) if self._desk.belt is not None else None

    @property
    def _has_several(self) -> bool:
        return len(self._desk.views.cameras) > 1
