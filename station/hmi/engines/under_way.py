"""What the daemon has under way for engines, in the shape of a work of the pages, so that one piece shows both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from station.hmi.work import Work

REFRESH, COLLECT, KINDS = "refresh", "collect", "kinds"
_PHASES: Mapping[str, Literal["running", "done", "failed"]] = {
    "running": "running",
    "collecting": "running",
    "training": "running",
    "done": "done",
    "failed": "failed",
}


def refresh_of(status: Mapping[str, Any] | None) -> Work | None:
    """The refresh, or learning of kinds, of the daemon's status; None: none since its start, or it is not heard."""
    return _work(status, "refresh", REFRESH)


def collecting_of(status: Mapping[str, Any] | None) -> Work | None:
    """Its collecting of parts from the line, or teaching from them, likewise."""
    return _work(status, "teaching", COLLECT)


def _work(status: Mapping[str, Any] | None, key: str, kind: str) -> Work | None:
    found = (status or {}).get(key)
    phase = _PHASES.get(str(found.get("phase"))) if isinstance(found, Mapping) else None
    if found is None or phase is None:
        return None
    detail = str(found.get("detail", ""))
    return Work(
        kind=KINDS if found.get("kinds") is True else kind,
        what=str(found.get("parts", "")),
        by=str(found.get("by", "")),
        phase=phase,
        step=str(found.get("step", "")),
        done=int(found.get("done", 0)),
        total=int(found.get("total", 0)),
        why=detail if phase == "failed" else "",
        result={"version": detail} if phase == "done" else {},
    )
