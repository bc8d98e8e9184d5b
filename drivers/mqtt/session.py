"""One connection to a broker, MQTT 3.1.1, by paho. What happens to it is read from `next_event`, by one thread.

Messages of quality of service 0 are confirmed by nobody, and a station wants to know what has arrived. A broker handles
what comes over a connection in order, so a subscription that it confirms stands behind all messages before it: that is
`mark`.
"""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from drivers.mqtt.messages import DataType, Publication
from drivers.mqtt.payload import encode

KEEPALIVE_S = 15
CONNECT_S = 5.0
MAX_HEARD = 1000
"""Messages that wait to be read; more are dropped, and counted."""


class SessionError(Exception):
    """There is no connection to the broker; the message says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is, and how it is spoken to."""

    host: str
    port: int
    encrypted: bool
    ca_file: Path | None = None
    """Of the authority of the broker; None: those of this computer."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        """For people; without the password."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has taken the connection."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """All topics of `subscribe` are confirmed."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Everything that was published before this mark has reached the broker."""

    mark: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody's message."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection was refused, or is over."""

    why: str


Event = Connected | Subscribed | Marked | Heard | Lost


class Session:
    """Owns one connection, from the will to the end."""

    def __init__(self, broker: Broker, client_id: str, will: Publication | None, types: Mapping[int, DataType]) -> None:
        """`will`: what the broker says when the station is gone; None: nothing. `types`: of the metrics by alias.

        Connects at once. Raises SessionError.
        """
        self._broker = broker
        self._types = dict(types)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._topics: tuple[str, ...] = ()
        self._marks: dict[int, int | None] = {}
        """By message id; None: of the subscription itself."""
        self._numbering = threading.Lock()
        """The broker may confirm before the id is known here."""
        self.dropped = 0
        """Messages of others that came faster than they were read."""
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, reconnect_on_failure=False
        )
        client.connect_timeout = CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        if will is not None:
            client.will_set(will.topic, encode(will.payload, self._types), qos=will.qos, retain=False)
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        try:
            if broker.encrypted:
                client.tls_set_context(_tls(broker))
            client.connect(broker.host, broker.port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
            raise SessionError(f"{broker}: {why}") from problem
        client.loop_start()

    def next_event(self, timeout_s: float) -> Event | None:
        """What happened next; None: nothing in this time."""
        try:
            return self._events.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Each with quality of service 1."""
        self._topics = topics
        self._marked(None, topics)

    def publish(self, message: Publication) -> None:
        """In order with what was published before; never retained. What is lost with the connection is lost."""
        self._client.publish(message.topic, encode(message.payload, self._types), qos=message.qos, retain=False)

    def mark(self, number: int) -> None:
        """`Marked(number)` comes when all that was published until now has arrived."""
        self._marked(number, self._topics[:1])

    def close(self, *, in_order: bool = True) -> None:
        """Ends the connection. `in_order`: says so to the broker, behind all messages; else it sends the will."""
        if in_order:
            self._client.disconnect()
        self._client.loop_stop()
        if not in_order and (socket := self._client.socket()) is not None:
            socket.close()

    def _marked(self, number: int | None, topics: tuple[str, ...]) -> None:
        with self._numbering:
            result, message_id = self._client.subscribe([(topic, 1) for topic in topics])
            if result is MQTTErrorCode.MQTT_ERR_SUCCESS and message_id is not None:
                self._marks[message_id] = number

    # ---- on the thread of the library ---------------------------------------------------------------------------

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:  # noqa: ARG002
        if reason.is_failure:
            self._events.put(Lost(f"{self._broker}: refused: {reason}"))
        else:
            self._events.put(Connected())

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:  # noqa: ARG002
        self._events.put(Lost(f"{self._broker}: the connection has ended: {reason}"))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:  # noqa: ARG002
        if self._events.qsize() >= MAX_HEARD:
            self.dropped += 1
        else:
            self._events.put(Heard(message.topic, bytes(message.payload)))

    def _on_subscribe(
        self, client: Client, userdata: Any, message_id: int, reasons: list[ReasonCode], properties: Any  # noqa: ARG002
    ) -> None:  # fmt: skip
        refused = next((reason for reason in reasons if reason.is_failure), None)
        if refused is not None:
            self._events.put(Lost(f"{self._broker}: a subscription was refused: {refused}"))
            return
        with self._numbering:
            number = self._marks.pop(message_id, -1)
        if number is None:
            self._events.put(Subscribed())
        elif number >= 0:
            self._events.put(Marked(number))


class _ClosedWhereItFails(ssl.SSLSocket):
    """The library leaves the socket open where the other side is not trusted."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(broker: Broker) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if broker.ca_file is None else str(broker.ca_file))
    if broker.certificate_file is not None:
        context.load_cert_chain(broker.certificate_file, broker.key_file)
    context.sslsocket_class = _ClosedWhereItFails
    return context
