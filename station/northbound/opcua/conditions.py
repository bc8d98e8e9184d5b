"""Warnings and faults of a station as conditions of the specification. Pure.

    warning          VisionWarningConditionType           the line goes on
    daemon silent    VisionErrorConditionType             ends by itself, when the daemon replies
    fault            VisionPersistentErrorConditionType   a person must end it

A condition is retained as long as its cause stands; nothing has to be acknowledged over OPC UA, for that is the task of
the people at the line, and `AckedState` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.opcua.instance import SYSTEM
from drivers.opcua.server import Said
from station.codes import ERRORS, WARNINGS, ErrorCode, WarningCode

WARNING, ERROR, PERSISTENT = (
    "VisionWarningConditionType", "VisionErrorConditionType", "VisionPersistentErrorConditionType",
)  # fmt: skip
SEVERITY = {WARNING: 400, ERROR: 700, PERSISTENT: 900}
SILENT = "Condition/Silent"
SILENT_CODE = 1000
"""Beside the error codes of the station; it is the plant process that says it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is wrong now."""

    path: str
    """Id of the condition."""
    kind: str
    code: int
    text: str


def standing_of(status: Mapping[str, Any] | None) -> tuple[Standing, ...]:
    """From what the daemon replies to `status`; None: it does not reply."""
    if status is None:
        return (Standing(SILENT, ERROR, SILENT_CODE, "the station does not reply: stopped, or hanging"),)
    found = [_warning(code) for code in status.get("warning_codes", ()) if isinstance(code, int)]
    fault = status.get("error_code", 0)
    if isinstance(fault, int) and fault:
        known = fault in list(ErrorCode)
        text = str(status.get("error", "")) or (ERRORS[ErrorCode(fault)].text if known else f"fault {fault}")
        found.append(Standing(f"Condition/Error/{fault}", PERSISTENT, fault, text))
    return tuple(found)


def changes(before: Sequence[Standing], now: Sequence[Standing], texts: Any) -> list[Said]:
    """The events of conditions that have come and gone. `texts`: makes a text of OPC UA of a string."""
    came = [one for one in now if one not in before]
    paths = {one.path for one in now}
    gone = [one for one in before if one.path not in paths]
    return [*(_said(one, texts, stands=False) for one in gone), *(_said(one, texts, stands=True) for one in came)]


def _warning(code: int) -> Standing:
    text = WARNINGS[WarningCode(code)].text if code in list(WarningCode) else f"warning {code}"
    return Standing(f"Condition/Warning/{code}", WARNING, code, text)


def _said(one: Standing, text: Any, *, stands: bool) -> Said:
    severity = SEVERITY[one.kind]
    stops = one.kind is not WARNING
    fields: dict[str, tuple[str, Any]] = {
        "ConditionName": ("0:12", one.path.removeprefix("Condition/")),
        "ConditionClassName": ("0:21", text("SystemConditionClass")),
        "BranchId": ("0:17", None),
        "Retain": ("0:1", stands),
        "EnabledState": ("0:21", text("Enabled")),
        "EnabledState/Id": ("0:1", True),
        "LastSeverity": ("0:5", severity),
        "AckedState": ("0:21", text("Acknowledged")),
        "AckedState/Id": ("0:1", True),
        "ConfirmedState": ("0:21", text("Confirmed")),
        "ConfirmedState/Id": ("0:1", True),
        "ErrorCode": ("0:9", one.code),
        "ErrorString": ("0:12", one.text),
        "StopReaction": ("0:1", stops and stands),
        "BlockReaction": ("0:1", one.kind is PERSISTENT and stands),
        "CausePath": ("0:12", ""),
    }
    message = one.text if stands else f"over: {one.text}"
    return Said(one.kind, SYSTEM, message, severity, fields, condition=one.path, retain=stands)
