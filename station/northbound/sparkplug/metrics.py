"""What a station publishes over Sparkplug, and how it follows from `status` and from the records. Pure.

A part is one group of values under one time; `Part/Key` names it for good, so a host finds one that came twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.mqtt.messages import DataType, Value
from station.northbound import readings
from station.northbound.sparkplug.edge_node import Definition, Reading
from station.records.parts import PartRow

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
    *(Definition(f"Count/{name.capitalize()}", DataType.INT64) for name in readings.COUNTERS),
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
    return _readings(LINE, readings.of_status(status), time_ms)


def of_part(row: PartRow) -> list[Reading]:
    """A part on record, under the time of its trigger."""
    return _readings(PART, readings.of_part(row), round(row.wall_time * 1000))


def of_station(name: str, software: str, unsent: tuple[int, int], head: str, time_ms: int) -> Iterator[Reading]:
    """The node: who it is, how far it has come with what it sends, and the head of its audit log.

    `unsent`: parts that wait, and parts that were left out.
    """
    values: tuple[Value, ...] = (name, software, *unsent, head)
    for definition, value in zip(NODE, values, strict=True):
        yield Reading(definition.name, value, time_ms)


def _readings(definitions: tuple[Definition, ...], values: Mapping[str, Value], time_ms: int) -> list[Reading]:
    """Values by their names without blanks."""
    return [Reading(one.name, _fitting(one.type, values[one.name.replace(" ", "")]), time_ms) for one in definitions]


def _fitting(kind: DataType, value: Value) -> Value:
    """None where a program of another version says something else than this type."""
    wanted: tuple[type, ...] = {
        DataType.BOOLEAN: (bool,), DataType.STRING: (str,), DataType.DOUBLE: (int, float),
    }.get(kind, (int,))  # fmt: skip
    fits = isinstance(value, wanted) and (kind is DataType.BOOLEAN or not isinstance(value, bool))
    return value if fits else None
