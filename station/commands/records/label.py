"""`station label`: what a person says of a part. Labels are kept beside the records, which never change."""

from __future__ import annotations

import argparse
import getpass
from contextlib import closing

from station.commands.options import BadInput
from station.commands.records.finding import LAST, add_part_options, find
from station.commands.records.selecting import add_place_options, place_of, reporting
from station.labels.classes import SEVERITIES
from station.labels.labels import WORDS, decide, read_labels, withdraw
from station.labels.schema import open_writer
from station.labels.writing import Reviewer
from station.records import schema as records
from station.terminal import one_line

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
    add_place_options(parser)
    parser.set_defaults(run=reporting(label))


def label(options: argparse.Namespace) -> int:
    """Keeps the label, then prints it. Of several parts with the id none is labelled."""
    if options.part == LAST:
        raise BadInput(f'a label needs the number of its part, not "{LAST}": the next part may be there already')
    if options.new_class is not None and options.defect_class is None:
        raise BadInput("--new-class says how severe --class NAME is; name it")
    place = place_of(options)
    with closing(records.open_reader(place.records)) as connection:
        found = find(connection, options)
    if found.others:
        newest = f"{found.part.acquisition_id} --acquisition --session {one_line(found.part.session)}"
        raise BadInput(
            f"part id {options.part} stands for more than one part; nothing was labelled. Name one:\n"
            f"  {newest}: {found.part.verdict}\n" + "\n".join(found.others)
        )
    by = Reviewer(options.who or getpass.getuser(), ROLE)
    with closing(open_writer(place.labels)) as labels:
        if options.label == WITHDRAW:
            withdraw(labels, found.part, by, camera=options.camera, comment=options.why)
        else:
            decide(labels, found.part, options.label, by, defect_class=options.defect_class,
                   new_class=options.new_class, camera=options.camera, comment=options.why)  # fmt: skip
    holds = [one_line(one) for one in read_labels(place.labels, found.part)] or ["has no label"]
    print(f"part {found.part.part_id} ({found.part.verdict}): {'; '.join(holds)}")  # noqa: T201
    return 0
