"""The middle of a part's way: its frames go to the engine, their verdicts come back, the last one decides the part.

    begin ─► frame of each camera ─► inspection ─► judged ─┬─► joined: Closing
                                                           └─► an error, or a view that does not come: Closing

Which frame is which part's is for `ViewMatching` to say; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from station.codes import ReasonCode
from station.line.acquisition.stage import FrameFailed
from station.line.ejection.belt import EncoderBelt
from station.line.handshake.machine import Handshake
from station.line.inspection.joining import failed_view, join, missing_views
from station.line.signalling.closing import Closing
from station.line.signalling.condition import Condition
from station.line.signalling.in_force import InForce
from station.line.signalling.ledger import Ledger
from station.line.signalling.ports import Ports
from station.line.signalling.view_matching import FrameMessage, MissingView, ViewMatching
from station.results import Decision, Frame, Inspection, Part, Reason, Verdict


class Judging:
    """Owns who gets the frames for teaching."""

    def __init__(
        self,
        ports: Ports,
        *,
        ledger: Ledger,
        views: ViewMatching,
        handshake: Handshake,
        condition: Condition,
        in_force: InForce,
        closing: Closing,
        belt: EncoderBelt | None,
    ) -> None:
        """`belt`: where cameras are placed by it."""
        self._ledger = ledger
        self._views = views
        self._handshake = handshake
        self._closing = closing
        self._condition = condition
        self._in_force = in_force
        self._ports = ports
        self._belt = belt
        self._teach: Callable[[Frame], bool] | None = None

    # ---- frames -------------------------------------------------------------------------------------------------

    def begin(self, part: Part, now: int, lead: FrameMessage | None = None) -> None:
        """A part has begun; `lead`: with this frame of the first camera."""
        opened = self._views.opened(part, self._position(part.time_ns))
        self._too_close(opened.too_close)
        if lead is not None and self._views.is_open(part.acquisition_id):
            self.lead_frame(part, lead, now)
        for message in opened.frames:
            self._take(part, message, now)
        self._fire_cameras(now)

    def lead_frame(self, part: Part, message: FrameMessage, now: int) -> None:
        """The frame of the first camera, for a part that has begun."""
        self._views.lead_arrived(part.acquisition_id)
        self._take(part, message, now)

    def frame(self, message: FrameMessage, now: int) -> None:
        """A frame of a camera that does not lead finds its part, or none."""
        match_ = self._views.frame(message, self._position(message.trigger_time_ns), now)
        self._missing(match_.missing)
        self._too_close(match_.ambiguous)
        if match_.part is not None:
            self._take(match_.part, message, now)
        elif match_.why_not:
            self.no_part_for(message, match_.why_not)

    def no_part_for(self, message: FrameMessage, why: str) -> None:
        whose = f"camera {message.camera}: " if self._has_several else ""
        found = f"{whose}camera frame triggered at {message.trigger_time_ns} ns"
        self._ports.event("frame_" + why, "warning", found)

    def teach(self, sink: Callable[[Frame], bool]) -> None:
        """Frames of the next parts go to `sink` too, until it returns False."""
        self._teach, self._condition.collecting = sink, True

    def _take(self, part: Part, message: FrameMessage, now: int) -> None:
        """The frame of a part, and what becomes of it."""
        if not self._views.is_open(part.acquisition_id):
            return
        if not self._views.exposing(part.acquisition_id):
            self._handshake.exposure_completed(part.acquisition_id, now)
        if isinstance(message, FrameFailed):
            self._closing.close(part, self._of_view(message.camera, Decision.error(message.code, message.detail)))
            return
        teaching = self._taken_for_teaching(message.frame)
        has_engine = self._in_force.inspector is not None
        if has_engine and self._ports.inspect(part, message.frame):
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
            self._teach, self._condition.collecting = None, False
        return True

    # ---- verdicts -----------------------------------------------------------------------------------------------

    def inspected(self, acquisition_id: int, view: Inspection) -> None:
        """The inspection stage has judged a frame."""
        part = self._ledger.open_part(acquisition_id)
        if part is not None:
            self._judged(part, view)
        else:
            self._closing.answered_late(acquisition_id, view)

    def expired(self, part: Part, code: ReasonCode) -> None:
        """The part's time is over."""
        absent = self._views.absent(part.acquisition_id)
        self._closing.close(part, missing_views(absent) if absent and self._has_several else Decision.error(code))

    def _judged(self, part: Part, view: Inspection) -> None:
        """One view has its verdict: the last one, or an error, decides the part."""
        views = self._views.judged(part.acquisition_id, view)
        if view.decision.verdict is Verdict.ERROR:
            self._closing.close(part, self._of_view(view.camera, view.decision))
        elif views is not None:
            self._closing.close(part, join(views, self._in_force.joining))

    def _of_view(self, camera: str, decision: Decision) -> Decision:
        return failed_view(camera, decision) if self._has_several else decision

    def _too_close(self, acquisition_ids: Iterable[int]) -> None:
        for part in [part for part in self._ledger.open_parts if part.acquisition_id in acquisition_ids]:
            self._closing.close(part, Decision.error(ReasonCode.VIEW_AMBIGUOUS))

    def _missing(self, missing: Iterable[MissingView]) -> None:
        for view in missing:
            if self._views.is_open(view.part.acquisition_id):
                self._closing.close(view.part, missing_views([view.camera]))

    # ---- time and place -----------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """What time alone brings: views that did not come, cameras to be triggered."""
        missing, unmatched = self._views.expire(now)
        self._missing(missing)
        for message in unmatched:
            self.no_part_for(message, "unmatched")
        self._fire_cameras(now)

    def _fire_cameras(self, now: int) -> None:
        for camera in self._views.due(now):
            self._ports.fire_camera(camera)

    def _position(self, time_ns: int) -> float | None:
        return self._belt.position(time_ns) if self._belt is not None else None

    @property
    def _has_several(self) -> bool:
        return len(self._views.cameras) > 1
