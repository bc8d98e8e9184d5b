"""The station as an edge node of Sparkplug B 3.0: what is sent, in which order, under which numbers. Pure.

            start, pause over                 connected              subscribed; the host is there
    PAUSED ─────────────────► CONNECTING ───────────────► WAITING ────────────────────────► ONLINE
       ▲                          │                          │                                │
       └──────── connection lost, refused ◄──────────────────┴── host gone: NDEATH, disconnect ┘

Every method returns what is to be done, in order. A birth has all values; behind it goes what has changed. Times are
given: `now_s` of a clock that never goes back for pauses, `time_ms` of the calendar for messages.

Specification: Eclipse Sparkplug 3.0; the tests name its assertions one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from drivers.mqtt.messages import DataType, Metric, Payload, PayloadError, Publication, Value
from drivers.mqtt.payload import decode
from station.northbound.sparkplug.host import Host
from station.northbound.sparkplug.names import Names

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
NODE, DEVICE = "node", "device"
NUMBERS = 256
"""`seq` and `bdSeq` begin again at 0."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
REBIRTH_GAP_S = 1.0
"""At least between two births of a connection, whatever is asked: the host does not set the amount of work."""
MAX_REFUSALS = 5
"""Commands that are refused and said so, until the next connection."""


class State(Enum):
    """Of the session; see the drawing above."""

    PAUSED = "paused"
    CONNECTING = "connecting"
    WAITING = "waiting"
    """Connected; the subscriptions are not confirmed, or the primary host is away."""
    ONLINE = "online"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric that the station has, as long as it runs."""

    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of the line. `time_ms`: when it was so."""

    name: str
    value: Value
    time_ms: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect to the broker of this place in the list. `bd_seq` is on disk before that is tried."""

    broker: int
    will: Publication
    bd_seq: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Each with quality of service 1; `subscribed` once the broker has confirmed all."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """In order, behind the messages before it."""


@dataclass(frozen=True, slots=True)
class Said:
    """For the log: something that a person may want to know."""

    text: str


Action = Connect | Subscribe | Publication | Disconnect | Said


@dataclass(slots=True)
class _Values:
    """The metrics of node or device, and their values now."""

    definitions: Mapping[str, Definition]
    values: dict[str, Value] = field(default_factory=dict)
    times_ms: dict[str, int] = field(default_factory=dict)


class EdgeNode:
    """Owns the session with the brokers and the values that were published."""

    def __init__(
        self,
        names: Names,
        node: Sequence[Definition],
        device: Sequence[Definition],
        *,
        last_bd_seq: int | None,
        brokers: int = 1,
    ) -> None:
        """`node`, `device`: all that will ever be published of station and line. `last_bd_seq`: of the last connection,
        None before the first. Raises ValueError for two metrics of one name.
        """
        self._names = names
        self._node, self._device = _Values(_by_name(node)), _Values(_by_name(device))
        places = [(NODE, one) for one in node] + [(DEVICE, one) for one in device]
        self._aliases = {(place, one.name): alias for alias, (place, one) in enumerate(places, start=1)}
        self.types = {alias: one.type for alias, (_, one) in enumerate(places, start=1)}
        """Of the metrics by alias."""
        self._bd_seq = -1 if last_bd_seq is None else last_bd_seq
        self._seq = 0
        self._brokers = brokers
        self._broker = 0
        self._hosts = [Host() for _ in range(brokers)]
        self.state = State.STOPPED
        self._failures = 0
        self._next_s: float | None = None
        """When to connect (PAUSED), or to send the birth that was asked for (ONLINE)."""
        self._born_s = 0.0
        self._device_is_there = False
        self._device_is_born = False
        self._refusals = 0

    # ---- the connection -----------------------------------------------------------------------------------------

    @property
    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._next_s

    @property
    def online(self) -> bool:
        """What is published goes out, and somebody is there to hear it."""
        return self.state is State.ONLINE and self._next_s is None

    def start(self, time_ms: int) -> list[Action]:
        """The first connection."""
        return self._connect(time_ms)

    def tick(self, now_s: float, time_ms: int) -> list[Action]:
        """The time has come for what was put off."""
        if self._next_s is None or now_s < self._next_s:
            return []
        self._next_s = None
        if self.state is State.PAUSED:
            return self._connect(time_ms)
        return self._births(now_s, time_ms) if self.state is State.ONLINE else []

    def connected(self) -> list[Action]:
        """The broker has taken the connection."""
        if self.state is not State.CONNECTING:
            return []
        self.state = State.WAITING
        topics = (self._names.of_node("NCMD"), *([self._names.state] if self._names.host else []))
        return [Subscribe(topics)]

    def subscribed(self, now_s: float, time_ms: int) -> list[Action]:
        """The broker has confirmed the subscriptions: only now can no answer to a birth be missed."""
        if self.state is not State.WAITING:
            return []
        self._failures = 0
        if not self._names.host or self._hosts[self._broker].online:
            return self._births(now_s, time_ms)
        return []

    def lost(self, now_s: float, why: str) -> list[Action]:
        """The connection was refused, or has ended; the broker sends the will."""
        if self.state in (State.PAUSED, State.STOPPED):
            return []
        self._failures += 1
        self._pause(now_s)
        is_new = self._failures & (self._failures - 1) == 0  # 1, 2, 4, 8: the log of a day without a broker stays short
        return [Said(f"no connection to broker {self._broker}: {why}")] if is_new else []

    def stop(self, time_ms: int) -> list[Action]:
        """The station is to be stopped: says so itself, as the broker sends no will behind a disconnect."""
        was, self.state, self._next_s = self.state, State.STOPPED, None
        if was is State.ONLINE:
            return [self._death(time_ms), Disconnect()]
        return [Disconnect()] if was in (State.WAITING, State.CONNECTING) else []

    # ---- what comes ---------------------------------------------------------------------------------------------

    def heard(self, topic: str, payload: bytes, now_s: float, time_ms: int) -> list[Action]:
        """A message on one of the topics that were subscribed; others are left."""
        if self.state not in (State.WAITING, State.ONLINE):
            return []
        if self._names.host and topic == self._names.state:
            return self._host_said(payload, now_s, time_ms)
        if topic == self._names.of_node("NCMD"):
            return self._commanded(payload, now_s, time_ms)
        return []

    # ---- what is published --------------------------------------------------------------------------------------

    def publish_node(self, readings: Sequence[Reading], time_ms: int) -> list[Action]:
        """Values of the station; those that have changed go out."""
        return self._publish(NODE, self._node, readings, time_ms)

    def publish_device(self, readings: Sequence[Reading], time_ms: int) -> list[Action]:
        """Values of the line; those that have changed go out while the device is there."""
        return self._publish(DEVICE, self._device, readings, time_ms)

    def publish_parts(self, parts: Sequence[Sequence[Reading]], time_ms: int, *, stored: bool) -> list[Action]:
        """Results of parts, all values of each, in their order. `stored`: of a time that is over, so they do not become
        the current values. Raises ValueError where `takes_parts` is False.
        """
        if not self.takes_parts:
            raise ValueError("parts are published while the line is born, else nobody takes them")
        metrics = []
        for part in parts:
            for reading in sorted(part, key=lambda one: one.time_ms):
                if not stored:
                    self._keep(self._device, reading)
                metrics.append(self._datum(DEVICE, self._device, reading, historical=stored))
        return [self._message(self._names.of_device("DDATA"), metrics, time_ms)] if metrics else []

    def device_there(self, there: bool, time_ms: int) -> list[Action]:
        """The daemon of the line answers, or no longer does."""
        self._device_is_there = there
        if not self.online or there == self._device_is_born:
            return []
        if there:
            return [self._device_birth(time_ms)]
        self._device_is_born = False
        return [self._message(self._names.of_device("DDEATH"), [], time_ms)]

    @property
    def takes_parts(self) -> bool:
        """Results may be published now."""
        return self.online and self._device_is_born

    # ---- inside -------------------------------------------------------------------------------------------------

    def _connect(self, time_ms: int) -> list[Action]:
        self.state, self._next_s = State.CONNECTING, None
        self._bd_seq = (self._bd_seq + 1) % NUMBERS
        self._refusals = 0
        self._device_is_born = False
        self._hosts[self._broker].online = None
        return [Connect(self._broker, self._death(time_ms), self._bd_seq)]

    def _pause(self, now_s: float) -> None:
        """Until the next broker of the list is tried: longer and longer while none takes the connection."""
        self.state = State.PAUSED
        self._device_is_born = False
        self._broker = (self._broker + 1) % self._brokers
        pause_s = FIRST_PAUSE_S * 2 ** min(max(self._failures - 1, 0), 10)
        self._next_s = now_s + min(pause_s, LONGEST_PAUSE_S)

    def _host_said(self, payload: bytes, now_s: float, time_ms: int) -> list[Action]:
        host = self._hosts[self._broker]
        if problem := host.heard(payload):
            return self._refuse(problem)
        if host.online and self.state is State.WAITING:
            return self._births(now_s, time_ms)
        if host.online:
            return []
        if self.state is State.ONLINE:
            death = self._death(time_ms)
            self._pause(now_s)
            return [death, Disconnect(), Said(f"host {self._names.host} is gone: nothing is sent until it is back")]
        if self._brokers > 1:  # it may be at another one
            self._pause(now_s)
            return [Disconnect()]
        return []

    def _commanded(self, payload: bytes, now_s: float, time_ms: int) -> list[Action]:
        try:
            command = decode(payload)
        except PayloadError as problem:
            return self._refuse(f"a command that cannot be read: {problem}")
        for metric in command.metrics:
            if metric.name == REBIRTH and metric.value is True:
                return self._reborn(now_s, time_ms) if self.state is State.ONLINE else []
        names = [metric.name if metric.name is not None else f"alias {metric.alias}" for metric in command.metrics]
        return self._refuse(f"a command that a station does not take: {names!r:.80}")

    def _reborn(self, now_s: float, time_ms: int) -> list[Action]:
        if now_s < self._born_s + REBIRTH_GAP_S:  # no data until then: `online` is False
            self._next_s = self._born_s + REBIRTH_GAP_S
            return []
        return self._births(now_s, time_ms)

    def _refuse(self, text: str) -> list[Action]:
        self._refusals += 1
        return [Said(text)] if self._refusals <= MAX_REFUSALS else []

    def _births(self, now_s: float, time_ms: int) -> list[Action]:
        self.state, self._born_s, self._next_s = State.ONLINE, now_s, None
        control = [
            Metric(BD_SEQ, None, time_ms, DataType.INT64, self._bd_seq),
            Metric(REBIRTH, None, time_ms, DataType.BOOLEAN, False),
        ]
        self._seq = NUMBERS - 1
        birth = self._message(self._names.of_node("NBIRTH"), [*self._all(NODE, self._node, time_ms), *control], time_ms)
        self._device_is_born = False
        return [birth, self._device_birth(time_ms)] if self._device_is_there else [birth]

    def _device_birth(self, time_ms: int) -> Publication:
        self._device_is_born = True
        return self._message(self._names.of_device("DBIRTH"), self._all(DEVICE, self._device, time_ms), time_ms)

    def _all(self, place: str, known: _Values, time_ms: int) -> list[Metric]:
        """For a birth: each metric with name, alias, type and what it is now."""
        metrics = [
            Metric(
                name, self._aliases[place, name], known.times_ms.get(name, time_ms), one.type, known.values.get(name)
            )
            for name, one in known.definitions.items()
        ]
        return sorted(metrics, key=lambda metric: metric.time_ms or 0)

    def _publish(self, place: str, known: _Values, readings: Sequence[Reading], time_ms: int) -> list[Action]:
        changed = []
        for reading in sorted(readings, key=lambda one: one.time_ms):
            is_new = reading.name not in known.times_ms or known.values[reading.name] != reading.value
            self._keep(known, reading)
            if is_new:
                changed.append(self._datum(place, known, reading, historical=False))
        born = self._device_is_born if place == DEVICE else True
        if not (changed and self.online and born):
            return []
        topic = self._names.of_device("DDATA") if place == DEVICE else self._names.of_node("NDATA")
        return [self._message(topic, changed, time_ms)]

    def _keep(self, known: _Values, reading: Reading) -> None:
        if reading.name not in known.definitions:
            raise ValueError(f"metric {reading.name!r} is in no birth")
        known.values[reading.name] = reading.value
        known.times_ms[reading.name] = reading.time_ms

    def _datum(self, place: str, known: _Values, reading: Reading, *, historical: bool) -> Metric:
        if reading.name not in known.definitions:
            raise ValueError(f"metric {reading.name!r} is in no birth")
        return Metric(None, self._aliases[place, reading.name], reading.time_ms, None, reading.value, historical)

    def _message(self, topic: str, metrics: Sequence[Metric], time_ms: int) -> Publication:
        self._seq = (self._seq + 1) % NUMBERS
        return Publication(topic, Payload(time_ms, tuple(metrics), self._seq))

    def _death(self, time_ms: int) -> Publication:
        """Of the node: the will, and what says it in order. No sequence number; quality of service 1."""
        metric = Metric(BD_SEQ, None, time_ms, DataType.INT64, self._bd_seq)
        return Publication(self._names.of_node("NDEATH"), Payload(time_ms, (metric,)), qos=1)


def _by_name(definitions: Sequence[Definition]) -> dict[str, Definition]:
    found = {one.name: one for one in definitions}
    lowered = {name.lower() for name in (*found, BD_SEQ, REBIRTH)}
    if len(lowered) != len(definitions) + 2:
        raise ValueError("two metrics of one name")
    return found
