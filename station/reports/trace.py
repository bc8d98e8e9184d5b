"""The way of one part through the station, step by step, from what is on record.

Pure but for `find`, which reads the records. All times of a part are ms after its trigger.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from station.records.ejections import Ejection, ejections
from station.records.events import EventRow, events
from station.records.parts import PartRow, ViewRow, parts

ACKNOWLEDGED, RECORDED = "acknowledged_ms", "recorded_ms"
"""Names in the column `extra` of what comes after the verdict."""
BEFORE_S, AFTER_S = 1.0, 600.0
"""Where events and ejections that concern a part lie: a session of weeks has many others."""
_NAMED = re.compile(r"\bacquisition (\d+)\b")
_WITHDRAWN = "results_withdrawn"
_VIEW_STEPS = (
    ("received_ms", "frame received", "exposure and transfer"),
    ("inspection_start_ms", "inspection starts", "queue"),
    ("engine_start_ms", "engine starts", "preparation"),
    ("engine_end_ms", "engine ends", "engine"),
    ("decided_ms", "decided", "measurement and rules"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to the part, and what the time before it was spent on."""

    name: str
    at_ms: float
    spent_on: str
    since_ms: float

    @property
    def took_ms(self) -> float:
        return self.at_ms - self.since_ms


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the station: one that names the part, or one that came while the part was on its way."""

    at_ms: float
    kind: str
    level: str
    detail: str
    names_part: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """One part."""

    part: PartRow
    steps: tuple[Step, ...]
    """In the order of time; the first is the trigger."""
    events: tuple[Event, ...]

    @property
    def end_ms(self) -> float:
        return self.steps[-1].at_ms


def find(connection: sqlite3.Connection, row: PartRow) -> Trace:
    """The trace of a part of these records."""
    around = (row.wall_time - BEFORE_S, row.wall_time + AFTER_S)
    pushed = ejections(connection, row.session, row.acquisition_id, around)
    return trace(row, events(connection, session=row.session, between=around), pushed)


def candidates(
    connection: sqlite3.Connection,
    number: int,
    *,
    session: str | None,
    by_acquisition: bool,
    between: tuple[float, float] | None = None,
    newest: int | None = None,
) -> list[PartRow]:
    """The parts with this part id (or AcquisitionId), oldest first; `newest`: at most this number of them."""
    part_id, acquisition_id = (None, number) if by_acquisition else (number, None)
    rows = parts(
        connection,
        session=session,
        part_id=part_id,
        acquisition_id=acquisition_id,
        between=between,
        newest=newest,
    )
    return list(rows)


def trace(row: PartRow, session_events: Iterator[EventRow], pushed: Iterable[Ejection] = ()) -> Trace:
    """Puts row, events of its session and its ejection together."""
    steps = tuple(sorted([*_steps(row), *_pushes(row, pushed)], key=lambda step: step.at_ms))
    return Trace(row, steps, tuple(_events(row, session_events, steps[-1].at_ms)))


def _steps(row: PartRow) -> Iterator[Step]:
    yield Step(f"trigger ({row.source})", 0.0, "", 0.0)
    reached_ms = 0.0
    for view in row.views:
        steps = tuple(_view_steps(view, f"{view.camera}: " if len(row.views) > 1 else ""))
        reached_ms = max([reached_ms, *(step.at_ms for step in steps)])
        yield from steps
    if row.signalled_ms is None:  # recovered from the journal: only the verdict is known
        return
    in_time = 0.0 < reached_ms <= row.signalled_ms
    yield Step("signalled", row.signalled_ms, "signalling" if in_time else "waiting", reached_ms if in_time else 0.0)
    extra = json.loads(row.extra)
    for key, name, spent_on in ((ACKNOWLEDGED, "acknowledged", "PLC"), (RECORDED, "recorded", "records")):
        if key in extra:
            yield Step(name, float(extra[key]), spent_on, row.signalled_ms)


def _pushes(row: PartRow, pushed: Iterable[Ejection]) -> Iterator[Step]:
    for ejection in pushed:
        at_ms = (ejection.wall_time - row.wall_time) * 1000
        yield Step(f"pushed by ejector {ejection.ejector}", at_ms, "belt", row.signalled_ms or 0.0)


def _view_steps(view: ViewRow, whose: str) -> Iterator[Step]:
    reached_ms = 0.0
    for column, name, spent_on in _VIEW_STEPS:
        at_ms = getattr(view, column)
        if at_ms is not None:
            yield Step(whose + name, at_ms, spent_on, reached_ms)
            reached_ms = at_ms


def _events(row: PartRow, session_events: Iterator[EventRow], end_ms: float) -> Iterator[Event]:
    for event in session_events:
        at_ms = (event.wall_time - row.wall_time) * 1000
        named = _names(event, row.acquisition_id)
        if named or 0 <= at_ms <= end_ms:
            yield Event(at_ms, event.kind, event.level, event.detail, named)


def _names(event: EventRow, acquisition_id: int) -> bool:
    if event.kind == _WITHDRAWN:
        return str(acquisition_id) in re.findall(r"\d+", event.detail)
    return str(acquisition_id) in _NAMED.findall(event.detail)
