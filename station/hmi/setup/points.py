"""Points of the PLC map for people: where, name, value, and what a code means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from drivers.plc.signal_map import CONTROL, STATUS, Area, Point, PointType
from station.codes import ERRORS, OFFLINE_REASONS, REASONS, WARNINGS, CodeText
from station.command_results import COMMAND_RESULTS
from station.hmi.words import Words

SHORT = {Area.COIL: "coil", Area.DISCRETE_INPUT: "input", Area.INPUT_REGISTER: "in.reg", Area.HOLDING_REGISTER: "hold"}
_TABLES: Mapping[str, Mapping[Any, CodeText]] = {
    "offline_reason": OFFLINE_REASONS,
    "error_code": ERRORS,
    "warning_code": WARNINGS,
    "reason_code": REASONS,
    "command_result": COMMAND_RESULTS,
}
_STATES = ("", "Preoperational", "Halted", "Error", "Initialized", "Ready", "SingleExecution", "ContinuousExecution")
"""Of OPC 40100-1, as its standard spells them."""
_VERDICTS = {1: "PASS", 2: "FAIL", 3: "REVIEW", 4: "ERROR"}


def rows_of(found: Mapping[str, Any], words: Words) -> list[dict[str, Any]]:
    """Every point: `id`, `writes` (the PLC writes it), where, name, value, words, text of the map."""
    return [
        _row(point, values[point.attribute], writes, words)
        for points, values, writes in ((CONTROL, found["inputs"], True), (STATUS, found["outputs"], False))
        for point in points
        if point.attribute in values
    ]


def _row(point: Point, value: Any, writes: bool, words: Words) -> dict[str, Any]:
    numbers = "{:.4f}" if point.type is PointType.F32 else "{:d}"
    shown = value if isinstance(value, str) else numbers.format(value)
    return {
        "id": f"{'w' if writes else 'r'}-{point.attribute}",
        "writes": writes,
        "where": f"{SHORT[point.area]} {point.address}",
        "name": point.name,
        "value": shown,
        "is_on": bool(value),
        "words": _in_words(point.attribute, value, words),
        "text": point.text,
    }


def _in_words(attribute: str, value: Any, words: Words) -> str:
    if attribute in _TABLES:
        return _of_table(_TABLES[attribute], int(value), words)
    said = {
        "result": lambda: words.gettext(_VERDICTS[int(value)]) if int(value) in _VERDICTS else "",
        "state": lambda: _STATES[int(value)] if 0 <= int(value) < len(_STATES) else "",
        "latency": lambda: f"{value / 10:.1f} ms",
        "defect_area": lambda: f"{value / 1000:.3f} mm²",
        **dict.fromkeys(("engine_id", "config_checksum", "recipe_checksum"), lambda: f"{int(value):08x}"),
    }.get(attribute)
    return said() if said is not None else ""


def _of_table(table: Mapping[Any, CodeText], code: int, words: Words) -> str:
    known: CodeText | None = next(
        (text for key, text in table.items() if isinstance(key, IntEnum) and key == code), None
    )
    if known is None:
        return words.gettext("code %(code)s (of another version)") % {"code": code}
    return words.gettext(known.text) if code and known.text else ""
