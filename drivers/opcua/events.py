"""An event as clients select its fields from it, and the filters that asyncua evaluates over it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from asyncua import ua

from drivers.opcua.building import Nodes
from drivers.opcua.facts import Type
from drivers.opcua.vision_types import NAMED, TYPES

_BASES: dict[str, tuple[int, ...]] = {
    "0:2041": (2041,),
    "0:2311": (2311, 2041),
    "0:2881": (2881, 2782, 2041),
    "0:2787": (2787, 3035, 2041),
    "0:2788": (2788, 3035, 2041),
}
"""Types of OPC UA from which those of the specification are derived, and theirs."""


class _Kind:
    """The type of an event in a filter: OfType holds for its bases, too."""

    def __init__(self, types: Sequence[Any]) -> None:
        self._types = tuple(types)

    def __eq__(self, other: object) -> bool:
        return other in self._types

    def __hash__(self) -> int:
        return hash(self._types)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event comes from: paths of the source and of the objects above it, which raise it, too."""

    path: str
    above: tuple[str, ...]
    name: str


class Event:
    """Given to the monitored items of asyncua in place of its own events."""

    def __init__(
        self, nodes: Nodes, kind: str, origin: Origin, fields: Mapping[str, Any], *, message: str, severity: int,
        at: datetime | None = None, condition: str = "", retain: bool = False,
    ) -> None:  # fmt: skip
        """`kind`: name of a type of the specification, or `0:...`. `fields`: variants by path, `EnabledState/Id`.

        `condition`: path of the condition that it is of; empty: of none.
        """
        now = datetime.now(timezone.utc)
        of = NAMED.get(kind)
        type_id = nodes.id_of(kind if of is None else of.id)
        self.Retain = retain  # the names of asyncua
        self.NodeId = nodes.own_id(condition) if condition else None
        self.EventType = _Kind(_types_of(nodes, kind, of))
        self.emitting_node: Any = None
        self.origin = origin
        self._values = {
            "EventId": ua.Variant(uuid.uuid4().bytes, ua.VariantType.ByteString),
            "EventType": ua.Variant(type_id, ua.VariantType.NodeId),
            "SourceNode": ua.Variant(nodes.own_id(origin.path), ua.VariantType.NodeId),
            "SourceName": ua.Variant(origin.name, ua.VariantType.String),
            "Time": ua.Variant(at or now, ua.VariantType.DateTime),
            "ReceiveTime": ua.Variant(now, ua.VariantType.DateTime),
            "Message": ua.Variant(ua.LocalizedText(message), ua.VariantType.LocalizedText),
            "Severity": ua.Variant(severity, ua.VariantType.UInt16),
            **fields,
        }

    def __getattr__(self, name: str) -> Any:
        """A field, for filters. Raises AttributeError."""
        try:
            return self.__dict__["_values"][name].Value
        except KeyError:
            raise AttributeError(name) from None

    def to_event_fields(self, clauses: Sequence[Any]) -> list[Any]:
        """The fields that a client has selected, null for those that this event does not have."""
        return [self._field(clause) for clause in clauses]

    def _field(self, clause: Any) -> Any:
        if not clause.BrowsePath:  # the id of the condition
            wants_id = clause.AttributeId == ua.AttributeIds.NodeId and self.NodeId is not None
            return ua.Variant(self.NodeId, ua.VariantType.NodeId) if wants_id else ua.Variant(None)
        return self._values.get("/".join(name.Name for name in clause.BrowsePath)) or ua.Variant(None)


def _types_of(nodes: Nodes, kind: str, of: Type | None) -> list[Any]:
    found = []
    while of is not None:
        found.append(nodes.id_of(of.id))
        kind = of.base
        of = TYPES.get(kind)
    return [*found, *(ua.NodeId(number) for number in _BASES[kind])]
