"""`station classes`: the catalogue of kinds of defects, and how often each came."""

from __future__ import annotations

import argparse
import getpass
import time
from contextlib import closing
from dataclasses import asdict, replace

from station.commands.options import BadInput, add_json_option, print_json
from station.commands.records.label import ROLE
from station.commands.records.selecting import (
    add_place_options,
    add_selection_options,
    place_of,
    reporting,
    selection_of,
)
from station.labels.classes import SEVERITIES, DefectClass, add_class, change_class, classes
from station.labels.pareto import DAY_S, pareto
from station.labels.schema import open_reader, open_writer
from station.labels.writing import Reviewer
from station.reports.tables import table
from station.terminal import console, one_line, say

_KEEP = "kept where it is not given"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `classes`."""
    parser = commands.add_parser("classes", help="kinds of defects: list, set (severity, colour, number), pareto")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the catalogue: what parts may be labelled with, and what the PLC reads")
    add_json_option(listing, "a list of name, severity, colour, key, number")
    listing.set_defaults(run=reporting(list_classes))

    setting = actions.add_parser("set", help="add a class or change it; old labels keep what they were")
    setting.add_argument("name", metavar="NAME")
    setting.add_argument("--severity", choices=SEVERITIES, help=f"needed for a new class; {_KEEP}")
    setting.add_argument("--colour", metavar="#RRGGBB", help=f"in pictures and lists; {_KEEP}")
    setting.add_argument("--key", type=int, metavar="N", help=f"1 to 9, on the keyboard in Review; {_KEEP}")
    setting.add_argument(
        "--number", type=int, metavar="N", help="what the PLC reads in DefectClass, for good; 1 to 65535"
    )
    setting.add_argument("--who", metavar="NAME", help="who says so; default: the user of this computer")
    add_json_option(setting, "name, severity, colour, key, number")
    setting.set_defaults(run=reporting(set_class))

    counting = actions.add_parser("pareto", help="how often each kind came, most frequent first; default: the last day")
    add_selection_options(counting, only_time=True)
    add_json_option(counting, "a list of name, confirmed, suggested, share, together, number")
    counting.set_defaults(run=reporting(show_pareto))
    for action in (listing, setting, counting):
        add_place_options(action)


def list_classes(options: argparse.Namespace) -> int:
    """By name."""
    place = place_of(options)
    connection = open_reader(place.labels)
    found: list[DefectClass] = []
    if connection is not None:
        with closing(connection):
            found = classes(connection)
    if options.json:
        print_json([asdict(one) for one in found])
        return 0
    columns = [("class", False), ("severity", False), ("colour", False), ("key", True), ("number for the PLC", True)]
    rows = [
        (one_line(one.name), one.severity, one.colour or "", str(one.key or ""), str(one.number or "")) for one in found
    ]
    console().print(table("classes of defects", columns, rows))
    return 0


def set_class(options: argparse.Namespace) -> int:
    """Adds or changes one."""
    place = place_of(options)
    given = {name: getattr(options, name) for name in ("severity", "colour", "key", "number")}
    given = {name: value for name, value in given.items() if value is not None}
    by = Reviewer(options.who or getpass.getuser(), ROLE)
    with closing(open_writer(place.labels)) as labels:
        known = {one.name.casefold(): one for one in classes(labels)}
        old = known.get(options.name.casefold())
        if old is None:
            if options.severity is None:
                raise BadInput(f'"{options.name}" is a new class: --severity {"|".join(SEVERITIES)} is missing')
            new = DefectClass(options.name, **given)
            add_class(labels, new, by)
        else:
            new = replace(old, **given)
            change_class(labels, old.name, new, by)
    if options.json:
        print_json(asdict(new))
        return 0
    number = "; the station takes its number up with station reload" if options.number is not None else ""
    say(f"{one_line(new.name)}: {new.severity}{number}")
    return 0


def show_pareto(options: argparse.Namespace) -> int:
    """What people confirmed, and what the engine suggests of the other parts that did not pass."""
    place = place_of(options)
    selection = selection_of(options, place.calendar)
    until = time.time() if selection.until is None else selection.until
    since = until - DAY_S if selection.since is None else selection.since
    found = pareto(place.records, place.labels, since, until)
    if options.json:
        print_json(
            [
                {**{name: value for name, value in asdict(one).items() if name != "of_class"},
                 "number": None if one.of_class is None else one.of_class.number}
                for one in found
            ]
        )  # fmt: skip
        return 0
    columns = [("kind", False), ("parts", True), ("confirmed", True), ("suggested", True), ("share", True),
               ("together", True), ("severity", False)]  # fmt: skip
    rows = [
        (
            one_line(one.name) or "no kind",
            str(one.count),
            str(one.confirmed),
            str(one.suggested),
            f"{one.share:.0%}",
            f"{one.together:.0%}",
            "" if one.of_class is None else one.of_class.severity,
        )
        for one in found
    ]
    span = f"{place.calendar.in_words(since, 'min')} to {place.calendar.in_words(until, 'min')}"
    console().print(table(f"kinds of defects, {span}", columns, rows))
    return 0
