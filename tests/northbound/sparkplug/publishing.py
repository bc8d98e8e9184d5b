"""A publisher with records on disk, a real broker and a strict host that hears it over the broker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.mqtt.messages import DataType, Metric, Payload, Publication
from drivers.mqtt.payload import decode, encode
from drivers.mqtt.session import Broker, Heard, Session, Subscribed
from station.forwarding.progress import Cursors, forwarding_beside
from station.northbound.sparkplug.edge_node import REBIRTH
from station.northbound.sparkplug.names import Names
from station.northbound.sparkplug.publisher import Publisher, Publishing
from station.northbound.unsent import Source
from tests.bench.broker import MosquittoBroker
from tests.bench.sample_parts import WALL_TIME
from tests.bench.waiting import wait_for
from tests.northbound.sparkplug.strict_host import StrictHost

STATUS = {"online": True, "ready": True, "state": "ready", "error_code": 0, "counters": {"triggers": 7, "passed": 5}}
NAMES = Names("plant", "ST-04", "line")


class Plant:
    """Hears everything of the group, and keeps what a host keeps."""

    def __init__(self, broker: MosquittoBroker, name: str = "") -> None:
        """`name`: of a primary host, which says whether it is there."""
        self._broker, self._name = broker, name
        self.host = StrictHost("plant", "ST-04", "line")
        self.keys: list[str] = []
        """`Part/Key` of each part, in the order in which they came, history and live."""
        self.stored: list[str] = []
        self.errors: list[str] = []
        self._met = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.session = self._open()
        self._thread.start()

    def _open(self) -> Session:
        where = Broker("127.0.0.1", self._broker.port, encrypted=False)
        session = Session(where, f"plant-{self._name}", None, {})
        while not isinstance(session.next_event(5), Subscribed | None):
            session.subscribe(("spBv1.0/plant/#",))
        return session

    def _run(self) -> None:
        while not self._stopping.is_set():
            event = self.session.next_event(0.05)
            if isinstance(event, Heard):
                try:
                    self._hear(event)
                except AssertionError as problem:
                    self.errors.append(str(problem))

    def _hear(self, event: Heard) -> None:
        payload = decode(event.payload)
        kind = event.topic.split("/")[2]
        host = self.host
        if kind == "NDEATH":
            host.broken()
            return
        if kind == "NCMD":  # its own
            return
        if kind == "NBIRTH" and not host.connected:  # the will went to the broker
            host.connected = True
            host.bd_seq = next(metric.value for metric in payload.metrics if metric.name == "bdSeq")  # type: ignore[assignment]
            self._met = True
        if not self._met:  # it came between node and device: not before the next births
            return
        names = dict(host.device.names)
        host.hear(Publication(event.topic, payload, 0))
        if kind == "DDATA":
            for metric in payload.metrics:
                if names.get(metric.alias or 0) == "Part/Key":
                    self.keys.append(str(metric.value))
                    self.stored += [str(metric.value)] * metric.historical

    def ask_rebirth(self) -> None:
        from paho.mqtt import publish  # by a connection of its own: that of the host belongs to its thread

        metric = Metric(REBIRTH, None, int(time.time() * 1000), DataType.BOOLEAN, True)
        publish.single(
            NAMES.of_node("NCMD"), encode(Payload(int(time.time() * 1000), (metric,)), {}),
            hostname="127.0.0.1", port=self._broker.port,
        )  # fmt: skip

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.session.close()


class Bench:
    """One station."""

    def __init__(self, folder: Path, *brokers: MosquittoBroker, **fields: Any) -> None:
        self.records = folder / "records"
        self.file = forwarding_beside(self.records)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.status: dict[str, Any] | None = STATUS
        self.wall = WALL_TIME
        where = tuple(Broker("127.0.0.1", broker.port, encrypted=False) for broker in brokers)
        source = Source("sparkplug", self.records, waits_for_plc=False)
        self.publishing = replace(
            Publishing(source, "ST-04", NAMES, where, self.file.parent, every_part=True, host_timeout_s=0.0), **fields
        )
        self.start()

    def start(self) -> None:
        """A new process: nothing is left of the one before but what is on disk."""
        self.cursors = Cursors(self.file)
        self.publisher = Publisher(self.publishing, self.cursors, lambda: self.status, wall=lambda: self.wall)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self.publisher.step())

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self) -> None:
        """As far as the broker sees: the connection is gone without a word."""
        self._stopping.set()
        self._thread.join()
        link = self.publisher._link
        if isinstance(link, Session):
            link.close(in_order=False)
        self.cursors.close()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.publisher.close()
        self.cursors.close()

    @property
    def at(self) -> int:
        progress = self.cursors.of("sparkplug")
        return -1 if progress is None else progress.cursor.last_id


@contextmanager
def plant(broker: MosquittoBroker, name: str = "") -> Iterator[Plant]:
    opened = Plant(broker, name)
    try:
        yield opened
    finally:
        opened.close()
    assert opened.errors == []


def host_says(broker: MosquittoBroker, name: str, online: bool, time_ms: int) -> None:
    """The STATE message of a primary host, retained."""
    from paho.mqtt import publish  # the room of the wire has no retained messages

    publish.single(
        f"spBv1.0/STATE/{name}", json.dumps({"online": online, "timestamp": time_ms}), qos=1, retain=True,
        hostname="127.0.0.1", port=broker.port,
    )  # fmt: skip


ASK_AGAIN_S = 3.0
"""After which a host that came behind the births asks for them, as a real one does."""


def born(host: Plant) -> None:
    asked = time.monotonic()

    def there() -> bool:
        nonlocal asked
        if time.monotonic() > asked + ASK_AGAIN_S:
            asked = time.monotonic()
            host.ask_rebirth()
        return host.host.device.online

    wait_for(there, "the births")
