"""`station challenge`: the test with master parts: start, confirm, status, history, reset."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from rich.table import Table

from engines.errors import EngineError
from station.commands.daemon import challenge_text
from station.commands.engines.engine import store_of
from station.commands.options import add_config_option, add_json_option, ask, complain, print_json, reporting
from station.commands.progress import add_progress_option, end, signs_of
from station.commands.records.selecting import place_of
from station.configuration.load import ConfigurationError, load
from station.control import ControlError
from station.jobs.beside.virtual_challenge import as_run, challenge_virtually, in_words
from station.jobs.process import JobError
from station.records.challenge_runs import RunVerdict
from station.records.challenges import runs
from station.records.engines.virtual import keep_run
from station.records.schema import RecordingError, open_reader
from station.reports.as_data import run_as_data
from station.terminal import coloured, console, joined

EXIT_NOT_PASSED = 1
_STATE_KEYS = "state, step, next_part, awaits_confirmation, overdue, last_test, last_verdict, last_detail, study"
_HISTORY_KEYS = (
    "a list of test, recipe, study, started_by, start, end, verdict, detail, escape, steps, reset_by, reset, reset_why"
)
_COLOURS = {RunVerdict.PASSED: "green", RunVerdict.FAILED: "red"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `challenge` with its actions."""
    parser = commands.add_parser(
        "challenge", help="the test with master parts: start, confirm, status, history, reset, virtual"
    )
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
        added = actions.add_parser(name, help=text)
        add_config_option(added)
        add_json_option(added, _HISTORY_KEYS if name == "history" else _STATE_KEYS)
        added.set_defaults(run=reporting(run, ConfigurationError, ControlError, RecordingError))
        return added

    testing = actions.add_parser(
        "virtual", help="synthetic defects in pictures of recent good parts: found as when the engine was taught?"
    )
    add_config_option(testing)
    add_json_option(testing, "engine_id, recipe, pictures, promised, shown, missed, worse, kinds")
    add_progress_option(testing)
    testing.add_argument("--recipe", metavar="NAME", help="of this recipe; default: the one that is selected")
    testing.add_argument("--pictures", type=int, default=20, metavar="N", help="of good parts; default: %(default)s")
    testing.add_argument("--version", metavar="VERSION", help="of this version of the store; default: the active one")
    testing.set_defaults(run=virtual)
    action("start", start, "begin a test; the station then says which part to put on")
    action("confirm", confirm, "the master part that is asked for is put on")
    action("status", status, "how it stands; exit code 1 when a test is due, runs or failed")
    listing = action("history", history, "all tests with the verdict of every part")
    listing.set_defaults(records=None)
    listing.add_argument("--newest", type=int, default=20, metavar="N", help="default: %(default)s")
    resetting = action("reset", reset, "maintenance: end a failed test, or one that is under way")
    resetting.add_argument("--who", required=True, metavar="NAME", help="the person who has looked into it")
    resetting.add_argument("--why", default="", metavar="TEXT", help="what was found and done")


def start(options: argparse.Namespace) -> int:
    """Has the station begin, and shows which part to put on."""
    ask(options.config, {"command": "challenge", "action": "start"})
    return _show(options)


def virtual(options: argparse.Namespace) -> int:
    """Challenges the active engine, or another version, beside the line; exit code 1: it finds fewer than as taught."""
    if not 1 <= options.pictures <= 1000:
        return complain(f"--pictures {options.pictures}: 1 to 1000")
    try:
        configuration = load(options.config, options.recipe)
        signs = signs_of(options)
        version = None if options.version is None else store_of(configuration).find(options.version)
        is_active = version is None or version == store_of(configuration).active()
        result = challenge_virtually(
            configuration,
            engine=None if version is None else version.path,
            pictures=options.pictures,
            seed=int(time.time()),
            on_progress=lambda progress: signs(progress.step, progress.done, progress.total),
        )
        if result.defects and os.access(configuration.work_dir, os.W_OK):
            keep_run(configuration.work_dir, as_run(result, getpass.getuser(), of_candidate=not is_active))
    except (ConfigurationError, EngineError, JobError, RecordingError, OSError) as problem:
        return complain(problem)
    kinds = result.by_kind()
    found = {
        "engine_id": result.engine_id, "recipe": result.recipe, "pictures": result.pictures,
        "promised": result.promised, "shown": len(result.defects), "missed": result.missed, "worse": result.is_worse,
        "kinds": [{"kind": kind, "shown": shown, "found": seen} for kind, shown, seen in kinds],
    }  # fmt: skip
    if options.json:
        print_json(found)
    elif options.progress is None:
        table = Table("defect", "shown", "found", title="; ".join(in_words(result)))
        for kind, shown, seen in kinds:
            table.add_row(kind, str(shown), str(seen))
        console().print(table)
    end(options, **found)
    return EXIT_NOT_PASSED if result.is_worse else 0


def confirm(options: argparse.Namespace) -> int:
    """Reports to the station that the master part that it asks for lies next."""
    ask(options.config, {"command": "challenge", "action": "confirm"})
    if options.json:
        _show(options)
        return 0
    console().print("confirmed: the next part that is triggered is this master part")
    return 0


def status(options: argparse.Namespace) -> int:
    """The state of the test, as text or JSON."""
    return _show(options)


def reset(options: argparse.Namespace) -> int:
    """Reports to the station who has looked into the failure."""
    ask(options.config, {"command": "challenge", "action": "reset", "who": options.who, "why": options.why})
    _show(options)
    return 0


def history(options: argparse.Namespace) -> int:
    """The tests in the records."""
    place = place_of(options)
    calendar = place.calendar
    with closing(open_reader(place.records)) as connection:
        found = runs(connection, options.newest)
    if options.json:
        print_json([run_as_data(run, recipe, calendar) for run, recipe in found])
        return 0
    table = Table("test", "when", "recipe", "by", "verdict", "parts", "reset", title="challenge tests, newest last")
    for run, recipe in found:
        verdict = coloured(run.verdict.value, _COLOURS.get(run.verdict, "yellow"))
        if run.study:
            verdict = joined(f"a trial of study {run.study}, ", verdict)
        if run.detail:
            verdict = joined(verdict, f"\n{run.detail}")
        steps = "\n".join(f"{step.part}: {step.verdict.name}, {step.outcome.value}" for step in run.steps)
        if run.study:
            steps = f"{run.done} of {len(run.parts)}"
        seen_to = (
            f"{run.reset_by} {calendar.clock(run.reset_s, 'min')}\n{run.reset_why}" if run.reset_s is not None else ""
        )
        table.add_row(
            str(run.number), calendar.clock(run.start_s, "min"), recipe, run.started_by, verdict, steps, seen_to
        )
    console().print(table)
    return 0


def _show(options: argparse.Namespace) -> int:
    challenge = ask(options.config, {"command": "status"})["status"]["challenge"]
    if options.json:
        print_json(challenge)
    else:
        none = "no challenge test is configured, or none was ever made"
        console().print(none if challenge["state"] == "none" else challenge_text(challenge))
    return 0 if challenge["state"] in ("none", "passed") or options.action == "start" else EXIT_NOT_PASSED
