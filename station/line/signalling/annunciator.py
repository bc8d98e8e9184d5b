"""The annunciator: faults, warnings, cameras and on/off line. What is new is told once, as an event.

Why the station takes no parts, and which state follows, is for `Condition` to say; nobody but the signalling thread
changes it.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.plc.protocol import LinkEvent
from station.codes import ERRORS, WARNINGS, ErrorCode, OfflineReason, WarningCode
from station.line.acquisition.stage import CameraChanged, CameraState
from station.line.signalling.condition import CameraStatus, Condition

DOWN = (CameraState.DOWN, CameraState.FAILED)
CLEARED_WITH_FAULTS = (WarningCode.LATE_RESULT, WarningCode.WRITER_REFUSED)
"""Warnings of something that has happened; all others end when their cause does."""


class Annunciator:
    """Owns the station's condition."""

    def __init__(self, condition: Condition, event: Callable[[str, str, str], None]) -> None:
        """`event`: kind, level, detail; never blocks."""
        self.condition = condition
        self._event = event

    def camera_changed(self, message: CameraChanged) -> None:
        cameras = self.condition.cameras
        self.condition.camera_is(message.camera, CameraStatus(message.state, message.detail))
        detail = f"{message.camera}: {message.detail}" if len(cameras) > 1 else message.detail
        self._event("camera_" + message.state.name.lower(), "warning" if message.state in DOWN else "info", detail)
        self.warn(WarningCode.CAMERA_DOWN, any(camera.state in DOWN for camera in cameras.values()))

    def link_changed(self, event: LinkEvent) -> None:
        """News of the link to the PLC."""
        refused = event.kind == "refused"
        self._event("plc_" + event.kind, "warning" if refused else "info", f"{event.peer} {event.detail}".strip())
        if refused:
            self.warn(WarningCode.WRITER_REFUSED, True)
        elif event.kind == "failed":
            self.raise_fault(ErrorCode.STAGE_FAILED, f"PLC link: {event.detail}")

    def set_online(self, online: bool, by: OfflineReason) -> None:
        self.condition.set_online(online, by)
        self._event("online" if online else "offline", "info", by.name.lower())

    def warn(self, code: WarningCode, active: bool) -> None:
        if self.condition.warn(code, active):
            kind, level = ("warning", "warning") if active else ("warning_over", "info")
            self._event(kind, level, f"{code.name}: {WARNINGS[code].text}")

    def raise_fault(self, code: ErrorCode, detail: str) -> None:
        if self.condition.raise_fault(code, detail):
            self._event("fault", "error", f"{ERRORS[code].text}: {detail}")

    def clear_fault(self) -> None:
        """A person has seen to it."""
        for code in CLEARED_WITH_FAULTS:
            self.warn(code, False)
        if self.condition.clear_fault():
            self._event("fault_cleared", "info", "")
