"""A host that takes nothing which Sparkplug B 3.0 does not allow: it keeps the state that a host keeps, and raises.

Written from the specification alone; each rule names its assertion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.mqtt.messages import DataType, Metric, Payload, Publication, Value


class Broken(AssertionError):
    """A rule was broken; the message begins with the id of the assertion."""


def hold(what: bool, rule: str, detail: object = "") -> None:
    if not what:
        raise Broken(f"{rule}: {detail}")


@dataclass
class Known:
    """Node or device as a host knows it."""

    names: dict[int, str] = field(default_factory=dict)
    types: dict[str, DataType] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    online: bool = False


class StrictHost:
    """Hears one edge node over one broker at a time."""

    def __init__(self, group: str, node: str, device: str) -> None:
        self.base, self.node_id, self.device_id = f"spBv1.0/{group}", node, device
        self.node, self.device = Known(), Known()
        self.seq = -1
        self.bd_seq: int | None = None
        self.will: Publication | None = None
        self.connected = False
        self.history: list[Metric] = []
        """Stored values, as they came."""
        self.births = 0

    # ---- the connection ---------------------------------------------------------------------------------------------

    def connect(self, will: Publication) -> None:
        """message-flow-edge-node-birth-publish-will-message, payloads-ndeath-will-message: none without a will."""
        hold(not self.connected, "operational-behavior-primary-application-state-with-multiple-servers-single-server")
        hold(
            will.topic == f"{self.base}/NDEATH/{self.node_id}",
            "message-flow-edge-node-birth-publish-will-message-topic",
        )
        hold(will.qos == 1, "payloads-ndeath-will-message-qos")
        bd_seq = self._death(will.payload)
        if self.bd_seq is None:
            hold(bd_seq == 0, "topics-nbirth-bdseq-increment", bd_seq)
        else:
            hold(
                bd_seq == (self.bd_seq + 1) % 256,
                "message-flow-edge-node-birth-publish-will-message-payload-bdSeq",
                bd_seq,
            )
        self.bd_seq, self.will, self.connected = bd_seq, will, True
        self.node.online = self.device.online = False

    def broken(self) -> None:
        """The broker sends the will."""
        if self.connected:
            self.connected = self.node.online = self.device.online = False

    def disconnected(self) -> None:
        """In order: no will. The node said so before, if it was born."""
        hold(not self.node.online, "payloads-ndeath-will-message-publisher-disconnect-mqtt311")
        self.connected = False

    # ---- messages ---------------------------------------------------------------------------------------------------

    def hear(self, message: Publication) -> None:
        hold(self.connected, "message-flow-edge-node-birth-publish-connect")
        kind = message.topic.removeprefix(f"{self.base}/").split("/")[0]
        of_device = kind.startswith("D")
        tail = f"/{self.node_id}/{self.device_id}" if of_device else f"/{self.node_id}"
        hold(message.topic == f"{self.base}/{kind}{tail}", "topic-structure", message.topic)
        if kind == "NDEATH":
            hold(self._death(message.payload) == self.bd_seq, "payloads-ndeath-bdseq")
            self.node.online = self.device.online = False
            return
        hold(message.qos == 0, f"topics-{kind.lower()}-mqtt")
        hold(message.payload.time_ms is not None, f"topics-{kind.lower()}-timestamp")
        self._sequence(kind, message.payload)
        getattr(self, f"_{kind.lower()}")(message.payload)

    def _sequence(self, kind: str, payload: Payload) -> None:
        hold(payload.seq is not None, "payloads-sequence-num-always-included", kind)
        if kind == "NBIRTH":
            hold(payload.seq == 0, "topics-nbirth-seq-num", payload.seq)
        else:
            hold(self.node.online, "principles-birth-certificates-order", kind)
            hold(payload.seq == (self.seq + 1) % 256, "payloads-sequence-num-incrementing", (self.seq, payload.seq))
        self.seq = payload.seq or 0

    def _nbirth(self, payload: Payload) -> None:
        by_name = {metric.name: metric for metric in payload.metrics}
        number = by_name.pop("bdSeq", None)
        hold(number is not None, "topics-nbirth-bdseq-included")
        assert number is not None
        hold(number.type is DataType.INT64, "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq")
        hold(number.value == self.bd_seq, "topics-nbirth-bdseq-matching", (number.value, self.bd_seq))
        rebirth = by_name.pop("Node Control/Rebirth", None)
        hold(rebirth is not None, "topics-nbirth-rebirth-metric")
        assert rebirth is not None
        hold(rebirth.alias is None, "operational-behavior-data-commands-rebirth-name-aliases")
        hold(rebirth.type is DataType.BOOLEAN, "operational-behavior-data-commands-rebirth-datatype")
        hold(rebirth.value is False, "operational-behavior-data-commands-rebirth-value")
        self.node, self.device = Known(online=True), Known()
        self._birth(self.node, [metric for metric in payload.metrics if metric not in (number, rebirth)], payload)
        self.births += 1

    def _dbirth(self, payload: Payload) -> None:
        hold(self.node.online, "message-flow-device-birth-publish-nbirth-wait")
        self.device = Known(online=True)
        self._birth(self.device, list(payload.metrics), payload)
        both = self.node.names.keys() & self.device.names.keys()
        hold(not both, "payloads-alias-uniqueness", both)

    def _birth(self, known: Known, metrics: list[Metric], payload: Payload) -> None:
        times = [metric.time_ms for metric in payload.metrics]
        hold(None not in times, "payloads-name-birth-data-requirement")
        hold(times == sorted(times), "operational-behavior-data-publish-nbirth-order", times)  # type: ignore[type-var]
        for metric in metrics:
            hold(metric.name is not None and metric.alias is not None, "payloads-alias-birth-requirement", metric)
            hold(metric.type is not None, "payloads-metric-datatype-req", metric)
            assert metric.name is not None
            assert metric.alias is not None
            assert metric.type is not None
            hold(metric.alias not in known.names, "payloads-alias-uniqueness", metric)
            hold(metric.name not in known.types, "payloads-alias-uniqueness", metric)
            hold(not metric.historical, "operational-behavior-data-publish-nbirth-values", metric)
            known.names[metric.alias] = metric.name
            known.types[metric.name] = metric.type
            known.values[metric.name] = metric.value
        lowered = {name.lower() for name in known.types}
        hold(len(lowered) == len(known.types), "case-sensitivity-metric-names")

    def _ndata(self, payload: Payload) -> None:
        self._data(self.node, payload)

    def _ddata(self, payload: Payload) -> None:
        hold(self.device.online, "payloads-ddata-order")
        self._data(self.device, payload)

    def _data(self, known: Known, payload: Payload) -> None:
        hold(bool(payload.metrics), "operational-behavior-data-publish-nbirth-change")
        live = [metric.time_ms for metric in payload.metrics if not metric.historical]
        hold(None not in live, "payloads-name-birth-data-requirement")
        hold(live == sorted(live), "operational-behavior-data-publish-dbirth-order", live)  # type: ignore[type-var]
        for metric in payload.metrics:
            hold(metric.name is None, "payloads-alias-data-cmd-requirement", metric)
            hold(metric.type is None, "payloads-metric-datatype-not-req", metric)
            hold(metric.alias in known.names, "topics-nbirth-metric-reqs", metric)
            assert metric.alias is not None
            if metric.historical:
                self.history.append(metric)
            else:
                known.values[known.names[metric.alias]] = metric.value

    def _ddeath(self, payload: Payload) -> None:
        hold(self.device.online, "operational-behavior-device-ddeath")
        self.device.online = False

    def _death(self, payload: Payload) -> int:
        hold(payload.seq is None, "topics-ndeath-seq")
        hold([metric.name for metric in payload.metrics] == ["bdSeq"], "topics-ndeath-payload")
        number = payload.metrics[0]
        hold(number.type is DataType.INT64 and isinstance(number.value, int), "payloads-ndeath-bdseq")
        assert isinstance(number.value, int)
        return number.value
