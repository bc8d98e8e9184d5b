"""`station fleet page`: all stations on one page, from the views of their database."""

from __future__ import annotations

import argparse
from pathlib import Path

from station.commands.options import BadInput, add_json_option, complain, positive, reporting, show
from station.terminal import one_line

MOST_HOURS = 168


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `fleet page`."""
    action = actions.add_parser("page", help="write the page of all stations: what needs somebody, yield, engines")
    action.add_argument("--database", default="", metavar="CONNINFO",
                        help='as psql takes it: "host=db.plant dbname=plant user=grafana"; the password comes from '
                        "~/.pgpass; default: what PGHOST, PGDATABASE, PGUSER say")  # fmt: skip
    action.add_argument("--output", type=Path, required=True, metavar="FILE", help="ends in .html; written whole")
    action.add_argument("--hours", type=positive, default=24, help="of charts and lists; default 24, at most 168")
    action.add_argument("--language", default="en", metavar="CODE", help="en, de, or one that was added; default en")
    add_json_option(action, "database, read_at, stations, heard, needs, written")
    action.set_defaults(run=reporting(page, BadInput, OSError))


def page(options: argparse.Namespace) -> int:
    """Exit code 2: nothing was written. Times are those of this computer's zone."""
    try:
        from station.fleet.reading import FleetError, read  # noqa: PLC0415  its library is an extra
    except ImportError as problem:
        return complain(f"this needs the extra `plant-db` ({problem}): pip install 'edge-inspection-station[plant-db]'")
    from station.commands.records.language import language_named  # noqa: PLC0415
    from station.fleet.page import findings_of, is_heard  # noqa: PLC0415
    from station.fleet.page import page as page_of  # noqa: PLC0415
    from station.fleet.words import WORDS  # noqa: PLC0415
    from station.records.images import write_atomic  # noqa: PLC0415
    from station.reports.shifts import Calendar  # noqa: PLC0415

    if options.output.suffix != ".html":
        return complain(f"--output {options.output}: the name must end in .html")
    if options.hours > MOST_HOURS:
        return complain(f"--hours {options.hours}; allowed: 1 to {MOST_HOURS}")
    language, calendar = language_named(options.language), Calendar()
    try:
        fleet = read(options.database, options.hours)
    except FleetError as problem:
        return complain(problem)
    write_atomic(options.output, page_of(fleet, calendar, language).encode())
    needs = {one.name: [text for _, text in findings_of(one, WORDS)] for one in fleet.stations}
    heard = sum(map(is_heard, fleet.stations))
    data = {"database": fleet.database, "read_at": calendar.iso(fleet.read_at), "stations": len(fleet.stations)}
    show(
        options,
        {**data, "heard": heard, "needs": {name: texts for name, texts in needs.items() if texts},
         "written": options.output},
        f"wrote {options.output}: {heard} of {len(fleet.stations)} stations are heard",
        *(f"{one_line(name)}: {'; '.join(texts)}" for name, texts in needs.items() if texts),
    )  # fmt: skip
    return 0
