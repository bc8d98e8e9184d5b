"""`station quarantine`: parts kept as evidence. `station evidence`: all that is known of a part, in one file."""

from __future__ import annotations

import argparse
import getpass
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

from station.commands.confirm import waits
from station.commands.options import EXIT_BAD_INPUT, BadInput, add_json_option, print_json, show
from station.commands.records.finding import add_part_options, as_json, find_one
from station.commands.records.label import ROLE
from station.commands.records.selecting import add_place_options, place_of, reporting, station_of
from station.commands.records.show import eyes
from station.control import ControlError, request
from station.labels.quarantine import Kept, keep, quarantined, release
from station.labels.schema import open_writer
from station.labels.writing import Labelled, Reviewer
from station.records import schema as records
from station.reports.evidence import Source, collect, file_name, write
from station.reports.tables import table
from station.terminal import console, one_line

_PART = "part_id, session, acquisition_id, time, verdict"
Change = Callable[[sqlite3.Connection, Labelled, Reviewer, str], None]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `quarantine` and `evidence`."""
    parser = commands.add_parser("quarantine", help="parts kept as evidence: list, keep, release")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all parts that are kept, and why")
    add_json_option(listing, f"a list of time, kept_since, {', '.join(field.name for field in fields(Kept))}")
    listing.set_defaults(run=reporting(list_kept))
    keeping = actions.add_parser("keep", help="keep row and images of a part, whatever their age and the disk budget")
    keeping.set_defaults(run=reporting(keep_part))
    releasing = actions.add_parser("release", help="let a part go: it may be deleted as any other")
    releasing.set_defaults(run=reporting(release_part))
    for action in (keeping, releasing):
        add_part_options(action)
        add_json_option(action, f"{_PART}, kept; with two people: waiting; of several parts: candidates")
        action.add_argument("--why", required=True, metavar="TEXT", help="one line, kept for good")
        action.add_argument("--who", metavar="NAME", help="who says so; default: the user of this computer")
    for action in (listing, keeping, releasing):
        add_place_options(action)

    parser = commands.add_parser("evidence", help="everything that is known of a part in one file, with checksums")
    add_part_options(parser)
    add_json_option(parser, f"{_PART}, file, files, missing; of several parts: candidates")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a ZIP; default: a name made of the part's numbers")
    parser.add_argument("--who", metavar="NAME", help="who makes it; default: the user of this computer")
    add_place_options(parser)
    parser.set_defaults(run=reporting(evidence))


def list_kept(options: argparse.Namespace) -> int:
    """The quarantine, oldest entry first."""
    place = place_of(options)
    kept = quarantined(place.labels)
    if options.json:
        clock = place.calendar
        print_json([{**asdict(one), "time": clock.iso(one.wall_time), "kept_since": clock.iso(one.at)} for one in kept])
        return 0
    columns = [("part", True), ("triggered", False), ("kept since", False), ("by", False), ("why", False)]
    rows = [
        (
            str(one.part_id),
            place.calendar.clock(one.wall_time),
            place.calendar.clock(one.at),
            one.reviewer,
            one.why,
        )
        for one in kept
    ]
    console().print(table(f"{len(kept)} parts in the quarantine", columns, rows))
    return 0


def keep_part(options: argparse.Namespace) -> int:
    """Puts one part into the quarantine."""
    return _changed(options, keep, "is in the quarantine: its row and images stay", is_kept=True)


def release_part(options: argparse.Namespace) -> int:
    """Lets one part go."""
    return _changed(options, release, "has left the quarantine", is_kept=False)


def _changed(options: argparse.Namespace, change: Change, said: str, *, is_kept: bool) -> int:
    place = place_of(options)
    with closing(records.open_reader(place.records)) as connection:
        part = find_one(connection, options, place.calendar, "changed")
    if part is None:
        return EXIT_BAD_INPUT
    (named,) = as_json((part,), place.calendar)
    station = None if is_kept else station_of(options)
    if station is not None and "quarantine" in station.settings.access.second_person:
        number = {name: getattr(part, name) for name in ("session", "acquisition_id", "part_id", "wall_time")}
        try:
            reply = request(station.control_socket, {"command": "quarantine", "action": "release",
                                                     "why": options.why, **number})  # fmt: skip
        except ControlError as problem:
            raise BadInput(f"nothing was changed; it needs two people ([access] second_person): {problem}") from problem
        if (waiting := reply.get("waiting")) is not None:
            show(options, {**named, "kept": True, "waiting": waiting}, waits(waiting))
        else:  # the daemon was started without the rule
            show(options, {**named, "kept": False}, f"part {part.part_id} {said}")
        return 0
    with closing(open_writer(place.labels)) as labels:
        change(labels, part, Reviewer(options.who or getpass.getuser(), ROLE), options.why)
    show(options, {**named, "kept": is_kept}, f"part {part.part_id} {said}")
    return 0


def evidence(options: argparse.Namespace) -> int:
    """Writes the file; says what is not there any more."""
    place = place_of(options)
    station = station_of(options)
    name = "" if station is None else station.settings.station.name
    source = Source(eyes(options, place), place.labels, place.calendar, name)
    with closing(records.open_reader(place.records)) as connection:
        part = find_one(connection, options, place.calendar, "written")
        if part is None:
            return EXIT_BAD_INPUT
        files = collect(connection, source, part, options.who or getpass.getuser())
    output = options.output or Path(file_name(part))
    try:
        with output.open("xb") as file:
            write(files, file)
    except OSError as problem:
        raise BadInput(f"--output {output}: {problem.strerror}") from problem
    missing = json.loads(files["about.json"])["missing"]
    lines = [f"{output}: part {part.part_id}, {len(files)} files", *(f"  not there: {one}" for one in missing)]
    (named,) = as_json((part,), place.calendar)
    show(options, {**named, "file": output, "files": len(files), "missing": missing}, *map(one_line, lines))
    return 0
