"""What a station publishes over Sparkplug, and how it follows from `status` and from the records. Pure.

A part is one group of values under one time; `Part/Key` names it for good, so a host finds one that came twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.mqtt.messages import DataType, Value
from station.northbound.sparkplug.edge_node import Definition, Reading
from station.records.parts import PartRow

COUNTERS = ("triggers", "passed", "failed", "review", "error", "missed", "late")

NODE = (
    Definition("Properties/Station", DataType.STRING),
    Definition("Properties/Software", DataType.STRING),
    Definition("Forwarding/Parts Waiting", DataType.INT64),
    Definition("Forwarding/Parts Left Out", DataType.INT64),
    Definition("Audit/Head", DataType.STRING),
)
LINE = (
    Definition("Line/Online", DataType.BOOLEAN),
    Definition("Line/Ready", DataType.BOOLEAN),
    Definition("Line/State", DataType.STRING),
    Definition("Line/Offline Reason", DataType.STRING),
    Definition("Line/Error Code", DataType.INT32),
    Definition("Line/Warning Codes", DataType.STRING),
    Definition("Line/Recipe", DataType.STRING),
    Definition("Line/Engine", DataType.STRING),
    *(Definition(f"Count/{name.capitalize()}", DataType.INT64) for name in COUNTERS),
)
PART = (
    Definition("Part/Key", DataType.STRING),
    Definition("Part/Part Id", DataType.INT64),
    Definition("Part/Verdict", DataType.STRING),
    Definition("Part/Reason", DataType.STRING),
    Definition("Part/Reason Code", DataType.INT32),
    Definition("Part/Score", DataType.DOUBLE),
    Definition("Part/Reject Score", DataType.DOUBLE),
    Definition("Part/Recipe", DataType.STRING),
    Definition("Part/Engine", DataType.STRING),
    Definition("Part/Signalled Ms", DataType.DOUBLE),
    Definition("Part/Is Master Part", DataType.BOOLEAN),
)
DEVICE = (*LINE, *PART)


def of_status(status: Mapping[str, Any], time_ms: int) -> list[Reading]:
    """The line as it is. `status`: what `station status --json` shows; what is missing there has no value."""
    counters = status.get("counters", {})
    values: dict[str, Value] = {
        "Line/Online": status.get("online"),
        "Line/Ready": status.get("ready"),
        "Line/State": status.get("state"),
        "Line/Offline Reason": status.get("offline_reason"),
        "Line/Error Code": status.get("error_code"),
        "Line/Warning Codes": " ".join(str(code) for code in status.get("warning_codes", ())),
        "Line/Recipe": status.get("recipe"),
        "Line/Engine": status.get("engine_id"),
        **{f"Count/{name.capitalize()}": counters.get(name) for name in COUNTERS},
    }
    return [Reading(one.name, _fitting(one.type, values[one.name]), time_ms) for one in LINE]


def of_part(row: PartRow) -> list[Reading]:
    """A part on record, under the time of its trigger."""
    reason = next(iter(row.reason_list), None)
    values: dict[str, Value] = {
        "Part/Key": f"{row.session}/{row.acquisition_id}",
        "Part/Part Id": row.part_id,
        "Part/Verdict": row.verdict,
        "Part/Reason": "" if reason is None else str(reason),
        "Part/Reason Code": 0 if reason is None else int(reason.code),
        "Part/Score": row.score,
        "Part/Reject Score": row.reject_score,
        "Part/Recipe": row.recipe,
        "Part/Engine": row.engine_id,
        "Part/Signalled Ms": row.signalled_ms,
        "Part/Is Master Part": row.challenge is not None,
    }
    time_ms = round(row.wall_time * 1000)
    return [Reading(one.name, _fitting(one.type, values[one.name]), time_ms) for one in PART]


def of_station(name: str, software: str, unsent: tuple[int, int], head: str, time_ms: int) -> Iterator[Reading]:
    """The node: who it is, how far it has come with what it sends, and the head of its audit log.

    `unsent`: parts that wait, and parts that were left out.
    """
    values: tuple[Value, ...] = (name, software, *unsent, head)
    for definition, value in zip(NODE, values, strict=True):
        yield Reading(definition.name, value, time_ms)


def _fitting(kind: DataType, value: Value) -> Value:
    """None where a program of another version says something else than this type."""
    wanted: tuple[type, ...] = {
        DataType.BOOLEAN: (bool,), DataType.STRING: (str,), DataType.DOUBLE: (int, float),
    }.get(kind, (int,))  # fmt: skip
    fits = isinstance(value, wanted) and (kind is DataType.BOOLEAN or not isinstance(value, bool))
    return value if fits else None
