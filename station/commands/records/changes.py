"""`station audit`: who changed what. `station config`: every configuration and recipe that was ever active."""

from __future__ import annotations

import argparse
import difflib
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from engines.text_file import text_of
from station.commands.options import BadInput, add_json_option, positive, print_json
from station.commands.records.audit_chains import show_heads, verify_chains
from station.commands.records.selecting import add_place_options, place_of, reporting
from station.configuration.load import load
from station.records.audit import audit_rows
from station.records.configurations import KeptFile, kept_files
from station.records.schema import open_reader
from station.reports.as_data import audit_as_data
from station.reports.shifts import Calendar
from station.reports.tables import table
from station.terminal import coloured, console, one_line, say

FILE_NOW = "now"
DIGITS = 8
"""Of a checksum, in tables and in the audit log."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `audit` and `config`."""
    auditing = commands.add_parser("audit", help="who changed recipe, engine or configuration, and with what result")
    auditing.add_argument(
        "action", nargs="?", choices=("list", "verify", "anchor"), default="list",
        help="verify: follow the chains of changes and of accounts, and hold them against heads that were kept; "
        "exit code 1: one was changed. anchor: their heads, to be kept elsewhere",
    )  # fmt: skip
    auditing.add_argument(
        "--anchor", default=[], action="append", metavar="FILE|HEAD",
        help="verify: a head that was kept, or a file with such: a log, a report, an evidence file; may be given again",
    )  # fmt: skip
    auditing.add_argument("--output", type=Path, metavar="FILE", help="anchor: the heads of all rows, in this new file")
    auditing.add_argument("--newest", type=positive, default=50, metavar="N", help="default: %(default)s")
    add_json_option(
        auditing,
        "a list of time, wall_time, who, action, before, after, result, detail; of verify: changes, accounts, anchors; "
        "of anchor: changes, accounts, file",
    )
    add_place_options(auditing)
    auditing.set_defaults(run=reporting(audit))

    parser = commands.add_parser("config", help="configurations and recipes that were ever active: list, show, diff")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all of them, oldest first")
    add_json_option(listing, "a list of checksum, kind, name, time, wall_time, content")
    listing.set_defaults(run=reporting(list_files))
    showing = actions.add_parser("show", help="one, whole")
    showing.add_argument("checksum", metavar="CHECKSUM", help="its begin, as `station config list` and rows have it")
    add_json_option(showing, "checksum, kind, name, time, wall_time, content")
    showing.set_defaults(run=reporting(show))
    comparing = actions.add_parser("diff", help="what differs between two")
    comparing.add_argument("old", metavar="OLD", help="the begin of a checksum")
    comparing.add_argument(
        "new",
        metavar="NEW",
        nargs="?",
        default=FILE_NOW,
        help="the begin of a checksum; none: the file as it is now",
    )
    add_json_option(comparing, "old, new, lines")
    comparing.set_defaults(run=reporting(diff))
    for action in (listing, showing, comparing):
        add_place_options(action)


def audit(options: argparse.Namespace) -> int:
    """The newest entries of the audit log; or whether it is whole."""
    place = place_of(options)
    if options.action == "verify":
        return verify_chains(options, place)
    if options.action == "anchor":
        return show_heads(options, place)
    with closing(open_reader(place.records)) as connection:
        rows = list(audit_rows(connection, options.newest))
    if options.json:
        print_json([audit_as_data(row, place.calendar) for row in rows])
        return 0
    columns = [(name, False) for name in ("when", "who", "what", "from", "to", "", "why")]
    shown = [
        (
            place.calendar.clock(row.wall_time),
            row.who,
            row.action,
            row.before,
            row.after,
            coloured(row.result, "green" if row.result == "done" else "red"),
            row.detail,
        )
        for row in rows
    ]
    console().print(table("audit log, newest last", columns, shown))
    return 0


def list_files(options: argparse.Namespace) -> int:
    """Checksum, kind, name and first use of every file that was ever active."""
    place = place_of(options)
    with closing(open_reader(place.records)) as connection:
        files = kept_files(connection)
    if options.json:
        print_json([_as_json(file, place.calendar) for file in files])
        return 0
    columns = [(name, False) for name in ("checksum", "kind", "name", "active first")]
    rows = [(file.checksum[:DIGITS], file.kind, file.name, place.calendar.clock(file.wall_time)) for file in files]
    console().print(table("", columns, rows))
    return 0


def show(options: argparse.Namespace) -> int:
    """A file as it was. Control characters in it are escaped."""
    place = place_of(options)
    with closing(open_reader(place.records)) as connection:
        file = _find(kept_files(connection, options.checksum), options.checksum)
    if options.json:
        print_json(_as_json(file, place.calendar))
    else:
        say(file.content.rstrip("\n"))
    return 0


def diff(options: argparse.Namespace) -> int:
    """The lines that differ, as `diff -u` prints them; none when nothing does."""
    place = place_of(options)
    with closing(open_reader(place.records)) as connection:
        old = _find(kept_files(connection, options.old), options.old)
        if options.new == FILE_NOW:
            new = _file_now(options, old)
        else:
            new = _find(kept_files(connection, options.new), options.new)
    if old.kind != new.kind:
        kinds = f"{old.checksum[:DIGITS]} is a {old.kind}, {new.checksum[:DIGITS]} a {new.kind}"
        raise BadInput(f"{kinds}: name two of a kind")
    names = [f"{file.name} {file.checksum[:DIGITS]}" for file in (old, new)]
    before, after = old.content.splitlines(), new.content.splitlines()
    lines = list(difflib.unified_diff(before, after, names[0], names[1], lineterm=""))
    if options.json:
        print_json({"old": old.checksum, "new": new.checksum, "lines": lines})
    for line in () if options.json else lines:
        say(line)
    return 0


def _as_json(file: KeptFile, calendar: Calendar) -> dict[str, object]:
    return {**asdict(file), "time": calendar.iso(file.wall_time)}


def _find(files: list[KeptFile], begin: str) -> KeptFile:
    if len(files) == 1:
        return files[0]
    if files:
        found = ", ".join(file.checksum[: len(begin) + DIGITS] for file in files[:5])
        raise BadInput(f'"{one_line(begin)}" is the begin of {len(files)} checksums: {found}')
    raise BadInput(f'no file on record has a checksum that begins with "{one_line(begin)}"; see: station config list')


def _file_now(options: argparse.Namespace, like: KeptFile) -> KeptFile:
    """The file of the same kind as it is on disk."""
    if like.kind == "configuration":
        loaded = load(options.config)
        return KeptFile(loaded.checksum, "configuration", "now", 0.0, text_of(loaded.raw))
    recipe = load(options.config, like.name).recipe
    assert recipe is not None  # `load` with a name has a recipe
    return KeptFile(recipe.checksum, "recipe", "now", 0.0, text_of(recipe.raw))
