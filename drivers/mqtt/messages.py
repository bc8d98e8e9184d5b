"""What goes over the link: messages and metrics of Sparkplug B, without a word of how they are encoded.

Specification: Eclipse Sparkplug 3.0, chapter 6. Times are milliseconds since 1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

Value = bool | int | float | str | None
"""Of a metric; None: it has none at present (`is_null`)."""


class DataType(IntEnum):
    """Of a metric, by the numbers of the specification; those that a station has. No UInt32: libraries differ in where
    its value stands.
    """

    INT32 = 3
    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True, slots=True)
class Metric:
    """One value. In a birth it has name, alias and type, behind it the alias alone (or the name, where it has none)."""

    name: str | None
    alias: int | None
    time_ms: int | None
    type: DataType | None
    """None in data: the birth has said it. Of an unknown type when read: None, too."""
    value: Value
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of a message."""

    time_ms: int | None
    metrics: tuple[Metric, ...]
    seq: int | None = None
    """0 to 255; None in a death of the node and in commands."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message of the station, or its will."""

    topic: str
    payload: Payload
    qos: int = 0


class PayloadError(ValueError):
    """Bytes that are no payload of Sparkplug B, or too many; the message says which."""
