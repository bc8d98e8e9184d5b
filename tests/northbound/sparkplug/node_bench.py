"""An edge node with a strict host behind it, for the tests beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from drivers.mqtt.messages import DataType, Metric, Payload, Publication
from drivers.mqtt.payload import encode
from station.northbound.sparkplug.edge_node import (
    REBIRTH,
    Action,
    Connect,
    Definition,
    Disconnect,
    EdgeNode,
    Reading,
    Said,
    Subscribe,
)
from station.northbound.sparkplug.names import Names
from tests.northbound.sparkplug.strict_host import StrictHost

NODE = (Definition("Software", DataType.STRING), Definition("Waiting", DataType.INT64))
DEVICE = (
    Definition("Ready", DataType.BOOLEAN),
    Definition("Part/Key", DataType.STRING),
    Definition("Score", DataType.DOUBLE),
)
START_MS = 1_700_000_000_000


class Bench:
    """Carries the actions out at once, and lets the host hear them."""

    def __init__(self, *, host: str = "", brokers: int = 1, last_bd_seq: int | None = None) -> None:
        self.names = Names("plant", "ST-04", "line", host)
        self.node = EdgeNode(self.names, NODE, DEVICE, last_bd_seq=last_bd_seq, brokers=brokers)
        self.host = StrictHost("plant", "ST-04", "line")
        self.host.bd_seq = last_bd_seq
        self.now_s = 0.0
        self.sent: list[Publication] = []
        self.said: list[str] = []
        self.subscribed: tuple[str, ...] = ()
        self.brokers: list[int] = []
        self.bd_seqs: list[int] = []

    @property
    def time_ms(self) -> int:
        return START_MS + round(self.now_s * 1000)

    def do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Connect():
                    self.host.connect(action.will)
                    self.brokers.append(action.broker)
                    self.bd_seqs.append(action.bd_seq)
                case Publication():
                    self.host.hear(action)
                    self.sent.append(action)
                case Subscribe():
                    self.subscribed = action.topics
                case Disconnect():
                    self.host.disconnected()
                case Said():
                    self.said.append(action.text)

    @property
    def kinds(self) -> list[str]:
        return [message.topic.split("/")[2] for message in self.sent]

    def born(self, *, device: bool = True) -> Bench:
        """Connected, subscribed, and the device there."""
        self.do(self.node.start(self.time_ms))
        self.do(self.node.device_there(device, self.time_ms))
        self.do(self.node.connected())
        self.do(self.node.subscribed(self.now_s, self.time_ms))
        return self

    def after(self, seconds: float) -> None:
        self.now_s += seconds
        self.do(self.node.tick(self.now_s, self.time_ms))

    def ask_rebirth(self) -> None:
        metric = Metric(REBIRTH, None, self.time_ms, DataType.BOOLEAN, True)
        self.hear(self.names.of_node("NCMD"), encode(Payload(self.time_ms, (metric,)), {}))

    def hear(self, topic: str, payload: bytes) -> None:
        self.do(self.node.heard(topic, payload, self.now_s, self.time_ms))

    def state(self, online: object, time_ms: object = START_MS) -> None:
        self.hear(self.names.state, json.dumps({"online": online, "timestamp": time_ms}).encode())

    def lose(self) -> None:
        self.host.broken()
        self.do(self.node.lost(self.now_s, "cut"))

    def part(self, key: str, *, stored: bool = False) -> None:
        readings = [Reading("Part/Key", key, self.time_ms), Reading("Score", 0.5, self.time_ms)]
        self.do(self.node.publish_parts([readings], self.time_ms, stored=stored))
