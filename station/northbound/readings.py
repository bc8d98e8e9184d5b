"""What connectors say of the line and of a part beside what their standard asks for: names and values, once for all.

Each connector gives the names its own spelling and types; what does not fit a type it leaves without a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from station.records.parts import PartRow

LATEST_S = 253_402_214_400.0
"""9999-12-31: Python knows no time behind it."""
COUNTERS = ("triggers", "passed", "failed", "review", "error", "missed", "late")


def of_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """The line. `status`: what `station status --json` shows; what is missing there has no value."""
    counters = status.get("counters", {})
    return {
        "Line/Online": status.get("online"),
        "Line/Ready": status.get("ready"),
        "Line/State": status.get("state"),
        "Line/OfflineReason": status.get("offline_reason"),
        "Line/ErrorCode": status.get("error_code"),
        "Line/WarningCodes": " ".join(str(code) for code in status.get("warning_codes", ())),
        "Line/Recipe": status.get("recipe"),
        "Line/Engine": status.get("engine_id"),
        **{f"Count/{name.capitalize()}": counters.get(name) for name in COUNTERS},
    }


def key_of(row: PartRow) -> str:
    """A part's name for good."""
    return f"{row.session}/{row.acquisition_id}"


def of_part(row: PartRow) -> dict[str, Any]:
    """A part on record."""
    reason = next(iter(row.reason_list), None)
    return {
        "Part/Key": key_of(row),
        "Part/PartId": row.part_id,
        "Part/Verdict": row.verdict,
        "Part/Reason": "" if reason is None else str(reason),
        "Part/ReasonCode": 0 if reason is None else int(reason.code),
        "Part/Score": row.score,
        "Part/RejectScore": row.reject_score,
        "Part/DefectAreaMm2": row.defect_area_mm2,
        "Part/Recipe": row.recipe,
        "Part/Engine": row.engine_id,
        "Part/SignalledMs": row.signalled_ms,
        "Part/IsMasterPart": row.challenge is not None,
    }


def moment(wall_time: float) -> datetime:
    """Seconds since the epoch as a time with its zone; the same for the same number, to the microsecond."""
    return datetime.fromtimestamp(min(max(wall_time, 0.0), LATEST_S), timezone.utc)


def day_of(wall_time: float) -> date:
    """Its day in UTC, by which stores of many stations are divided."""
    return moment(wall_time).date()
