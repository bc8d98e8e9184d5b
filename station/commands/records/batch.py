"""`station batch`: begin, end, and list what is made for one order or lot."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict
from typing import Any

from station.commands.options import add_config_option, add_json_option, positive, print_json
from station.commands.options import show as show_done
from station.commands.records.selecting import Place, add_place_options, place_of, reporting
from station.configuration.load import load_station
from station.control import request
from station.records.batches.rows import BatchRow, newest_batches
from station.records.rollups.for_commands import left_by_pages
from station.records.schema import open_reader
from station.records.selection import Selection
from station.reports.counts import count, total
from station.reports.tables import table
from station.results import Verdict
from station.terminal import console, one_line

NEWEST = 20
KEYS = "number, name, product, order, recipe, start, end, begun_by, ended_by"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `batch` with its actions."""
    parser = commands.add_parser("batch", help="batches: begin, end, list")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    begin = actions.add_parser("begin", help="parts from now on belong to this batch; one that is open ends")
    begin.add_argument("name", metavar="NAME", help="how people call it, as 8812")
    begin.add_argument("--product", default="", metavar="TEXT", help="what is made")
    begin.add_argument("--order", default="", metavar="TEXT", help="for which order")
    end = actions.add_parser("end", help="parts from now on belong to no batch")
    for one, run in ((begin, begin_batch), (end, end_batch)):
        add_json_option(one, KEYS)
        add_config_option(one)
        one.set_defaults(run=reporting(run))
    listing = actions.add_parser("list", help="the newest batches with their parts")
    listing.add_argument("--limit", type=positive, default=NEWEST, metavar="N", help="the newest; default: %(default)s")
    add_json_option(listing, f"a list of {KEYS}, parts, pass, fail, review, error")
    add_place_options(listing)
    listing.set_defaults(run=reporting(list_batches))


def begin_batch(options: argparse.Namespace) -> int:
    """Has the running station begin a batch."""
    asked = {"action": "begin", "name": options.name, "product": options.product, "order": options.order}
    return _asked(options, asked, "{name} has begun")


def end_batch(options: argparse.Namespace) -> int:
    """Has the running station end the batch that is open."""
    return _asked(options, {"action": "end"}, "{name} has ended")


def list_batches(options: argparse.Namespace) -> int:
    """The newest last."""
    place = place_of(options)
    with (
        closing(open_reader(place.records)) as connection,
        left_by_pages(place.pages, connection) as rollups,
    ):
        rows = newest_batches(connection, options.limit)[::-1]
        counts = [
            total(count(connection, Selection(batch=row.number), "recipe", place.calendar, rollups)) for row in rows
        ]
    if options.json:
        print_json(
            [
                {**_data(row, place), "parts": one.parts, **{v.name.lower(): one.verdicts[v] for v in Verdict}}
                for row, one in zip(rows, counts, strict=True)
            ]
        )
    elif not rows:
        console().print("No batch is on record; station batch begin NAME begins one.")
    else:
        columns = (("batch", False), ("product", False), ("order", False), ("begun", False), ("ended", False),
                   ("parts", True), ("PASS", True), ("FAIL", True), ("REVIEW", True), ("ERROR", True))  # fmt: skip
        shown = [
            (
                one_line(row.name), one_line(row.product), one_line(row.order_no), place.calendar.clock(row.start_s),
                place.calendar.clock(row.end_s) or "open", one.parts, *(one.verdicts[v] or "-" for v in Verdict),
            )
            for row, one in zip(rows, counts, strict=True)
        ]  # fmt: skip
        console().print(table("", columns, shown))
    return 0


def _asked(options: argparse.Namespace, asked: dict[str, Any], said: str) -> int:
    station = load_station(options.config)
    batch = BatchRow(**request(station.control_socket, {"command": "batch", **asked})["batch"])
    show_done(
        options, _data(batch, place_of(_with_records(options))), f"batch {said.format(name=one_line(batch.name))}"
    )
    return 0


def _with_records(options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(config=options.config, records=None)


def _data(row: BatchRow, place: Place) -> dict[str, Any]:
    found = asdict(row)
    order, start_s, end_s = found.pop("order_no"), found.pop("start_s"), found.pop("end_s")
    end = None if end_s is None else place.calendar.iso(end_s)
    return {**found, "order": order, "start": place.calendar.iso(start_s), "end": end}
