"""`station label`: what a person says of a part. Labels are kept beside the records, which never change."""

from __future__ import annotations

import argparse
import getpass
from contextlib import closing

from station.commands.options import EXIT_BAD_INPUT, BadInput, add_json_option, print_json
from station.commands.records.finding import add_part_options, as_json, find_one
from station.commands.records.selecting import add_place_options, place_of, reporting
from station.labels.classes import SEVERITIES
from station.labels.labels import WORDS, decide, read_labels, withdraw
from station.labels.schema import open_writer
from station.labels.writing import Reviewer
from station.records import schema as records
from station.terminal import one_line, say

WITHDRAW = "withdraw"
ROLE = "shell"
"""Of whoever may write the file: accounts with roles come with the pages."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `label`."""
    parser = commands.add_parser("label", help="say what a part was: good or defective, and of which class")
    add_part_options(parser)
    parser.add_argument("label", choices=(*WORDS, WITHDRAW), help="withdraw: the part has no label then")
    parser.add_argument("--class", dest="defect_class", metavar="NAME", help="of a defective part, as scratch")
    parser.add_argument("--new-class", choices=SEVERITIES, metavar="SEVERITY",
                        help=f"--class is a new one of this severity: {', '.join(SEVERITIES)}")  # fmt: skip
    parser.add_argument("--camera", metavar="NAME", help="the label is for this view alone")
    parser.add_argument("--why", default="", metavar="TEXT", help="one line, kept with the label")
    parser.add_argument("--who", metavar="NAME", help="who says so; default: the user of this computer")
    add_json_option(parser, "part_id, session, acquisition_id, time, verdict, labels; of several parts: candidates")
    add_place_options(parser)
    parser.set_defaults(run=reporting(label))


def label(options: argparse.Namespace) -> int:
    """Keeps the label, then prints it. Of several parts with the id a person at a terminal chooses; else none is."""
    if options.new_class is not None and options.defect_class is None:
        raise BadInput("--new-class says how severe --class NAME is; name it")
    place = place_of(options)
    with closing(records.open_reader(place.records)) as connection:
        part = find_one(connection, options, place.calendar, "labelled")
    if part is None:
        return EXIT_BAD_INPUT
    by = Reviewer(options.who or getpass.getuser(), ROLE)
    with closing(open_writer(place.labels)) as labels:
        if options.label == WITHDRAW:
            withdraw(labels, part, by, camera=options.camera, comment=options.why)
        else:
            decide(labels, part, options.label, by, defect_class=options.defect_class,
                   new_class=options.new_class, camera=options.camera, comment=options.why)  # fmt: skip
    kept = read_labels(place.labels, part)
    if options.json:
        (named,) = as_json((part,), place.calendar)
        print_json({**named, "labels": [one.as_json() for one in kept]})
        return 0
    holds = [one_line(one) for one in kept] or ["has no label"]
    say(f"part {part.part_id} ({part.verdict}): {'; '.join(holds)}")
    return 0
