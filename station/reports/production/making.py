"""Makes a report: reads a period, computes its figures, and writes the files that were asked for."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station import said
from station.labels import schema as labels
from station.records import schema as records
from station.records.audit import head_of
from station.records.engines.virtual import VirtualRun, read_runs
from station.records.images import write_atomic
from station.records.selection import Selection, counted
from station.reports.production.figures import (
    Report,
    classes_of,
    figures_of,
    pareto_of,
    trend_of,
)
from station.reports.production.language import ENGLISH, Language
from station.reports.production.metrics_of import Metric, metrics_of
from station.reports.production.page import csv, page
from station.reports.production.pdf import pdf
from station.reports.production.reading import (
    Parts,
    Period,
    Said,
    read_missed,
    read_parts,
    read_regions,
    read_said,
)
from station.reports.production.rows import parquet
from station.reports.production.stored import DATA, as_json
from station.reports.shifts import Calendar
from station.results import Verdict

WRITERS: dict[str, Callable[[Report, Parts, Calendar, Language], bytes]] = {
    ".html": lambda report, _parts, calendar, language: page(report, calendar, language).encode(),
    ".csv": lambda report, _parts, _calendar, language: csv(report, language).encode(),
    ".pdf": lambda report, _parts, calendar, language: pdf(report, calendar, language),
    ".parquet": lambda _report, parts, _calendar, _language: parquet(parts),
    DATA: lambda report, _parts, _calendar, _language: as_json(report),
}
"""By the end of the name. Data are the same in every language."""
READING = "parts"
OnStep = Callable[[str, int, int], None]
"""Takes the step, what is done of it, and of how much."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for."""

    period: Period
    recipe: str | None = None
    """None: all of them."""
    batch: int | None = None
    """The number of the batch that is meant; None: parts of all, and of none."""
    kind: str = "period"
    by: str = ""


class TooManyParts(ValueError):
    """More than may be read for one look; the message says how many that are."""


CAMERA_NOTE = (
    "Labels see what the camera sees: a defect that no picture shows is in none of these figures. Parts that were "
    "treated as FAIL because nobody decided count as rejected, and not as defective."
)


def make(
    folder: Path,
    order: Order,
    *,
    station: str,
    deadline_ms: float,
    now: float,
    on_step: OnStep = lambda _step, _done, _total: None,
) -> tuple[Report, Parts]:
    """The report of the records in this folder. Raises RecordingError, LabelError, sqlite3.Error."""
    period, recipe = order.period, order.recipe
    before = Period("before", 2 * period.since - period.until, period.since)
    with closing(records.open_reader(folder)) as connection:
        total = _counts(connection, period, recipe, order.batch)[1]
        parts = read_parts(connection, period, recipe, lambda done: on_step(READING, done, total), batch=order.batch)
        missed = read_missed(connection, period)
        centres = read_regions(connection, period)
        earlier = _counts(connection, before, recipe)
        head = head_of(connection)
    words = _said(folder, period, now)
    hours = (min(period.until, now) - period.since) / 3600
    challenges, unread = _challenges(folder, order)
    report = Report(
        station=station,
        period=period,
        figures=tuple(figures_of(parts, words, missed, deadline_ms=deadline_ms, hours=hours, challenges=challenges)),
        pareto=pareto_of(parts),
        classes=classes_of(words),
        trend=trend_of(parts, period, earlier),
        centres=centres,
        incomplete=tuple(parts.incomplete),
        facts=(*_facts(parts), (said.AUDIT_LOG(), str(head or said.NO_CHAIN_YET()))),
        notes=(CAMERA_NOTE, *unread),
        kind=order.kind,
        recipe=recipe or "",
        made_at=now,
        made_by=order.by,
    )
    return report, parts


def _challenges(folder: Path, order: Order) -> tuple[list[VirtualRun], tuple[str, ...]]:
    """Virtual challenges of what was active in the period of the order, and why they cannot be read."""
    try:
        runs = read_runs(folder.parent)
    except (ValueError, OSError) as problem:
        return [], (said.VIRTUAL_NOT_READABLE(problem=problem),)
    period = order.period
    of_period = [run for run in runs if period.since <= run.at < period.until and run.shown and not run.of_candidate]
    return [run for run in of_period if order.recipe in (None, run.recipe)], ()


def read_metrics(folder: Path, order: Order, now: float, most: int) -> tuple[list[Metric], int]:
    """The six production metrics of the records in this folder, and the number of parts that they are of.

    Raises:
        TooManyParts: more than `most`; as many were read, and no more.
        RecordingError, LabelError, sqlite3.Error: as `make`.
    """
    period = order.period

    def no_more_than(done: int) -> None:
        if done > most:
            raise TooManyParts(f"more than {most:,} parts in this time")

    with closing(records.open_reader(folder)) as connection:
        parts = read_parts(connection, period, order.recipe, no_more_than, batch=order.batch)
    words = _said(folder, period, now)
    return metrics_of(parts, words, (min(period.until, now) - period.since) / 3600), len(parts)


def _said(folder: Path, period: Period, now: float) -> Said:
    """What people said of the parts, from the labels beside these records. Raises LabelError, sqlite3.Error."""
    connection = labels.open_reader(labels.labels_beside(folder))
    try:
        return read_said(connection, period, now)
    finally:
        if connection is not None:
            connection.close()


def write(file: Path, report: Report, parts: Parts, calendar: Calendar, language: Language = ENGLISH) -> None:
    """Writes the file that its name asks for, whole or not at all. Raises ValueError, OSError, MissingPackage."""
    if file.suffix not in WRITERS:
        raise ValueError(f'report "{file}": the name must end in {", ".join(WRITERS)}')
    write_atomic(file, WRITERS[file.suffix](report, parts, calendar, language))


def _counts(
    connection: sqlite3.Connection, period: Period, recipe: str | None, batch: int | None = None
) -> tuple[int, int]:
    """(rejected, all) of a period."""
    chosen = Selection(since=period.since, until=period.until, recipe=recipe, production=True, batch=batch)
    found: Counter[Verdict] = Counter()
    for _, verdict, number in counted(connection, chosen, "recipe"):
        found[verdict] += number
    return found[Verdict.FAIL] + found[Verdict.REVIEW], found.total()


def _facts(parts: Parts) -> tuple[tuple[str, str], ...]:
    """Which products, engines and settings judged these parts."""
    recipes = (
        (said.OF_RECIPE(name=name), said.PARTS(count=count)) for name, count in Counter(parts.recipe).most_common()
    )
    engines = (
        (said.OF_ENGINE(name=name[:12] or "none"), said.PARTS(count=count))
        for name, count in Counter(parts.engine_id).most_common()
    )
    settings = ((said.OF_SETTINGS(name=checksum[:8]), "") for checksum in sorted(parts.settings))
    return (*recipes, *engines, *settings)
