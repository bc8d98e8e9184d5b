"""`station report`: what a shift or a period was worth, as page, PDF, table or rows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from station import said
from station.commands.options import EXIT_BAD_INPUT, BadInput, add_json_option, complain, print_json
from station.commands.progress import add_progress_option, end, signs_of
from station.commands.records.language import add_language_option, language_of
from station.commands.records.selecting import (
    Place,
    add_place_options,
    found_batch,
    place_of,
    reporting,
    selection_of,
    station_of,
)
from station.records.schema import open_reader
from station.records.selection import Selection, time_of
from station.reports.production.making import WRITERS, Order, make, write
from station.reports.production.reading import Period
from station.reports.production.rows import MissingPackage
from station.reports.production.stored import DATA, FOLDER, stem_of
from station.reports.shifts import Calendar
from station.terminal import say

_LAST = "last"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `report`."""
    parser = commands.add_parser(
        "report",
        help="what a shift or a period was worth, with every figure's interval: page, PDF, CSV, Parquet",
        description="Computes true detection rate, false reject rate, false accept risk, cycle time, review load and "
        "traceability from records and labels. What nobody has looked at is not known, and the report says so.",
    )
    parser.add_argument("--shift", metavar="NAME", help="now, last (the default), a name, or NAME@2026-11-29")
    parser.add_argument("--since", metavar="TIME", help='as 06:00, 2026-11-29, "2026-11-29 06:00", 8h or 7d ago')
    parser.add_argument("--until", metavar="TIME", help="before this time; a day: to its end; default: now")
    parser.add_argument("--batch", metavar="NAME", help="a batch: now (the open one), last, or a name; no time then")
    parser.add_argument("--recipe", metavar="NAME", help="only parts of this recipe")
    parser.add_argument("--output", type=Path, nargs="+", metavar="FILE",
                        help=f"one or several, by the end of the name: {', '.join(WRITERS)}; "
                        "default: page, PDF, CSV and data in the folder reports of the work folder")  # fmt: skip
    parser.add_argument("--formats", nargs="+", choices=[end[1:] for end in WRITERS], metavar="END",
                        help="in that folder: pdf, csv, ...")  # fmt: skip
    parser.add_argument("--by", default="", metavar="NAME", help="who has asked for it; stands in the report")
    add_language_option(parser)
    add_progress_option(parser)
    add_json_option(parser, "period, since, until, figures, written")
    add_place_options(parser)
    parser.set_defaults(run=reporting(report), gives_way=True, verdict=None, reason=None)


def report(options: argparse.Namespace) -> int:
    """Writes the files and prints the figures that stand on top."""
    wrong = [file for file in options.output or () if file.suffix not in WRITERS]
    if wrong:
        raise BadInput(f"--output {wrong[0]}: the name must end in {', '.join(WRITERS)}")
    place, now, signs = place_of(options), time.time(), signs_of(options)
    language = language_of(options)
    order = _order(options, place, now)
    name, deadline_ms = "station", 500.0
    if (configuration := station_of(options)) is not None:
        station = configuration.settings.station
        name, deadline_ms = station.name, float(station.deadline_ms)
    made, parts = make(place.records, order, station=name, deadline_ms=deadline_ms, now=now, on_step=signs)
    in_words = options.progress is None and not options.json
    for one in made.figures if in_words else ():
        if one.is_key:
            say(f"{one.name}: {one.value}{f' ({one.interval})' if one.interval else ''}; n: {one.of}")
    files = options.output or _default_files(place.records.parent, order.period, options.formats)
    failed: list[str] = []
    written: list[Path] = []
    for number, file in enumerate(files):
        signs(f"write {file.suffix[1:]}", number, len(files))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, made, parts, place.calendar, language)
            written.append(file)
            if in_words:
                say(f"wrote {file}")
        except BrokenPipeError:
            raise
        except (MissingPackage, OSError) as problem:
            failed.append(f'report "{file}" was not written: {problem}')
            complain(failed[-1])
    if options.json:
        since, until = (place.calendar.iso(moment) for moment in (order.period.since, order.period.until))
        figures = [asdict(one) for one in made.figures]
        print_json(
            {"period": order.period.name, "since": since, "until": until, "figures": figures, "written": written}
        )
    end(options, report=files[0].stem, failed=failed)
    return EXIT_BAD_INPUT if failed else 0


def _order(options: argparse.Namespace, place: Place, now: float) -> Order:
    """What is asked for; the name of the period names the recipe, too. Raises BadInput, TimeError."""
    batch = None
    if options.batch is None:
        period = _period(options, place.calendar, now)
    else:
        period, batch = _batch(options, place, now)
    if options.recipe is not None:
        period = replace(period, name=said.WITH_RECIPE(text=period.name, name=options.recipe))
    kind = "shift" if options.since is None and options.until is None else "period"
    return Order(period, options.recipe, batch, "period" if batch is not None else kind, options.by.strip())


def _batch(options: argparse.Namespace, place: Place, now: float) -> tuple[Period, int]:
    """From its begin to its end, with its first and last part: its parts are known by their number, not by a time.

    Raises BadInput.
    """
    if (options.shift, options.since, options.until) != (None, None, None):
        raise BadInput("--batch: a batch has its own time; leave --shift, --since and --until")
    with closing(open_reader(place.records)) as connection:
        row = found_batch(connection, options)
        first, last = time_of(connection, Selection(batch=row.number))
    end = now if row.end_s is None else row.end_s
    since = min(row.start_s, first or row.start_s)
    return Period(said.OF_BATCH(name=row.name), since, max(end, last or end, since + 1.0)), row.number


def _period(options: argparse.Namespace, calendar: Calendar, now: float) -> Period:
    """A shift, or from one time to another. Raises BadInput, TimeError."""
    if options.since is None and options.until is None:
        shift = calendar.find(options.shift or _LAST, now)
        return Period(said.OF_SHIFT(name=shift), shift.start, shift.end)
    if options.since is None and options.shift is None:
        raise BadInput("--until needs --since, or a --shift that it ends")
    chosen = selection_of(options, calendar)
    assert chosen.since is not None  # of --since or --shift
    until = now if chosen.until is None else chosen.until
    if until <= chosen.since:
        raise BadInput(f"{calendar.in_words(chosen.since, 'min')} has not come yet: there is nothing to report")
    begin, end = (calendar.in_words(moment, "min") for moment in (chosen.since, until))
    return Period(said.PERIOD(moment=begin, other_moment=end), chosen.since, until)


def _default_files(work_dir: Path, period: Period, formats: Sequence[str] | None) -> list[Path]:
    ends = (DATA, ".html", ".csv", ".pdf") if formats is None else [f".{end}" for end in formats]
    return [work_dir / FOLDER / f"{stem_of(period.name)}{end}" for end in ends]
