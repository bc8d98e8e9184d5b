"""Carries the vision system out: the server, the line each second, parts behind the cursor. One thread.

    parts behind the cursor ──► events ──► messages of subscriptions ──acknowledged──► cursor

A result is there for everybody who reads; arrived it is when a client that hears results has acknowledged the message
with its event (`primary_client`: that client alone). Until then it comes again, under the same ResultId. While nobody
hears, parts wait in the records.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from drivers.opcua.instance import ACTIVE, LATEST, SYSTEM
from drivers.opcua.server import Delivery, Said, ServerError
from station.forwarding.progress import Cursor, Cursors, ForwardingError
from station.northbound.opcua.conditions import Standing, changes, standing_of
from station.northbound.opcua.results import as_fields, as_structure, components, configuration_id, moment
from station.northbound.opcua.values import of_part, of_status
from station.northbound.opcua.vision import Vision
from station.northbound.readings import key_of
from station.northbound.unsent import Numbered, Source, Unsent
from station.records.parts import PartRow
from station.records.schema import RecordingError

log = structlog.get_logger()

LOOK_S, ARRIVES_LOOK_S = 0.2, 0.02
STATUS_S = 1.0
BATCH = 100
"""Parts between two acknowledgements."""
ARRIVES_S = 10.0
"""After which what was not acknowledged is raised again, for whoever hears then."""
RESULT_SEVERITY = 200


class _Server(Protocol):
    """A VisionServer, as the connector uses it."""

    def set(self, values: Mapping[str, Any], status: str = "Good") -> None: ...
    def say(self, events: Sequence[Said]) -> None: ...
    def deliver(self, events: Sequence[Said], primary: str) -> Delivery | None: ...
    def arrived(self, delivery: Delivery) -> bool | None: ...
    def hearers(self, primary: str = "") -> int: ...
    def structure(self, name: str, **fields: Any) -> Any: ...
    def text(self, text: str) -> Any: ...
    def variant(self, data_type: str, value: Any) -> Any: ...
    def stop(self) -> None: ...


@dataclass(slots=True)
class _OnTheWay:
    """Parts whose events were raised."""

    before: Cursor
    parts: Sequence[Numbered]
    delivery: Delivery
    since_s: float


class Connector:
    """Owns what is on its way. One thread calls `step`."""

    def __init__(
        self, source: Source, cursors: Cursors, server: _Server, vision: Vision,
        status: Callable[[], Mapping[str, Any] | None], *, primary_client: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._name = source.name
        self._cursors = cursors
        self._unsent = Unsent(source, cursors)
        self._server = server
        self._vision = vision
        self._status = status
        self._primary = primary_client
        self._clock = clock
        self._on_the_way: _OnTheWay | None = None
        self._seen_s = float("-inf")
        self._standing: tuple[Standing, ...] = ()
        self._failing_since: float | None = None
        self._checksum = ""
        self._shown = 0
        """Row of the part that plain variables show."""

    def step(self) -> float:
        """What has arrived, what is to be raised, how the line is; seconds until the next step.

        Never raises for what clients, records or disk do.
        """
        try:
            self._look_at_line()
            return self._parts()
        except (RecordingError, ForwardingError, sqlite3.Error, OSError, ServerError) as problem:
            self._fails(str(problem))
            return STATUS_S

    def close(self) -> None:
        """Says goodbye to the clients."""
        self._server.stop()

    # ---- the line ------------------------------------------------------------------------------------------------

    def _look_at_line(self) -> None:
        if self._clock() < self._seen_s + STATUS_S:
            return
        self._seen_s = self._clock()
        status = self._status()
        self._vision.follow(status)
        now = standing_of(status)
        self._server.say(changes(self._standing, now, self._server.text))
        self._standing = now
        look = self._unsent.look(0)
        waiting = 0 if look is None else look.newest - look.progress.cursor.last_id
        values = {f"{SYSTEM}/{path}": value for path, value in of_status(status or {}, waiting).items()}
        self._server.set(values)
        if look is not None:
            self._show_newest(look.newest)
        checksum = str((status or {}).get("config_checksum", ""))
        if checksum and checksum != self._checksum:
            self._checksum = checksum
            internal = configuration_id(self._server, checksum)
            active = self._server.structure(
                "ConfigurationDataType", InternalId=internal, LastModified=moment(time.time())
            )
            self._server.set({ACTIVE: active})

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _parts(self) -> float:
        way = self._on_the_way
        if way is None:
            return self._raise()
        arrived = self._server.arrived(way.delivery)
        if arrived:
            self._unsent.taken(way.before, way.parts, len(way.parts))
            self._on_the_way, self._failing_since = None, None
            return 0.0
        if arrived is None or self._clock() - way.since_s > ARRIVES_S:
            self._on_the_way = None
            if arrived is not None:
                self._fails(f"a client has not acknowledged results within {ARRIVES_S:g} s; they are raised again")
            return LOOK_S
        return ARRIVES_LOOK_S

    def _raise(self) -> float:
        look = self._unsent.look(BATCH)
        if look is None or not look.parts:
            if look is not None and look.progress.failing_since is not None:
                self._works()
            return LOOK_S
        delivery = self._server.deliver([self._event(row) for _, row in look.parts], self._primary)
        if delivery is None:
            who = f'the client "{self._primary}" hears' if self._primary else "no client hears"
            self._fails(f"{who} no results: they wait" if self._primary else f"{who} results: they wait")
            return LOOK_S
        self._show_newest(look.newest)
        self._on_the_way = _OnTheWay(look.progress.cursor, look.parts, delivery, self._clock())
        return ARRIVES_LOOK_S

    def _event(self, row: PartRow) -> Said:
        fields = as_fields(self._server, row)
        message = f"{key_of(row)} {row.verdict}"
        return Said("ResultReadyEventType", SYSTEM, message, RESULT_SEVERITY, fields, moment(row.wall_time))

    def _show_newest(self, newest: int) -> None:
        """The last part on record, as the latest result and as plain variables: for whoever reads, heard or not."""
        if newest in (0, self._shown):
            return
        look = self._unsent.look(1, newest - 1)
        if look is None or not look.parts:  # it may still change
            return
        self._shown, row = look.parts[0]
        values: dict[str, Any] = {f"{SYSTEM}/{path}": value for path, value in of_part(row).items()}
        values[LATEST] = as_structure(self._server, row)
        values |= {f"{LATEST}/{name}": value for name, value in components(self._server, row).items()}
        self._server.set(values)

    def _works(self) -> None:
        self._failing_since = None
        self._cursors.failing(self._name, None, "")

    def _fails(self, why: str) -> None:
        if self._failing_since is None:
            self._failing_since = time.time()
            log.warning("opcua", detail=why)
        try:
            self._cursors.failing(self._name, self._failing_since, why)
        except ForwardingError as problem:
            log.warning("opcua", detail=str(problem))
