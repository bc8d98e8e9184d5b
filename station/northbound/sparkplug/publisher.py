"""Carries the edge node out: session with the broker, status of the line, parts behind the cursor. One thread.

    status of the daemon, each second ──┐
    parts behind the cursor ────────────┼─► edge node ─► session ─► broker ─► mark reached ─► cursor
    what the broker and hosts say ──────┘

Messages of Sparkplug are confirmed by nobody. So the cursor moves to what the broker has certainly got
(`Session.mark`), and with a primary host not before `host_timeout_s` more: within that time it shows when the host is
gone. What stood between comes again, as history, with the same `Part/Key`.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from drivers.mqtt.messages import Publication
from drivers.mqtt.session import Broker, Connected, Event, Heard, Lost, Marked, Session, SessionError, Subscribed
from station import __version__
from station.forwarding.progress import Cursor, Cursors, ForwardingError
from station.northbound.sparkplug import metrics
from station.northbound.sparkplug.edge_node import Action, Connect, Disconnect, EdgeNode, Said, State, Subscribe
from station.northbound.sparkplug.names import Names
from station.northbound.unsent import Look, Numbered, Source, Unsent, place_of
from station.records.anchors.kept import head_of_records
from station.records.images import write_atomic
from station.records.schema import RecordingError

log = structlog.get_logger()

LOOK_S = 0.2
"""Longest wait for the broker before the line is looked at again."""
STATUS_S = 1.0
BATCH = 200
"""Parts between two marks."""
PARTS_A_MESSAGE = 25
STORED_S = 10.0
"""An older part is history; a younger one is what the line shows now."""
NUMBER_FILE = "sparkplug_bd_seq"


@dataclass(frozen=True, slots=True)
class Publishing:
    """What is published of whom, and where."""

    source: Source
    station: str
    names: Names
    brokers: tuple[Broker, ...]
    folder: Path
    """For the number of the last connection."""
    every_part: bool = False
    """Else parts that are PASS are only counted."""
    host_timeout_s: float = 30.0


class _Link(Protocol):
    """A session, as the publisher uses it."""

    def next_event(self, timeout_s: float) -> Event | None: ...
    def subscribe(self, topics: tuple[str, ...]) -> None: ...
    def publish(self, message: Publication) -> None: ...
    def mark(self, number: int) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Batch:
    """Parts on their way, oldest first."""

    before: Cursor
    parts: Sequence[Numbered]
    sent: int
    mark: int
    arrived_s: float | None = None
    """When the broker had it; None: it may be lost with the connection."""


class Publisher:
    """Owns the session and what is on its way. One thread calls `step`; `close` ends in order."""

    def __init__(
        self,
        publishing: Publishing,
        cursors: Cursors,
        status: Callable[[], Mapping[str, Any] | None],
        *,
        connect: Callable[..., _Link] = Session,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`status`: of the daemon, None while it is silent; at most a second long. `wall`: by which a part is old."""
        self._publishing = publishing
        self._cursors = cursors
        self._unsent = Unsent(publishing.source, cursors)
        self._status = status
        self._connect = connect
        self._clock = clock
        self._wall = wall
        self._node = EdgeNode(
            publishing.names, metrics.NODE, metrics.DEVICE,
            last_bd_seq=_read_number(publishing.folder / NUMBER_FILE), brokers=len(publishing.brokers),
        )  # fmt: skip
        self._link: _Link | None = None
        self._under_way: deque[_Batch] = deque()
        self._seen_s = float("-inf")
        self._waiting = False
        """Parts stand behind what is on its way."""
        self._marks = 0
        self._failing_since: float | None = None

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """In the order in which they are tried."""
        return self._publishing.brokers

    def step(self) -> float:
        """What has come, what is to be published; seconds until the next step.

        Never raises for what broker, records or disk do.
        """
        try:
            if self._node.state is State.STOPPED:
                self._do(self._node.start(_time_ms()))
            self._hear()
            self._do(self._node.tick(self._clock(), _time_ms()))
            self._look_at_line()
            self._publish_parts()
            self._move_cursor()
        except (RecordingError, ForwardingError, sqlite3.Error, OSError) as problem:
            self._fails(str(problem))
            return STATUS_S
        return 0.0

    def close(self) -> None:
        """Says goodbye to the broker."""
        self._do(self._node.stop(_time_ms()))

    # ---- the session --------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """All that has come; waits for the first."""
        if self._link is None:
            next_s = self._node.next_s
            time.sleep(LOOK_S if next_s is None else max(0.0, min(LOOK_S, next_s - self._clock())))
            return
        has_work = self._waiting and self._node.takes_parts and not self._is_full
        event = self._link.next_event(0.0 if has_work else LOOK_S)
        while event is not None:
            now_s, time_ms = self._clock(), _time_ms()
            match event:
                case Connected():
                    self._do(self._node.connected())
                case Subscribed():
                    self._do(self._node.subscribed(now_s, time_ms))
                case Heard():
                    self._do(self._node.heard(event.topic, event.payload, now_s, time_ms))
                case Marked():
                    self._arrived(event.mark)
                case Lost():
                    self._drop()
                    self._do(self._node.lost(now_s, event.why))
                    self._fails(event.why)
            event = None if self._link is None else self._link.next_event(0.0)

    @property
    def _is_full(self) -> bool:
        """A batch is on its way to the broker."""
        return any(batch.arrived_s is None for batch in self._under_way)

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Connect():
                    self._open(action)
                case Subscribe() if self._link is not None:
                    self._link.subscribe(action.topics)
                case Publication() if self._link is not None:
                    self._link.publish(action)
                case Disconnect():
                    self._drop()
                case Said():
                    log.warning("sparkplug", detail=action.text)

    def _open(self, connect: Connect) -> None:
        broker = self._publishing.brokers[connect.broker]
        name = f"station-{self._publishing.names.group}-{self._publishing.names.node}"
        try:
            write_atomic(self._publishing.folder / NUMBER_FILE, str(connect.bd_seq).encode())
            self._link = self._connect(broker, name, connect.will, self._node.types)
        except (SessionError, OSError) as problem:
            self._do(self._node.lost(self._clock(), str(problem)))
            self._fails(str(problem))

    def _drop(self) -> None:
        """The session is over: what the broker has not certainly got comes again."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self._under_way.clear()

    # ---- what is published --------------------------------------------------------------------------------------

    def _look_at_line(self) -> None:
        if self._clock() < self._seen_s + STATUS_S:
            return
        self._seen_s = self._clock()
        status, look = self._status(), self._unsent.look(0)
        time_ms = _time_ms()
        waiting = left_out = 0
        if look is not None:
            self._place(look)
            waiting, left_out = look.newest - look.progress.cursor.last_id, look.progress.left_out
            self._waiting = waiting > 0 and look.newest > (self._under_way[-1].parts[-1][0] if self._under_way else 0)
            if self._node.online and look.progress.failing_since is not None:
                self._failing_since = None
                self._cursors.failing(self._publishing.source.name, None, "")
        head = str(head_of_records(self._publishing.source.records) or "")
        readings = metrics.of_station(self._publishing.station, __version__, (waiting, left_out), head, time_ms)
        self._do(self._node.publish_node(list(readings), time_ms))
        self._do(self._node.publish_device(metrics.of_status(status or {}, time_ms), time_ms))
        is_there = status is not None or self._waiting or bool(self._under_way)  # who is dead publishes no parts
        self._do(self._node.device_there(is_there, time_ms))

    def _place(self, look: Look) -> None:
        if look.is_new_place:
            self._under_way.clear()

    def _publish_parts(self) -> None:
        """The next ones behind those that are on their way; a batch between two marks."""
        if not self._node.takes_parts or self._link is None or self._is_full:
            return
        after = self._under_way[-1].parts[-1][0] if self._under_way else None
        look = self._unsent.look(BATCH, after)
        self._waiting = look is not None and len(look.parts) == BATCH
        if look is None or not look.parts:
            return
        self._place(look)
        before = place_of(self._under_way[-1].parts[-1]) if self._under_way else look.progress.cursor
        chosen = [row for _, row in look.parts if self._publishing.every_part or row.verdict != "PASS"]
        for first in range(0, len(chosen), PARTS_A_MESSAGE):
            rows = chosen[first : first + PARTS_A_MESSAGE]
            is_old = self._wall() - rows[0].wall_time > STORED_S
            readings = [metrics.of_part(row) for row in rows]
            self._do(self._node.publish_parts(readings, _time_ms(), stored=is_old))
        self._marks += 1
        arrived_s = None if chosen else self._clock()
        self._under_way.append(_Batch(before, look.parts, len(chosen), self._marks, arrived_s))
        if chosen:
            self._link.mark(self._marks)

    def _arrived(self, mark: int) -> None:
        for batch in self._under_way:
            if batch.arrived_s is None and batch.mark <= mark:
                batch.arrived_s = self._clock()

    def _move_cursor(self) -> None:
        """Over batches that have arrived, and stayed so for as long as a host takes to be missed."""
        wait_s = self._publishing.host_timeout_s if self._publishing.names.host else 0.0
        while self._under_way:
            batch = self._under_way[0]
            if batch.arrived_s is None or self._clock() < batch.arrived_s + wait_s:
                return
            self._unsent.taken(batch.before, batch.parts, batch.sent)
            self._under_way.popleft()

    def _fails(self, why: str) -> None:
        if self._failing_since is None:
            self._failing_since = time.time()
        try:
            if self._cursors.of(self._publishing.source.name) is not None:
                self._cursors.failing(self._publishing.source.name, self._failing_since, why)
        except ForwardingError as problem:
            log.warning("the cursors cannot be written", problem=str(problem))


def _time_ms() -> int:
    return round(time.time() * 1000)


def _read_number(file: Path) -> int | None:
    """Of the last connection; None: there was none, or nobody knows any more."""
    try:
        number = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return number if 0 <= number < 256 else None
