"""The state of the station at one moment, for people and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from station.codes import ERRORS, LINE_STOPS, OFFLINE_REASONS, WARNINGS, ErrorCode, OfflineReason, WarningCode
from station.line.challenge.messages import ChallengeStatus
from station.line.handshake.messages import StationState
from station.line.signalling.condition import CameraStatus
from station.line.signalling.ledger import Counters
from station.results import Verdict

DETAIL = 200


@dataclass(frozen=True, slots=True)
class RecentPart:
    """One line of the live view."""

    acquisition_id: int
    part_id: int
    verdict: Verdict
    score: float | None
    latency_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the station at one moment, for people."""

    state: StationState
    online: bool
    ready: bool
    offline_reason: OfflineReason
    error_code: ErrorCode
    error_detail: str
    warnings: tuple[WarningCode, ...]
    cameras: Mapping[str, CameraStatus]
    engine_id: str
    recipe: str
    recipe_number: int
    recipe_checksum: str
    config_checksum: str
    counters: Counters
    in_flight: int
    drained: bool
    """No part is in flight, and none that was announced may still come."""
    challenge: ChallengeStatus
    recent: tuple[RecentPart, ...]
    waits_for: str = ""
    """Why TriggerReady is 0 although the station is on line; empty: it is 1, or `offline_reason` says why."""
    trigger_enable: bool = False
    """The PLC has set TriggerEnable; always so without a PLC."""
    oldest_open: int = 0
    """Acquisition id of the oldest part without a result; 0: there is none."""


def readable(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as JSON for people and scripts: names instead of numbers, and texts that say what to do."""
    why = OFFLINE_REASONS[snapshot.offline_reason]
    down = {name: camera for name, camera in snapshot.cameras.items() if not camera.streams}
    of_cameras = f": {', '.join(down)}" if snapshot.offline_reason is OfflineReason.CAMERA_DOWN else ""
    fault = ERRORS[snapshot.error_code]
    return {
        "state": snapshot.state.name.lower(),
        "online": snapshot.online,
        "ready": snapshot.ready,
        "waits_for": snapshot.waits_for,
        "trigger_enable": snapshot.trigger_enable,
        "offline_reason": why.text + of_cameras,
        "offline_action": why.action,
        "error": f"{fault.text}: {snapshot.error_detail}" if snapshot.error_code else "",
        "error_action": fault.action,
        "offline_code": snapshot.offline_reason.value,
        "error_code": snapshot.error_code.value,
        "warning_codes": [code.value for code in snapshot.warnings],
        "warnings": [WARNINGS[code].text for code in snapshot.warnings],
        "camera": next((camera.state.value for camera in down.values()), "streaming"),
        "cameras": {
            name: {"state": camera.state.value, "detail": camera.detail} for name, camera in snapshot.cameras.items()
        },
        "engine_id": snapshot.engine_id,
        "recipe": snapshot.recipe,
        "recipe_number": snapshot.recipe_number,
        "recipe_checksum": snapshot.recipe_checksum,
        "config_checksum": snapshot.config_checksum,
        "counters": asdict(snapshot.counters),
        "in_flight": snapshot.in_flight,
        "challenge": _readable_challenge(snapshot.challenge),
        "recent": [{**asdict(part), "verdict": part.verdict.name} for part in snapshot.recent],
    }


def in_codes(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as JSON for pages, which speak several languages: codes, and of others' texts at most DETAIL."""
    challenge = snapshot.challenge
    return {
        "state": snapshot.state.name,
        "online": snapshot.online,
        "ready": snapshot.ready,
        "offline": snapshot.offline_reason.value,
        "fault": snapshot.error_code.value,
        "fault_detail": snapshot.error_detail[:DETAIL],
        "line_stop": snapshot.error_code in LINE_STOPS,
        "warnings": [code.value for code in snapshot.warnings],
        "cameras": {
            name: {"streams": camera.streams, "state": camera.state.value, "detail": camera.detail[:DETAIL]}
            for name, camera in snapshot.cameras.items()
        },
        "counters": asdict(snapshot.counters),
        "in_flight": snapshot.in_flight,
        "recipe": snapshot.recipe,
        "engine": snapshot.engine_id[:12],
        "challenge": {
            "state": challenge.state.name,
            "step": challenge.step,
            "next_part": challenge.next_part,
            "awaits_confirmation": challenge.awaits_confirmation,
            "overdue": challenge.overdue,
        },
    }


def _readable_challenge(status: ChallengeStatus) -> dict[str, Any]:
    last = status.last
    return {
        "state": status.state.name.lower(),
        "step": status.step,
        "next_part": status.next_part,
        "awaits_confirmation": status.awaits_confirmation,
        "overdue": status.overdue,
        "last_test": 0 if last is None else last.number,
        "last_verdict": "" if last is None else last.verdict.value,
        "last_detail": "" if last is None else last.detail,
        "study": last.study if last is not None and status.step else "",
    }
