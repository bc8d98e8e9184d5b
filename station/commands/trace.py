"""`station trace`: where the time of one part went."""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from station.commands.options import add_config_option, complain
from station.configuration import load as config
from station.configuration.load import ConfigurationError
from station.records.parts import PartRow, ViewRow
from station.records.schema import RecordingError, open_reader
from station.reports.drawing import SUFFIXES
from station.reports.trace import Trace, candidates, find
from station.reports.trace_picture import draw
from station.terminal import coloured, console

_NOT_SHOWN = ("regions", "reasons", "extra")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `trace`."""
    parser = commands.add_parser("trace", help="show every step of one part with its time")
    parser.add_argument("part_id", type=int, metavar="PART_ID", help="the PLC's id; the newest part that has it")
    parser.add_argument("--acquisition", action="store_true", help="PART_ID is the station's AcquisitionId")
    parser.add_argument("--session", metavar="S", help="only this run of the station")
    add_config_option(parser)
    parser.add_argument("--records", type=Path, metavar="PATH", help="records.db or its folder; default: of --config")
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"timeline as picture: {', '.join(SUFFIXES)}")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The command. Returns its exit code."""
    if options.picture is not None and options.picture.suffix not in SUFFIXES:
        return complain(f"--picture {options.picture}: the name must end in {' or '.join(SUFFIXES)}")
    try:
        records = options.records or config.load(options.config).records_dir
        with contextlib.closing(open_reader(records)) as connection:
            rows = candidates(connection, options.part_id, session=options.session, by_acquisition=options.acquisition)
            if not rows:
                return complain(_not_found(options))
            trace = find(connection, rows[-1])
    except (ConfigurationError, RecordingError) as problem:
        return complain(problem)
    if options.picture is not None:
        try:
            draw(trace).save(options.picture)
        except OSError as problem:
            return complain(f"--picture {options.picture}: {problem.strerror}")
    if options.json:
        print(json.dumps(as_json(trace), indent=2))  # noqa: T201
    else:
        console().print(as_text(trace, rows[:-1]))
    return 0


def _not_found(options: argparse.Namespace) -> str:
    number = f"{'AcquisitionId' if options.acquisition else 'part id'} {options.part_id}"
    where = f" in session {options.session}" if options.session else ""
    hint = "" if options.acquisition else "; --acquisition takes the station's own number"
    return f"no part with {number}{where} is on record{hint}"


def as_json(trace: Trace) -> dict[str, Any]:
    """The trace for scripts."""
    return {
        "part": _row_as_json(trace.part) | {"views": [_row_as_json(view) for view in trace.part.views]},
        "steps": [asdict(step) | {"took_ms": step.took_ms} for step in trace.steps],
        "events": [asdict(event) for event in trace.events],
    }


def _row_as_json(row: PartRow | ViewRow) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(row).items() if name not in _NOT_SHOWN}
    return shown | {"reasons": [str(reason) for reason in row.reason_list]}


def as_text(trace: Trace, older: list[PartRow]) -> Group:
    """The trace for people; `older`: other parts with the same number."""
    part = trace.part
    when = datetime.fromtimestamp(part.wall_time, timezone.utc).astimezone()
    head = Table.grid(padding=(0, 2))
    head.add_row("part", f"{part.part_id}, acquisition {part.acquisition_id}, session {part.session}")
    head.add_row("trigger", f"{when:%Y-%m-%d %H:%M:%S.%f%z}, encoder {part.encoder_count}")
    score = "" if part.score is None else f", score {part.score:.3f}"
    late = f"; a late answer said {part.late_verdict}" if part.late else ""
    recovered = "; from the journal, after a restart" if part.recovered else ""
    head.add_row("verdict", f"{part.verdict}{score}{late}{recovered}")
    for reason in part.reason_list:
        head.add_row("", str(reason))
    head.add_row("engine", f"{part.engine_id[:12] or 'none'}, recipe {part.recipe}")
    if older:
        others = ", ".join(f"{row.session} acquisition {row.acquisition_id}" for row in older[-5:])
        head.add_row("also", f"{len(older)} older with this number, the last: {others}")

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
