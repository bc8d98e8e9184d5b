"""`station parts` lists parts on record, `station counts` counts them."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from rich.text import Text

from station.commands.options import add_json_option, positive, print_json
from station.commands.records.selecting import (
    add_place_options,
    add_selection_options,
    in_batch,
    place_of,
    reporting,
    selection_of,
)
from station.labels.labels import read_labels
from station.records.parts import PartRow
from station.records.rollups.for_commands import left_by_pages
from station.records.schema import open_reader
from station.records.selection import newest_of
from station.reports.as_data import count_as_data, part_as_data
from station.reports.counts import ALL_BY, Counts, count, total
from station.reports.shifts import Calendar
from station.reports.tables import csv_text, table
from station.results import Verdict
from station.terminal import console, one_line

NEWEST = 20
_ENGINE_DIGITS = 12
_STYLES = {"PASS": "green", "FAIL": "bold red", "REVIEW": "yellow", "ERROR": "magenta"}
PART_KEYS = (
    *("part_id", "session", "acquisition_id", "time", "shift", "verdict", "score", "reject_score", "defect_area_mm2"),
    *("reasons", "kind", "recipe", "engine_id", "batch", "challenge", "late", "label", "defect_class", "images"),
)
NO_PARTS = "No part on record is like that."


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `parts` and `counts`."""
    parser = commands.add_parser("parts", help="list parts on record, by time, verdict, recipe, reason")
    add_selection_options(parser)
    parser.add_argument("--limit", type=positive, default=NEWEST, metavar="N", help="the newest; default: %(default)s")
    _add_forms(parser, f"a list of {', '.join(PART_KEYS)}")
    parser.set_defaults(run=reporting(list_parts))

    parser = commands.add_parser("counts", help="count parts by shift, hour, recipe, reason or engine")
    parser.add_argument("--by", choices=ALL_BY, default="shift", help="default: %(default)s; reason: the first one")
    add_selection_options(parser)
    _add_forms(parser, "a list of parts, pass, fail, review, error, pass_share, and what --by names")
    parser.set_defaults(run=reporting(count_parts))


def _add_forms(parser: argparse.ArgumentParser, holds: str) -> None:
    form = parser.add_mutually_exclusive_group()
    add_json_option(form, holds)
    form.add_argument("--csv", action="store_true", help="as CSV, for a spreadsheet")
    add_place_options(parser)


def list_parts(options: argparse.Namespace) -> int:
    """The newest parts of the selection, newest last."""
    place = place_of(options)
    selection = selection_of(options, place.calendar)
    with closing(open_reader(place.records)) as connection:
        rows = newest_of(connection, in_batch(connection, options, selection), options.limit)
    if options.json or options.csv:
        said = {(one.session, one.acquisition_id): one for one in read_labels(place.labels) if one.camera is None}
        _print_data(
            [part_as_data(row, place.calendar, said.get((row.session, row.acquisition_id))) for row in rows], options
        )
    elif not rows:
        console().print(NO_PARTS)
    else:
        columns = (("time", False), ("part", True), ("verdict", False), ("score", True), ("why", False))
        title = f"the newest {options.limit}, newest last; more: --limit" if len(rows) == options.limit else ""
        console().print(table(title, columns, [_row(row, place.calendar) for row in rows]))
    return 0


def count_parts(options: argparse.Namespace) -> int:
    """Parts of production by shift, hour, recipe, reason or engine."""
    place = place_of(options)
    selection = selection_of(options, place.calendar)
    with (
        closing(open_reader(place.records)) as connection,
        left_by_pages(place.pages, connection) as rollups,
    ):
        groups = count(connection, in_batch(connection, options, selection), options.by, place.calendar, rollups)
    if options.json or options.csv:
        _print_data([count_as_data(group, options.by) for group in groups], options)
    elif not groups:
        console().print(NO_PARTS)
    else:
        names = ("parts", "PASS", "FAIL", "REVIEW", "ERROR", "PASS %")
        columns = ((options.by, False), *((name, True) for name in names))
        rows = [_count_row(group, options.by) for group in [*groups, *([total(groups)] if len(groups) > 1 else [])]]
        console().print(table("parts of challenge tests are not counted", columns, rows))
    return 0


def _row(row: PartRow, calendar: Calendar) -> tuple[object, ...]:
    why = "; ".join(one_line(reason) for reason in row.reason_list)
    if row.kind:
        why = f"{why}; looks like: {one_line(row.kind)}"
    if row.challenge is not None:
        why = f"challenge test {row.challenge}" + (f": {why}" if why else "")
    score = None if row.score is None else f"{row.score:.3f}"
    when = calendar.clock(row.wall_time)
    return when, row.part_id, Text(row.verdict, style=_STYLES[row.verdict]), score, why


def _count_row(group: Counts, by: str) -> tuple[object, ...]:
    of = group.of[:_ENGINE_DIGITS] if by == "engine" else group.of
    share = "" if group.pass_share is None else f"{group.pass_share:.1%}".removesuffix("%")
    return of, group.parts, *(group.verdicts[verdict] or "-" for verdict in Verdict), share


def _print_data(items: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        print_json(items)
        return
    rows = [
        ["; ".join(reason["text"] for reason in value) if isinstance(value, list) else value for value in item.values()]
        for item in items
    ]
    header = list(items[0]) if items else []
    print(csv_text(header, rows), end="")  # noqa: T201
