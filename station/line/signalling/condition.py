"""What keeps the station from taking parts, what is degraded, and the state of OPC 40100-1 that follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from station.codes import LINE_STOPS, ErrorCode, OfflineReason, WarningCode
from station.line.acquisition.stage import CameraState
from station.line.handshake.messages import StationState

FINISHING = (
    OfflineReason.NONE,
    OfflineReason.CHANGING_ENGINE,
    OfflineReason.CHANGING_RECIPE,
    OfflineReason.STOPPING,
    OfflineReason.CHALLENGE_OVERDUE,
)
"""The station takes parts, or takes no more but those in flight still get their results."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How one camera is."""

    state: CameraState = CameraState.CONNECTING
    detail: str = ""

    @property
    def streams(self) -> bool:
        return self.state is CameraState.STREAMING


@dataclass(slots=True)
class Condition:
    """Owned by the signalling thread."""

    offline_by: dict[OfflineReason, None] = field(default_factory=lambda: {OfflineReason.STARTING: None})
    """Who wants it off line; on line needs the agreement of all."""
    fault: ErrorCode = ErrorCode.NONE
    fault_detail: str = ""
    warnings: dict[WarningCode, None] = field(default_factory=dict)
    """In the order in which they came."""
    cameras: dict[str, CameraStatus] = field(default_factory=dict)
    """All of them; the first one leads. Changed by `camera_is`."""
    all_stream: bool = False
    has_engine: bool = False
    changing: OfflineReason | None = None
    """CHANGING_ENGINE, CHANGING_RECIPE or BUILDING_PLAN while it is being done."""
    challenge: OfflineReason | None = None
    """CHALLENGE_FAILED or CHALLENGE_OVERDUE while it keeps parts away."""
    collecting: bool = False
    """Parts are taken for teaching, engine or not."""
    stopping: bool = False
    stopped: bool = False
    tracks: bool = False
    """The station pushes parts off itself."""
    line_triggered: bool = True
    """Parts trigger the first camera: without it, nobody sees them."""

    @property
    def why_offline(self) -> OfflineReason:
        """The first thing that keeps the station from taking parts; NONE when nothing does."""
        reasons = {
            OfflineReason.FAULT: self.fault is not ErrorCode.NONE,
            **dict.fromkeys(self.offline_by, True),
            OfflineReason.CAMERA_DOWN: not self.all_stream,
            OfflineReason.CHALLENGE_FAILED: self.challenge is OfflineReason.CHALLENGE_FAILED,
            **({} if self.changing is None else {self.changing: True}),
            OfflineReason.NO_ENGINE: not (self.has_engine or self.collecting),
            OfflineReason.CHALLENGE_OVERDUE: self.challenge is OfflineReason.CHALLENGE_OVERDUE,
            OfflineReason.STOPPING: self.stopping or self.stopped,
        }
        return next((reason for reason, holds in reasons.items() if holds), OfflineReason.NONE)

    @property
    def takes_parts(self) -> bool:
        return self.why_offline is OfflineReason.NONE

    @property
    def online(self) -> bool:
        """Results may be signalled. Off line every part is Reject."""
        return self.why_offline in FINISHING and not self.stopped

    @property
    def line_stop(self) -> bool:
        """Parts that are not PASS could go by: only where the station itself must push them off."""
        unseen = self.line_triggered and not next(iter(self.cameras.values())).streams
        return self.tracks and (self.fault in LINE_STOPS or unseen or self.stopped)

    def state(self, *, enabled: bool) -> StationState:
        """The state of OPC 40100-1. `enabled`: the PLC has set TriggerEnable."""
        if self.stopping or self.stopped:
            return StationState.HALTED
        match self.why_offline:
            case OfflineReason.NONE:
                return StationState.CONTINUOUS_EXECUTION if enabled else StationState.READY
            case OfflineReason.FAULT:
                return StationState.ERROR
            case OfflineReason.STARTING | OfflineReason.NO_ENGINE:
                return StationState.PREOPERATIONAL
            case OfflineReason.CHANGING_ENGINE | OfflineReason.CHANGING_RECIPE | OfflineReason.BUILDING_PLAN:
                return StationState.PREOPERATIONAL
            case _:
                return StationState.INITIALIZED

    def camera_is(self, name: str, status: CameraStatus) -> None:
        """News of a camera."""
        self.cameras[name] = status
        self.all_stream = all(camera.streams for camera in self.cameras.values())

    def set_online(self, online: bool, by: OfflineReason) -> None:
        """`by`: BY_PLC or BY_OPERATOR. Neither can overrule the other."""
        self.offline_by.pop(OfflineReason.STARTING, None)
        if online:
            self.offline_by.pop(by, None)
        else:
            self.offline_by[by] = None

    def warn(self, code: WarningCode, active: bool) -> bool:
        """True when that is news."""
        if active == (code in self.warnings):
            return False
        if active:
            self.warnings[code] = None
        else:
            del self.warnings[code]
        return True

    def raise_fault(self, code: ErrorCode, detail: str) -> bool:
        """True when that is news; the first fault stands until it is cleared."""
        if self.fault is not ErrorCode.NONE:
            return False
        self.fault, self.fault_detail = code, detail
        return True

    def clear_fault(self) -> bool:
        """True when there was one."""
        had = self.fault is not ErrorCode.NONE
        self.fault, self.fault_detail = ErrorCode.NONE, ""
        return had
