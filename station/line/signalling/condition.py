"""What keeps the station from taking parts, what is degraded, and the state of OPC 40100-1 that follows. Pure.

    PREOPERATIONAL ─► INITIALIZED ─► READY ─► CONTINUOUS_EXECUTION
     no engine, or     off line by     takes      TriggerEnable is 1
     a changeover      a person or     parts
                       a camera                  ERROR: a fault stands      HALTED: the station stops

`Condition` is the one owner of all this. Others call its verbs; each change is logged as one event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from drivers.plc.protocol import LinkEvent
from station.codes import ERRORS, LINE_STOPS, WARNINGS, ErrorCode, OfflineReason, WarningCode
from station.line.acquisition.messages import CameraChanged, CameraState
from station.line.handshake.messages import StationState
from station.records.events import RecordEvent

FINISHING = (
    OfflineReason.NONE,
    OfflineReason.CHANGING_ENGINE,
    OfflineReason.CHANGING_RECIPE,
    OfflineReason.STOPPING,
    OfflineReason.CHALLENGE_OVERDUE,
)
"""The station takes parts, or takes no more but those in flight still get their results."""
DOWN = (CameraState.DOWN, CameraState.FAILED)
CLEARED_WITH_FAULTS = (WarningCode.LATE_RESULT, WarningCode.WRITER_REFUSED, WarningCode.RECORDS_LOST)
"""Warnings of something that has happened; all others end when their cause does."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How one camera is."""

    state: CameraState = CameraState.CONNECTING
    detail: str = ""

    @property
    def streams(self) -> bool:
        return self.state is CameraState.STREAMING


class Condition:
    """Owns faults, warnings, cameras, changeovers and on or off line; called by the signalling thread alone."""

    def __init__(
        self,
        cameras: Iterable[str],
        event: RecordEvent,
        *,
        line_triggered: bool,
        tracks: bool = False,
    ) -> None:
        """`cameras`: by name; the first one leads. `event` never blocks.

        `line_triggered`: parts trigger the first camera; while it is down, no stage sees them. `tracks`: the station
        pushes parts off itself.
        """
        self._event = event
        self._line_triggered = line_triggered
        self._tracks = tracks
        self._cameras = dict.fromkeys(cameras, CameraStatus())
        self._offline_by: dict[OfflineReason, None] = {OfflineReason.STARTING: None}
        """Who wants it off line; on line needs the agreement of all."""
        self._fault = ErrorCode.NONE
        self._fault_detail = ""
        self._warnings: dict[WarningCode, None] = {}
        """In the order in which they came."""
        self._has_engine = False
        self._changing = OfflineReason.NONE
        self._challenge = OfflineReason.NONE
        self._collecting = False
        self._stopping = False
        self._stopped = False

    # ---- how the station is -------------------------------------------------------------------------------------

    @property
    def why_offline(self) -> OfflineReason:  # noqa: PLR0911  one line a reason
        """The first thing that keeps the station from taking parts; NONE when nothing does."""
        if self._fault is not ErrorCode.NONE:
            return OfflineReason.FAULT
        if self._offline_by:
            return next(iter(self._offline_by))
        if not self.all_stream:
            return OfflineReason.CAMERA_DOWN
        if self._challenge is OfflineReason.CHALLENGE_FAILED:
            return OfflineReason.CHALLENGE_FAILED
        if self._changing is not OfflineReason.NONE:
            return self._changing
        if not (self._has_engine or self._collecting):
            return OfflineReason.NO_ENGINE
        if self._challenge is OfflineReason.CHALLENGE_OVERDUE:
            return OfflineReason.CHALLENGE_OVERDUE
        return OfflineReason.STOPPING if self._stopping or self._stopped else OfflineReason.NONE

    @property
    def takes_parts(self) -> bool:
        return self.why_offline is OfflineReason.NONE

    @property
    def may_signal(self) -> bool:
        """Results may be signalled, also while no new part is taken. Otherwise every part is Reject."""
        return self.why_offline in FINISHING and not self._stopped

    @property
    def line_stop(self) -> bool:
        """Parts that are not PASS could go by: only where the station itself must push them off."""
        unseen = self._line_triggered and not next(iter(self._cameras.values())).streams
        return self._tracks and (self._fault in LINE_STOPS or unseen or self._stopped)

    def state(self, *, enabled: bool) -> StationState:
        """The state of OPC 40100-1. `enabled`: the PLC has set TriggerEnable."""
        if self._stopping or self._stopped:
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

    @property
    def all_stream(self) -> bool:
        return all(camera.streams for camera in self._cameras.values())

    @property
    def cameras(self) -> Mapping[str, CameraStatus]:
        return MappingProxyType(self._cameras)

    @property
    def fault(self) -> ErrorCode:
        return self._fault

    @property
    def fault_detail(self) -> str:
        return self._fault_detail

    @property
    def warnings(self) -> tuple[WarningCode, ...]:
        """In the order in which they came."""
        return tuple(self._warnings)

    @property
    def changing(self) -> OfflineReason:
        """CHANGING_ENGINE, CHANGING_RECIPE or BUILDING_PLAN while that is being done; else NONE."""
        return self._changing

    @property
    def is_collecting(self) -> bool:
        """Parts are taken for teaching, engine or not."""
        return self._collecting

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    # ---- what changes it ----------------------------------------------------------------------------------------

    def camera_changed(self, message: CameraChanged) -> None:
        self._cameras[message.camera] = CameraStatus(message.state, message.detail)
        detail = f"{message.camera}: {message.detail}" if len(self._cameras) > 1 else message.detail
        self._event("camera_" + message.state.name.lower(), "warning" if message.state in DOWN else "info", detail)
        self.warn(WarningCode.CAMERA_DOWN, any(camera.state in DOWN for camera in self._cameras.values()))

    def link_changed(self, event: LinkEvent) -> None:
        """The link to the PLC was connected, closed, refused a client, or failed."""
        refused = event.kind == "refused"
        self._event("plc_" + event.kind, "warning" if refused else "info", f"{event.peer} {event.detail}".strip())
        if refused:
            self.warn(WarningCode.WRITER_REFUSED, True)
        elif event.kind == "failed":
            self.raise_fault(ErrorCode.STAGE_FAILED, f"PLC link: {event.detail}")

    def set_online(self, online: bool, by: OfflineReason) -> None:
        """`by`: BY_PLC or BY_OPERATOR. Neither can overrule the other."""
        self._offline_by.pop(OfflineReason.STARTING, None)
        if online:
            self._offline_by.pop(by, None)
        else:
            self._offline_by[by] = None
        self._event("online" if online else "offline", "info", by.name.lower())

    def begin_change(self, why: OfflineReason) -> None:
        """No part is taken until `end_change`; those in flight finish. `why`: see `changing`."""
        self._changing = why

    def end_change(self) -> None:
        self._changing = OfflineReason.NONE

    def engine_is(self, loaded: bool) -> None:
        """Parts can be judged, or there is no engine for them."""
        self._has_engine = loaded

    def collect(self, on: bool) -> None:
        """Parts are taken for teaching from now on, or no more."""
        self._collecting = on

    def challenge_keeps_off(self, why: OfflineReason) -> None:
        """CHALLENGE_FAILED or CHALLENGE_OVERDUE keeps parts away; NONE: the challenge test does not."""
        self._challenge = why

    def stop(self) -> None:
        """No part is taken any more; those in flight finish."""
        self._stopping = True

    def stopped(self) -> None:
        """The signalling thread has ended: nothing is signalled any more."""
        self._stopped = True

    def warn(self, code: WarningCode, active: bool) -> None:
        """A warning comes or goes."""
        if active == (code in self._warnings):
            return
        if active:
            self._warnings[code] = None
        else:
            del self._warnings[code]
        self.log_warning(code, active)

    def log_warning(self, code: WarningCode, active: bool) -> None:
        """The event of a warning that has come or gone; for one whose owner is another machine."""
        kind, level = ("warning", "warning") if active else ("warning_over", "info")
        self._event(kind, level, f"{code.name}: {WARNINGS[code].text}")

    def raise_fault(self, code: ErrorCode, detail: str) -> None:
        """The first fault stands until it is cleared."""
        if self._fault is ErrorCode.NONE:
            self._fault, self._fault_detail = code, detail
            self._event("fault", "error", f"{ERRORS[code].text}: {detail}")

    def clear_fault(self) -> None:
        """An operator acknowledges the fault, and what has happened with it."""
        for code in CLEARED_WITH_FAULTS:
            self.warn(code, False)
        if self._fault is not ErrorCode.NONE:
            self._fault, self._fault_detail = ErrorCode.NONE, ""
            self._event("fault_cleared", "info", "")
