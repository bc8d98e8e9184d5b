"""What the pages ask of records and labels: the one place that opens them. Every look is short.

A page cannot hold the write-ahead log of the line: a look that takes longer than a second is given up (`Site.reading`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import QueryParams

from station.codes import ReasonCode
from station.configuration.load import load_station
from station.hmi.rights import Person
from station.hmi.site import Site
from station.labels.classes import DefectClass, classes
from station.labels.dispositions import Disposition, dispositions_after
from station.labels.labels import WORDS, Label, decide, read_labels, whole_labels, withdraw
from station.labels.quarantine import Kept, keep, quarantined, release
from station.labels.schema import LabelError, open_writer
from station.labels.schema import open_reader as labels_reader
from station.labels.writing import MAX_COMMENT, Reviewer, check_line
from station.records.audit import AuditRow, audit_after
from station.records.batches.rows import BatchFilter, BatchRow, batch_named, newest_batches
from station.records.batches.rows import batch_numbered as numbered
from station.records.batches.rows import batches_after as after_in
from station.records.challenge_runs import Run
from station.records.challenges import runs, runs_after
from station.records.events import EventRow, events_after
from station.records.parts import PartRow, newest_id, parts
from station.records.rollups.keeping import known, spans_in
from station.records.selection import Mark, Selection, mark_of, neighbour, page_of, recorded_after, time_of
from station.reports import evidence
from station.reports.counts import By, Counts, count, total
from station.reports.shifts import Calendar, TimeError
from station.reports.trace import Trace, find
from station.results import Verdict

MAX_ID = 2**63 - 1
A_LOOK = 500
"""Parts that one look reads at most."""
NEWEST_PARTS, NEWEST_EVENTS, NEWEST_BATCHES = 500, 40, 12
STARTS_S = 7 * 24 * 3600.0


class WrongFilter(ValueError):
    """What a person wrote into the filter is not allowed; the message says what is."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some parts, newest first."""

    rows: Sequence[PartRow]
    labels: Sequence[Label | None]
    """Of each part as a whole."""
    older: Mark | None
    """Where the next page begins; None: there is none."""


def selection_of(asked: QueryParams, calendar: Calendar, now: float) -> Selection:
    """The filter of an address. Raises WrongFilter."""
    try:
        since = calendar.moment(asked["since"], now) if asked.get("since") else None
        until = calendar.moment(asked["until"], now, is_end=True) if asked.get("until") else None
        if asked.get("shift"):
            shift = calendar.find(asked["shift"], now)
            since = shift.start if since is None else max(since, shift.start)
            until = shift.end if until is None else min(until, shift.end)
    except TimeError as problem:
        raise WrongFilter(str(problem)) from problem
    unknown = [word for word in asked.getlist("verdict") if word not in Verdict.__members__]
    if unknown:
        raise WrongFilter(f'verdict "{unknown[0]}": allowed are {", ".join(Verdict.__members__)}')
    return Selection(
        since=since,
        until=until,
        verdicts=tuple(Verdict[word] for word in asked.getlist("verdict")),
        recipe=asked.get("recipe") or None,
        reason=_reason(asked.get("reason", "")),
        part_id=_number(asked.get("part", ""), "part"),
        engine=asked.get("engine") or None,
    )


def selection_at(site: Site, asked: QueryParams, now: float) -> Selection:
    """The filter of an address with its batch, which the records know. Raises WrongFilter, RecordingError."""
    selection, name = selection_of(asked, site.calendar, now), asked.get("batch", "").strip()
    if not name:
        return selection
    found = batch_of(site, name)
    if found is None:
        raise WrongFilter(f'batch "{name:.40}": there is none of this name on record')
    return replace(selection, batch=found.number)


def batch_of(site: Site, name: str) -> BatchRow | None:
    """The batch that a person names. Raises RecordingError."""
    with site.reading() as connection:
        return batch_named(connection, name)


def batches(site: Site) -> list[tuple[BatchRow, Counts]]:
    """The newest batches, newest first, with their parts. Raises RecordingError."""
    with site.reading() as connection, known(site.rollups, connection) as rollups:
        return [
            (row, total(count(connection, Selection(batch=row.number), "recipe", site.calendar, rollups)))
            for row in newest_batches(connection, NEWEST_BATCHES)
        ]


def batches_after(site: Site, after: int | None, limit: int, chosen: BatchFilter) -> list[BatchRow]:
    """Those behind this number, oldest first; with None the newest, newest first. Raises RecordingError."""
    with site.reading() as connection:
        return after_in(connection, after, limit, chosen)


def batch_numbered(site: Site, number: int) -> BatchRow | None:
    """Raises RecordingError."""
    with site.reading() as connection:
        return numbered(connection, number)


def time_of_batch(site: Site, row: BatchRow, now: float) -> tuple[float, float]:
    """From its begin to its end, with its first and last part, whatever the clock did. Raises RecordingError."""
    with site.reading() as connection:
        first, last = time_of(connection, Selection(batch=row.number))
    since, end = min(row.start_s, first or row.start_s), now if row.end_s is None else row.end_s
    return since, max(end, (last or end) + 0.001, since + 1.0)


def names_of_batches(site: Site) -> list[str]:
    """Of the newest ones, for a choice. Raises RecordingError."""
    with site.reading() as connection:
        return [row.name for row in newest_batches(connection, NEWEST_BATCHES)]


def mark_in(asked: QueryParams) -> Mark | None:
    """Where a page begins. Raises WrongFilter."""
    text = asked.get("before", "")
    if not text:
        return None
    time, _, number = text.partition("_")
    try:
        return float(time), int(number)
    except ValueError:
        raise WrongFilter(f'before "{text:.40}": take the link to older parts') from None


def newest(
    site: Site, selection: Selection, limit: int, before: Mark | None = None, *, with_views: bool = True
) -> Page:
    """One page of the selection. Raises RecordingError, LabelError."""
    with site.reading() as connection, spans_in(site.rollups, connection, selection) as spans:
        beyond = None if before is None else before[0]
        within = spans(False, beyond, limit + 1)
        found = page_of(connection, selection, limit + 1, before, spans=within, with_views=with_views)
    rows = [row for _, row in found[:limit]]
    labels = whole_labels(site.labels, rows)
    return Page(rows, labels, found[limit - 1][0] if len(found) > limit else None)


def looks_at(site: Site, selection: Selection, limit: int) -> Iterator[list[tuple[PartRow, Label | None]]]:
    """The same for a file: as many parts as that, without their views, in short looks. Raises RecordingError,
    LabelError.
    """
    before: Mark | None = None
    while limit > 0:
        page = newest(site, selection, min(A_LOOK, limit), before, with_views=False)
        yield list(zip(page.rows, page.labels, strict=True))
        limit, before = limit - len(page.rows), page.older
        if before is None:
            return


def recorded(
    site: Site, selection: Selection, after: int, limit: int
) -> tuple[list[tuple[int, PartRow]], list[Label | None], int]:
    """The next parts as they were recorded, what people say of each, and the row up to which was looked.

    Raises RecordingError, LabelError.
    """
    with site.reading() as connection:
        rows, reached = recorded_after(connection, selection, after, limit)
    return rows, whole_labels(site.labels, [row for _, row in rows]), reached


def events_of(site: Site, after: int | None, limit: int) -> list[tuple[int, EventRow]]:
    """Raises RecordingError."""
    with site.reading() as connection:
        return events_after(connection, after, limit)


def changes_of(site: Site, after: int | None, limit: int) -> list[tuple[int, AuditRow]]:
    """Of recipe, engine, configuration. Raises RecordingError."""
    with site.reading() as connection:
        return audit_after(connection, after, limit)


def runs_of(site: Site, after: int | None, limit: int) -> list[tuple[Run, str]]:
    """Challenge tests. Raises RecordingError."""
    with site.reading() as connection:
        return runs_after(connection, after, limit)


def dispositions_of(site: Site, since: float, after: int, limit: int, now: float) -> list[tuple[int, Disposition]]:
    """What happens to the parts that waited for people. Raises LabelError."""
    connection = labels_reader(site.labels)
    if connection is None:
        return []
    with closing(connection):
        return dispositions_after(connection, since, after, limit, now)


@dataclass(frozen=True, slots=True)
class Happened:
    """What a look at health needs of the records."""

    latencies_ms: Sequence[float]
    """From trigger to result, of the newest parts that had one."""
    late: int
    """Of the newest parts: those whose result came too late."""
    parts: int
    """The newest parts."""
    starts: int
    """Of the station, within `STARTS_S`."""
    events: Sequence[EventRow]
    """The newest ones, newest first."""
    newest_id: int = 0
    """Of the rows of parts."""


def happened(site: Site, now: float) -> Happened:
    """Raises RecordingError."""
    with site.reading() as connection:
        rows = connection.execute(
            "SELECT signalled_ms, late FROM parts WHERE id > 0 ORDER BY id DESC LIMIT ?", (NEWEST_PARTS,)
        ).fetchall()
        newest = newest_id(connection)
        starts = connection.execute(
            "SELECT COUNT(*) FROM audit WHERE action = 'start' AND wall_time > ?", (now - STARTS_S,)
        ).fetchone()[0]
        found = connection.execute(
            "SELECT session, wall_time, kind, level, detail FROM events WHERE id > 0 ORDER BY id DESC LIMIT ?",
            (NEWEST_EVENTS,),
        ).fetchall()
    latencies = [float(row[0]) for row in rows if row[0] is not None]
    late, events = sum(bool(row[1]) for row in rows), [EventRow(*row) for row in found]
    return Happened(latencies, late, len(rows), starts, events, newest)


def labels_of(site: Site, part: PartRow) -> list[Label]:
    """What people say of a part. Raises LabelError."""
    return read_labels(site.labels, part)


def counts_of(site: Site, selection: Selection, by: By) -> list[Counts]:
    """Parts of production in groups. Raises RecordingError."""
    with site.reading() as connection, known(site.rollups, connection) as rollups:
        return count(connection, selection, by, site.calendar, rollups)


def challenge_runs(site: Site, newest: int) -> list[tuple[Run, str]]:
    """The newest challenge tests with the recipe of their time, newest first. Raises RecordingError."""
    with site.reading() as connection:
        return list(reversed(runs(connection, newest)))


def recipes_of(site: Site) -> list[str]:
    """Names that stand in the newest parts, for a choice."""
    with site.reading() as connection:
        return sorted({row.recipe for _, row in page_of(connection, Selection(), 200)})


@dataclass(frozen=True, slots=True)
class Found:
    """One part with what people said, its trace and its neighbours within the filter."""

    part: PartRow
    labels: Sequence[Label]
    trace: Trace
    newer: PartRow | None
    older: PartRow | None
    kept: Kept | None
    """In the quarantine."""


def one(site: Site, session: str, acquisition_id: int) -> PartRow | None:
    """A part by its key; None when it is not on record."""
    if acquisition_id > MAX_ID:
        return None
    with site.reading() as connection:
        return next(iter(parts(connection, session=session, acquisition_id=acquisition_id)), None)


def found(site: Site, part: PartRow, selection: Selection) -> Found:
    """Everything around a part. Raises RecordingError, LabelError."""
    with site.reading() as connection:
        mark = mark_of(connection, part)
        with spans_in(site.rollups, connection, selection) as spans:
            newer, older = (
                neighbour(connection, selection, mark, newer=way, spans=spans(way, mark[0], 2)) for way in (True, False)
            )
        trace = find(connection, part)
    kept = next(iter(quarantined(site.labels, part)), None)
    return Found(part, read_labels(site.labels, part), trace, newer, older, kept)


def evidence_of(site: Site, part: PartRow, made_by: str) -> bytes:
    """The evidence file of a part. Raises RecordingError, LabelError."""
    source = evidence.Source(site.eyes, site.labels, site.calendar, site.name)
    with site.reading() as connection:
        files = evidence.collect(connection, source, part, made_by)
    return evidence.as_zip(files)


def classes_of(site: Site) -> list[DefectClass]:
    """Those that a defective part may be labelled with. Raises LabelError."""
    connection = labels_reader(site.labels)
    if connection is None:
        return []
    with closing(connection):
        return classes(connection)


def say(site: Site, person: Person, part: PartRow, word: str, *, defect_class: str, comment: str) -> None:
    """Keeps what a person says of a part; `withdraw` takes it back. Raises LabelError."""
    by = Reviewer(person.name, ", ".join(person.roles))
    with closing(open_writer(site.labels)) as labels:
        if word == "withdraw":
            withdraw(labels, part, by, comment=comment)
        elif word in WORDS:
            defective = word == "defective"
            decide(labels, part, "defective" if defective else "good", by,
                   defect_class=(defect_class or None) if defective else None, comment=comment)  # fmt: skip
        else:
            raise LabelError(f'label "{word:.40}": allowed are {", ".join(WORDS)}, withdraw')


def keep_or_release(site: Site, person: Person, part: PartRow, *, keeps: bool, why: str) -> None:
    """Puts a part into the quarantine, or lets it go. Raises LabelError."""
    by = Reviewer(person.name, ", ".join(person.roles))
    with closing(open_writer(site.labels)) as labels:
        (keep if keeps else release)(labels, part, by, why)


def needs_two(site: Site) -> bool:
    """Whether letting a part out of the quarantine needs a second person. Raises ConfigurationError."""
    return "quarantine" in load_station(site.station.path).settings.access.second_person


def ask_release(site: Site, person: Person, part: PartRow, why: str) -> Mapping[str, Any]:
    """Has the daemon keep the request until a second person confirms it. Raises ControlError, LabelError."""
    check_line("reason for the release", why, MAX_COMMENT)
    if not quarantined(site.labels, part):
        raise LabelError(f"part {part.part_id} is not in the quarantine")
    named = {"session": part.session, "acquisition_id": part.acquisition_id}
    named |= {"part_id": part.part_id, "wall_time": part.wall_time}
    return site.ask(person, {"command": "quarantine", "action": "release", "why": why, **named})


def _number(text: str, name: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_ID):
        raise WrongFilter(f'{name} "{text:.40}" is no whole number')
    return int(text)


def _reason(text: str) -> ReasonCode | None:
    number = _number(text, "reason")
    if number is None:
        return None
    try:
        return ReasonCode(number)
    except ValueError:
        raise WrongFilter(f"reason {number} is not known") from None
