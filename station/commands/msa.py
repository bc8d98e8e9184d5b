"""`station msa`: attribute agreement studies: plan, run, enter, report, list."""

from __future__ import annotations

import argparse
import csv
import getpass
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from station.commands.options import BadInput, add_json_option, ask, print_json
from station.commands.records.language import add_language_option, language_of
from station.commands.records.selecting import Place, add_place_options, place_of, reporting, station_of
from station.configuration.load import ConfigurationError, load_station
from station.control import ControlError
from station.msa.analysis import Analysis, percent
from station.msa.document import AGREEMENT, DISAGREED, FIGURES, agreement, disagreements, figures, verdict
from station.msa.labelled import labelled_parts
from station.msa.making import WRITERS, Found, Source, as_file, find
from station.msa.storage import Rating, plan, rate, ratings_of, studies, studies_beside, study_named
from station.msa.study import STATION, TRIALS, Study, StudyError, parts_from
from station.records.images import write_atomic
from station.reports.production.rows import MissingPackage
from station.reports.seen import Eyes
from station.reports.tables import table
from station.terminal import console, one_line, say

EXIT_NOT_ACCEPTABLE = 1
_ACCEPT, _REJECT = ("accept", "good", "a", "g", "1"), ("reject", "defective", "r", "d", "0")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `msa` with its actions."""
    parser = commands.add_parser("msa", help="attribute agreement studies: plan, run, enter, report, list")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text)
        if name != "list":
            added.add_argument("study", metavar="STUDY", help="the name of the study")
        add_place_options(added)
        added.set_defaults(run=reporting(_reporting_studies(run)))
        return added

    planning = action("plan", plan_study, "make a study of parts that are known to be good or defective")
    known = planning.add_mutually_exclusive_group(required=True)
    known.add_argument("--parts", type=Path, metavar="FILE", help="lines of name,good or name,defective[,borderline]")
    known.add_argument("--labelled", type=int, metavar="N", help="N parts on record that people have labelled")
    planning.add_argument("--trials", type=int, default=TRIALS, metavar="N", help="default: %(default)s")
    planning.add_argument("--appraiser", action="append", default=[], metavar="NAME", help="who takes part; repeat it")
    planning.add_argument("--recipe", default="", metavar="NAME", help="the product; default: the active one")
    planning.add_argument("--seed", type=int, metavar="N", help="of the blind orders; default: drawn")
    planning.add_argument("--who", metavar="NAME", help="who plans it; default: the user of this computer")
    add_json_option(planning, "study, parts, defective, trials, seed, advice")
    running = action(
        "run", run_trial, "start a trial of the station: it says which part to put on, as in a challenge test"
    )
    add_json_option(running, "study, trial, trials, parts, next_part")
    entering = action("enter", enter, "take down what a person says of each part, in a blind order")
    entering.add_argument("--appraiser", required=True, metavar="NAME", help="the person, or another station")
    entering.add_argument("--trial", type=int, metavar="N", help="default: the first that is not whole")
    entering.add_argument(
        "--file", type=Path, metavar="CSV", help="lines of trial,part,accept or reject, instead of asking"
    )
    add_json_option(entering, "study, appraiser, kept")
    report = action("report", report_study, "the figures; exit code 1 when a grade is not acceptable")
    report.add_argument("--output", type=Path, metavar="FILE", help=f"write it; the name ends in {', '.join(WRITERS)}")
    add_language_option(report)
    add_json_option(report, "study, grade, verdict, figures, agreement, disagreements, notes")
    listing = action("list", list_studies, "all studies and how far they are")
    add_json_option(listing, "a list of study, planned, by, parts, defective, trials, said")


def plan_study(options: argparse.Namespace) -> int:
    """Keeps the study, and prints where it falls short of AIAG."""
    place = place_of(options)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    recipe = options.recipe or _active_recipe(options)
    if options.parts is not None:
        try:
            parts = parts_from(options.parts.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as problem:
            raise BadInput(f'--parts "{options.parts}" cannot be read: {problem}') from problem
    else:
        parts = labelled_parts(place.records, place.labels, options.labelled, seed)
    who = options.who or getpass.getuser()
    study = Study(options.study, parts, options.trials, seed, tuple(options.appraiser), recipe, time.time(), who)
    plan(studies_beside(place.records), study)
    if options.json:
        counts = {"parts": len(parts), "defective": study.defective, "trials": study.trials}
        print_json({"study": study.name, **counts, "seed": seed, "advice": study.advice})
        return 0
    say(f"study {study.name}: {len(parts)} parts, {study.defective} defective, {study.trials} trials, seed {seed}")
    for advice in study.advice:
        say(f"note: {advice}")
    say(f"next: station msa run {study.name}, station msa enter {study.name} --appraiser NAME, or the page Agreement")
    return 0


def run_trial(options: argparse.Namespace) -> int:
    """Has the station begin its next trial."""
    found = find(_source(options), options.study)
    study, done = found.study, len(found.trials.runs)
    if done >= study.trials:
        raise StudyError(f"the station has shown all {study.trials} trials of {study.name}; plan another study")
    order = study.order(STATION, done + 1 + found.trials.given_up)
    asked = {"command": "challenge", "action": "study", "study": study.name}
    ask(options.config, {**asked, "parts": [[part.name, part.good] for part in order]})
    if options.json:
        state = {"study": study.name, "trial": done + 1, "trials": study.trials, "parts": len(order)}
        print_json({**state, "next_part": order[0].name})
        return 0
    say(f"trial {done + 1} of {study.trials}: put on {order[0].name}, then: station challenge confirm")
    say(f"station challenge status says which part comes next; all {len(order)} parts come in a blind order")
    return 0


def enter(options: argparse.Namespace) -> int:
    """Takes down what somebody says, from a file at once or part by part; what is given stays, whoever stops."""
    place = place_of(options)
    file = studies_beside(place.records)
    study = study_named(file, options.study)
    who = getpass.getuser()
    if options.file is not None:
        ratings = _read(options.file, options.appraiser)
        rate(file, study, ratings, who)
        return _kept(options, study, len(ratings))
    trial, left = _left(study, ratings_of(file, study.name), options.appraiser, options.trial)
    if not left:
        raise StudyError(f"{options.appraiser} has rated every part of trial {trial} already")
    if not sys.stdin.isatty():
        raise BadInput("enter asks at a terminal; without one give --file CSV")
    say(f"trial {trial}, {len(left)} parts; a: accept, r: reject, empty: stop for now", error=options.json)
    kept = 0
    for part in left:
        accepted = _asked(f"{kept + 1} of {len(left)}, part {one_line(part)}: ")
        if accepted is None:
            break
        rate(file, study, [Rating(options.appraiser, trial, part, accepted)], who)
        kept += 1
    return _kept(options, study, kept)


def report_study(options: argparse.Namespace) -> int:
    """Shows the study, or writes it."""
    source = _source(options)
    found = find(source, options.study)
    if options.output is not None:
        try:
            write_atomic(options.output, as_file(source, found, options.output.suffix, language_of(options)))
        except (ValueError, OSError, MissingPackage) as problem:
            raise BadInput(f'--output "{options.output}": {problem}') from problem
        say(f"{options.output}: {verdict(found.analysis)}")
    elif options.json:
        print_json(_as_json(found.analysis))
    else:
        _show(found)
    grade = found.analysis.grade
    return 0 if grade is not None and grade.value == "acceptable" else EXIT_NOT_ACCEPTABLE


def list_studies(options: argparse.Namespace) -> int:
    """All studies of this station."""
    place, rows = place_of(options), []
    source = _source(options)
    for study in studies(source.file):
        found = find(source, study.name)
        said = {each.name: each.trials for each in found.analysis.appraisers}
        rows.append((study, said))
    if options.json:
        print_json(
            [
                {
                    "study": study.name,
                    "planned": place.calendar.iso(study.made_at),
                    "by": study.made_by,
                    "parts": len(study.parts),
                    "defective": study.defective,
                    "trials": study.trials,
                    "said": said,
                }
                for study, said in rows
            ]
        )
        return 0
    columns = (
        ("study", False),
        ("planned", False),
        ("by", False),
        ("parts", True),
        ("defective", True),
        ("said", False),
    )
    shown = [
        (
            study.name,
            place.calendar.clock(study.made_at, "min"),
            study.made_by,
            len(study.parts),
            study.defective,
            ", ".join(f"{name} {trials} of {study.trials}" for name, trials in said.items()) or "nobody yet",
        )
        for study, said in rows
    ]
    console().print(table("agreement studies, newest first", columns, shown))
    return 0


def _show(found: Found) -> None:
    analysis, trials = found.analysis, found.trials
    out = console()
    say(verdict(analysis))
    out.print(table("figures", [(name, False) for name in FIGURES], figures(analysis)))
    out.print(table("agreement beyond chance", [(name, False) for name in AGREEMENT], agreement(analysis)))
    if rows := disagreements(analysis):
        out.print(table("parts they disagree on", [(name, False) for name in DISAGREED], rows))
    if trials.not_inspected or trials.given_up:
        say(f"station: {trials.not_inspected} parts not inspected and shown again, {trials.given_up} trials given up")
    if trials.runs:
        shown = len(found.study.parts) * len(trials.runs)
        say(f"station: {trials.in_review} of {shown} decisions were REVIEW ({percent(trials.in_review / shown)})")
    for note in analysis.notes:
        say(f"note: {note}")


def _as_json(found: Analysis) -> dict[str, Any]:
    return {
        "study": found.study.name,
        "grade": None if found.grade is None else found.grade.value,
        "verdict": verdict(found),
        "figures": [dict(zip(FIGURES, row, strict=True)) for row in figures(found)],
        "agreement": [dict(zip(AGREEMENT, row, strict=True)) for row in agreement(found)],
        "disagreements": [dict(zip(DISAGREED, row, strict=True)) for row in disagreements(found)],
        "notes": found.notes,
    }


def _source(options: argparse.Namespace) -> Source:
    place: Place = place_of(options)
    station = station_of(options)
    name = "" if station is None else station.settings.station.name
    return Source(place.records, Eyes(place.records, station), place.calendar, name)


def _active_recipe(options: argparse.Namespace) -> str:
    try:
        return load_station(options.config).settings.recipe.name
    except ConfigurationError:
        return ""


def _kept(options: argparse.Namespace, study: Study, count: int) -> int:
    if options.json:
        print_json({"study": study.name, "appraiser": options.appraiser, "kept": count})
    else:
        say(f"{count} ratings of {one_line(options.appraiser)}")
    return 0


def _left(study: Study, said: list[Rating], appraiser: str, trial: int | None) -> tuple[int, list[str]]:
    """(the trial, its parts without a rating in their blind order)."""
    for number in [trial] if trial is not None else range(1, study.trials + 1):
        done = {one.part for one in said if (one.appraiser, one.trial) == (appraiser, number)}
        left = [part.name for part in study.order(appraiser, number) if part.name not in done]
        if left or trial is not None:
            return number, left
    return study.trials, []


def _read(path: Path, appraiser: str) -> list[Rating]:
    """Raises BadInput: a line is no rating."""
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise BadInput(f'--file "{path}" cannot be read: {problem}') from problem
    found = []
    for number, words in enumerate(lines, start=1):
        if not words or (number == 1 and words[0].strip().lower() == "trial"):
            continue
        accepted = _word(words[2]) if len(words) == 3 else None
        if accepted is None or not words[0].strip().isdecimal():
            raise BadInput(f'--file, line {number}: "{",".join(words):.80}" is not trial,part,accept or reject')
        found.append(Rating(appraiser, int(words[0]), words[1].strip(), accepted))
    return found


def _word(text: str) -> bool | None:
    word = text.strip().lower()
    return True if word in _ACCEPT else False if word in _REJECT else None


def _asked(prompt: str) -> bool | None:
    """What the person types; None: enough for now."""
    while True:
        try:
            text = input(prompt)
        except EOFError:
            return None
        if not text.strip():
            return None
        if (word := _word(text)) is not None:
            return word
        say("a: accept, r: reject, empty: stop for now")


def _reporting_studies(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A study that cannot be used, or a station that refuses, is bad input with its sentence."""

    def run_it(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except (StudyError, ControlError) as problem:
            raise BadInput(str(problem)) from problem

    return run_it
