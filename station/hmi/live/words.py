"""The state of the station in the words of a page: what leads in place of a verdict, what needs a person, the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from station.codes import (
    ERRORS,
    OFFLINE_REASONS,
    REASONS,
    WARNINGS,
    CodeText,
    ErrorCode,
    OfflineReason,
    ReasonCode,
    WarningCode,
)
from station.hmi.live.alarms import Alarm, Cause
from station.hmi.words import Words

_Code = TypeVar("_Code", bound=IntEnum)
_SAID_BY_CAMERA = WarningCode.CAMERA_DOWN.value
"""The cameras that are gone stand there by name."""


def causes(state: Mapping[str, Any]) -> list[Cause]:
    """What needs a person now."""
    found: list[Cause] = []
    if state["fault"]:
        found.append(("fault", state["fault"], state["fault_detail"]))
    found += [("camera", 0, name) for name, camera in sorted(state["cameras"].items()) if not camera["streams"]]
    found += [("warning", code, "") for code in state["warnings"] if code != _SAID_BY_CAMERA]
    return found


def what_leads(state: Mapping[str, Any], words: Words) -> dict[str, str] | None:
    """What leads while the line does not run as it should: word, why, what to do. None: the verdict leads."""
    if state["fault"]:
        word = words.gettext("LINE STOP") if state["line_stop"] else words.gettext("FAULT")
        return _lead("FAULT", word, *_said(ERRORS, ErrorCode, state["fault"], words, state["fault_detail"]))
    down = [name for name, camera in sorted(state["cameras"].items()) if not camera["streams"]]
    if down:
        return _lead("CAMERA", words.gettext("CAMERA"), *_camera_gone(", ".join(down), words))
    if state["offline"]:
        return _lead(
            "OFFLINE", words.gettext("OFF LINE"), *_said(OFFLINE_REASONS, OfflineReason, state["offline"], words)
        )
    if not state["online"]:
        return _lead("OFFLINE", words.gettext("OFF LINE"), "", "")
    frozen = WarningCode.PLC_HEARTBEAT_FROZEN.value
    if frozen in state["warnings"]:
        return _lead("PLC", words.gettext("NO PLC"), *_said(WARNINGS, WarningCode, frozen, words))
    return None


def alarm_in_words(alarm: Alarm, words: Words) -> dict[str, Any]:
    """As the page shows it."""
    kind, code, about = alarm.cause
    if kind == "fault":
        text, action = _said(ERRORS, ErrorCode, code, words, about)
    elif kind == "camera":
        text, action = _camera_gone(about, words)
    else:
        text, action = _said(WARNINGS, WarningCode, code, words)
    return {
        "key": alarm.key,
        "text": text,
        "action": action,
        "stands": alarm.stands,
        "seen": bool(alarm.seen_by),
        "times": alarm.times,
        "since": alarm.since,
    }


def reasons_in_words(reasons: Sequence[Mapping[str, Any]], words: Words) -> list[dict[str, str]]:
    """Of a part, most severe first. The detail is in the words of the station."""
    found = []
    for reason in reasons:
        text, action = _said(REASONS, ReasonCode, reason["code"], words)
        found.append({"text": text, "action": action, "detail": str(reason["detail"])})
    return found


def lines_in_words(lines: Sequence[Mapping[str, Any]], words: Words, most: int) -> list[dict[str, Any]]:
    """The last parts, the newest first."""
    shown = ("acquisition_id", "part_id", "verdict", "score", "challenge")
    return [
        {
            **{name: line[name] for name in shown},
            "reason": _said(REASONS, ReasonCode, line["reason"], words)[0] if line["reason"] else "",
        }
        for line in reversed(lines[-most:])
    ]


def challenge_in_words(state: Mapping[str, Any], words: Words) -> str:
    """What the challenge test waits for; empty when it waits for nothing."""
    challenge = state["challenge"]
    if challenge["awaits_confirmation"]:
        return words.gettext("Challenge test: confirm, then send master part %(name)s.") % {
            "name": challenge["next_part"]
        }
    if challenge["next_part"]:
        return words.gettext("Challenge test: send master part %(name)s.") % {"name": challenge["next_part"]}
    return words.gettext("A challenge test is due.") if challenge["overdue"] else ""


def _lead(kind: str, word: str, text: str, action: str) -> dict[str, str]:
    return {"kind": kind, "word": word, "text": text, "action": action}


def _camera_gone(name: str, words: Words) -> tuple[str, str]:
    text = words.gettext("camera %(name)s is gone") % {"name": name}
    return text, words.gettext(WARNINGS[WarningCode.CAMERA_DOWN].action)


def _said(
    table: Mapping[_Code, CodeText], codes: type[_Code], code: int, words: Words, detail: str = ""
) -> tuple[str, str]:
    """Text and action of a code; codes of another version stay numbers."""
    try:
        known = table[codes(code)]
    except (ValueError, KeyError):
        return words.gettext("code %(code)s (of another version)") % {"code": code}, ""
    text = words.gettext(known.text)
    return (f"{text}: {detail}" if detail else text), words.gettext(known.action) if known.action else ""
