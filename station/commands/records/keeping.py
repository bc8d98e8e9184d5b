"""`station quarantine`: parts kept as evidence. `station evidence`: all that is known of a part, in one file."""

from __future__ import annotations

import argparse
import getpass
import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from station.commands.options import BadInput
from station.commands.records.finding import LAST, Found, add_part_options, find
from station.commands.records.label import ROLE
from station.commands.records.selecting import Place, add_place_options, place_of, reporting
from station.commands.records.show import eyes
from station.configuration.load import load_station
from station.labels.quarantine import keep, quarantined, release
from station.labels.schema import open_writer
from station.labels.writing import Reviewer
from station.records import schema as records
from station.reports.evidence import Source, collect, file_name, write
from station.reports.tables import table
from station.terminal import console, one_line, say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `quarantine` and `evidence`."""
    parser = commands.add_parser("quarantine", help="parts kept as evidence: list, keep, release")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all parts that are kept, and why")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=reporting(list_kept))
    keeping = actions.add_parser("keep", help="keep row and images of a part, whatever their age and the disk budget")
    keeping.set_defaults(run=reporting(keep_part))
    releasing = actions.add_parser("release", help="let a part go: it may be deleted as any other")
    releasing.set_defaults(run=reporting(release_part))
    for action in (keeping, releasing):
        add_part_options(action)
        action.add_argument("--why", required=True, metavar="TEXT", help="one line, kept for good")
        action.add_argument("--who", metavar="NAME", help="who says so; default: the user of this computer")
    for action in (listing, keeping, releasing):
        add_place_options(action)

    parser = commands.add_parser("evidence", help="everything that is known of a part in one file, with checksums")
    add_part_options(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="a ZIP; default: a name made of the part's numbers")
    parser.add_argument("--who", metavar="NAME", help="who makes it; default: the user of this computer")
    add_place_options(parser)
    parser.set_defaults(run=reporting(evidence))


def list_kept(options: argparse.Namespace) -> int:
    """The quarantine, oldest entry first."""
    place = place_of(options)
    kept = quarantined(place.labels)
    if options.json:
        print(json.dumps([asdict(one) for one in kept], indent=2))  # noqa: T201
        return 0
    columns = [("part", True), ("triggered", False), ("kept since", False), ("by", False), ("why", False)]
    when = "%Y-%m-%d %H:%M:%S"
    rows = [
        (
            str(one.part_id),
            f"{place.calendar.local(one.wall_time):{when}}",
            f"{place.calendar.local(one.at):{when}}",
            one.reviewer,
            one.why,
        )
        for one in kept
    ]
    console().print(table(f"{len(kept)} parts in the quarantine", columns, rows))
    return 0


def keep_part(options: argparse.Namespace) -> int:
    """Puts one part into the quarantine."""
    place, found = _one(options)
    with closing(open_writer(place.labels)) as labels:
        keep(labels, found.part, Reviewer(options.who or getpass.getuser(), ROLE), options.why)
    say(f"part {found.part.part_id} is in the quarantine: its row and images stay")
    return 0


def release_part(options: argparse.Namespace) -> int:
    """Lets one part go."""
    place, found = _one(options)
    with closing(open_writer(place.labels)) as labels:
        release(labels, found.part, Reviewer(options.who or getpass.getuser(), ROLE), options.why)
    say(f"part {found.part.part_id} has left the quarantine")
    return 0


def evidence(options: argparse.Namespace) -> int:
    """Writes the file; says what is not there any more."""
    place = place_of(options)
    name = load_station(options.config).settings.station.name if options.config.exists() else ""
    source = Source(eyes(options, place), place.labels, place.calendar, name)
    with closing(records.open_reader(place.records)) as connection:
        found = find(connection, options)
        files = collect(connection, source, found.part, options.who or getpass.getuser())
    output = options.output or Path(file_name(found.part))
    try:
        with output.open("xb") as file:
            write(files, file)
    except OSError as problem:
        raise BadInput(f"--output {output}: {problem.strerror}") from problem
    missing = json.loads(files["about.json"])["missing"]
    lines = [f"{output}: part {found.part.part_id}, {len(files)} files", *(f"  not there: {one}" for one in missing)]
    say("\n".join(map(one_line, lines)))
    return 0


def _one(options: argparse.Namespace) -> tuple[Place, Found]:
    """The part that is meant, if only one can be. Raises BadInput."""
    if options.part == LAST:
        raise BadInput(f'name the part by its number, not "{LAST}": the next part may be there already')
    place = place_of(options)
    with closing(records.open_reader(place.records)) as connection:
        found = find(connection, options)
    if found.others:
        newest = f"{found.part.acquisition_id} --acquisition --session {one_line(found.part.session)}"
        raise BadInput(
            f"part id {options.part} stands for more than one part; nothing was changed. Name one:\n"
            f"  {newest}: {found.part.verdict}\n" + "\n".join(found.others)
        )
    return place, found
