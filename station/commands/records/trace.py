"""`station trace`: where the time of one part went."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from station.commands.options import add_json_option, complain, print_json
from station.commands.records import finding
from station.commands.records.finding import add_part_options
from station.commands.records.selecting import add_place_options, place_of, reporting
from station.records.parts import PartRow, ViewRow
from station.records.schema import open_reader
from station.reports.drawing import SUFFIXES
from station.reports.shifts import Calendar
from station.reports.trace import Trace, find
from station.reports.trace_picture import draw
from station.terminal import coloured, console, say

_NOT_SHOWN = ("regions", "reasons", "extra")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `trace`."""
    parser = commands.add_parser("trace", help="show every step of one part with its time")
    add_part_options(parser)
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"timeline as picture: {', '.join(SUFFIXES)}")
    add_json_option(parser, "part, steps, events, others")
    add_place_options(parser)
    parser.set_defaults(run=reporting(run))


def run(options: argparse.Namespace) -> int:
    """The command. Returns its exit code."""
    if options.picture is not None and options.picture.suffix not in SUFFIXES:
        return complain(f"--picture {options.picture}: the name must end in {' or '.join(SUFFIXES)}")
    place = place_of(options)
    with contextlib.closing(open_reader(place.records)) as connection:
        found = finding.find(connection, options, place.calendar)
        trace = find(connection, found.part)
    if options.picture is not None:
        try:
            draw(trace).save(options.picture)
        except OSError as problem:
            return complain(f"--picture {options.picture}: {problem.strerror}")
    if options.json:
        print_json(as_json(trace, place.calendar) | {"others": finding.as_json(found.others, place.calendar)})
    else:
        console().print(as_text(trace, place.calendar))
        for line in finding.others_in_words(found, place.calendar):
            say(line)
    return 0


def as_json(trace: Trace, calendar: Calendar) -> dict[str, Any]:
    """The trace for scripts."""
    part = {"time": calendar.iso(trace.part.wall_time)} | _row_as_json(trace.part)
    return {
        "part": part | {"views": [_row_as_json(view) for view in trace.part.views]},
        "steps": [asdict(step) | {"took_ms": step.took_ms} for step in trace.steps],
        "events": [asdict(event) for event in trace.events],
    }


def _row_as_json(row: PartRow | ViewRow) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(row).items() if name not in _NOT_SHOWN}
    return shown | {"reasons": [str(reason) for reason in row.reason_list]}


def as_text(trace: Trace, calendar: Calendar) -> Group:
    """The trace for people."""
    part = trace.part
    head = Table.grid(padding=(0, 2))
    head.add_row("part", f"{part.part_id}, acquisition {part.acquisition_id}, session {part.session}")
    head.add_row("trigger", f"{calendar.in_words(part.wall_time, 'ms')}, encoder {part.encoder_count}")
    score = "" if part.score is None else f", score {part.score:.3f}"
    late = f"; a late answer said {part.late_verdict}" if part.late else ""
    recovered = "; from the journal, after a restart" if part.recovered else ""
    head.add_row("verdict", f"{part.verdict}{score}{late}{recovered}")
    for reason in part.reason_list:
        head.add_row("", str(reason))
    head.add_row("engine", f"{part.engine_id[:12] or 'none'}, recipe {part.recipe}")

    steps = Table("step", "", title="ms after the trigger", title_justify="left")
    for name in ("at", "took"):
        steps.add_column(name, justify="right")
    for step in trace.steps:
        steps.add_row(step.name, step.spent_on, f"{step.at_ms:.3f}", f"{step.took_ms:.3f}" if step.spent_on else "")
    shown: list[Table] = [head, steps]
    if trace.events:
        events = Table("at", "event", "", title="events meanwhile and of this part", title_justify="left")
        for event in trace.events:
            kind = coloured(event.kind, "bold" if event.names_part else "")
            events.add_row(f"{event.at_ms:.1f}", kind, event.detail)
        shown.append(events)
    return Group(*shown)
