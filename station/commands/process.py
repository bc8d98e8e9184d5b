"""`station process`: read process values until it is stopped; how they stand; with which of them rejects came."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from station.commands.options import BadInput, add_config_option, add_json_option, print_json, reporting
from station.configuration.load import ConfigurationError, LoadedConfiguration, load_station
from station.process.looking import Now, look, rejects
from station.process.running import LEARN_AGAIN, Sampling
from station.process.storage import PROCESS_FILE, Finding, ProcessError, Writer
from station.records.schema import RecordingError, open_reader
from station.reports.shifts import TimeError, calendar_of
from station.reports.tables import table
from station.terminal import console, one_line, say

EXIT_STANDING = 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `process` with its actions."""
    parser = commands.add_parser(
        "process", help="process values over Modbus: read them, how they stand, rejects with them"
    )
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text)
        add_config_option(added)
        problems = (ConfigurationError, ProcessError, RecordingError, BadInput, TimeError)
        added.set_defaults(run=reporting(run, *problems))
        return added

    action("run", run_sampling, "read values and what the computer says of itself, until it is stopped (SIGTERM)")
    status = action("status", show, "the last values and what was found; exit code 1 when something stands")
    add_json_option(status, "read, values, learned, standing, findings")
    learning = action("learn", learn, "what comes from now on is normal, after an intended change")
    learning.add_argument("--why", required=True, metavar="TEXT", help="what was changed")
    add_json_option(learning, "learning_since")
    joined = action("rejects", show_rejects, "with which values the rejects of a period came")
    joined.add_argument("--since", default="1d", metavar="TIME", help="default: 1d")
    joined.add_argument("--until", metavar="TIME")
    add_json_option(joined, "a list of name, parts, low, high, rejected_low, rejected_high, deviations")


def run_sampling(options: argparse.Namespace) -> int:
    """Runs until SIGTERM or Ctrl-C. What it waits for is said in the log."""
    from station.daemon.supervisor import stop_on_signals  # noqa: PLC0415

    station = load_station(options.config)
    Sampling(station.settings.process, station.work_dir).run(stop_on_signals())
    return 0


def show(options: argparse.Namespace) -> int:
    """How the values stand."""
    station = load_station(options.config)
    section, calendar = station.settings.process, calendar_of(station.settings.station)
    now = look(station.work_dir, section)
    if options.json:
        print_json(_as_json(now, station))
        return EXIT_STANDING if now.standing else 0
    if now.at is None:
        say("no process value was read yet: station process run reads those of [[process.registers]]")
        return 0
    if now.is_old(section, time.time()):
        say(f"the last values are of {calendar.in_words(now.at, 's')}: does station process run?")
    rows = [(name, f"{value:.6g}") for name, value in now.values.items()]
    console().print(table("values", (("what", False), ("value", True)), rows))
    say("what goes together is known" if now.learned >= 1 else f"learns what goes together: {100 * now.learned:.0f} %")
    for finding in now.standing:
        say(f"{calendar.in_words(finding.wall_time, 'min')} {one_line(finding.kind)}: {one_line(finding.detail)}")
    return EXIT_STANDING if now.standing else 0


def learn(options: argparse.Namespace) -> int:
    """Enters it for the process that reads, which takes it up at its next start."""
    station = load_station(options.config)
    at = time.time()
    with closing(Writer(station.work_dir / PROCESS_FILE)) as writer:
        writer.found(Finding(at, LEARN_AGAIN, True, options.why))
    if options.json:
        print_json({"learning_since": calendar_of(station.settings.station).iso(at)})
    else:
        say("learns anew from now on; restart the process that reads: systemctl restart station-process")
    return 0


def show_rejects(options: argparse.Namespace) -> int:
    """The value with the largest difference first."""
    station = load_station(options.config)
    calendar, now = calendar_of(station.settings.station), time.time()
    since = calendar.moment(options.since, now)
    until = now if options.until is None else calendar.moment(options.until, now, is_end=True)
    with closing(open_reader(station.records_dir)) as records:
        found = rejects(records, station.work_dir, station.settings.process, since, until)
    if options.json:
        names = ("name", "parts", "low", "high", "rejected_low", "rejected_high", "deviations")
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return 0
    columns = (
        ("value", False),
        ("parts", True),
        ("low, rejected", False),
        ("high, rejected", False),
        ("deviations", True),
    )
    rows = [
        (one.name, one.parts, f"<= {one.low:.4g}: {100 * one.rejected_low:.1f} %",
         f">= {one.high:.4g}: {100 * one.rejected_high:.1f} %", f"{one.deviations:+.1f}")
        for one in found
    ]  # fmt: skip
    console().print(table("rejected where a value was low and where it was high", columns, rows))
    if not found:
        say("no value was read while at least 100 parts came, or none moved")
    return 0


def _as_json(now: Now, station: LoadedConfiguration) -> dict[str, Any]:
    calendar = calendar_of(station.settings.station)

    def shown(one: Finding) -> dict[str, Any]:
        return {"time": calendar.iso(one.wall_time), "kind": one.kind, "begins": one.begins, "detail": one.detail}

    return {
        "read": None if now.at is None else calendar.iso(now.at),
        "values": now.values,
        "learned": now.learned,
        "standing": [shown(one) for one in now.standing],
        "findings": [shown(one) for one in now.findings],
    }
