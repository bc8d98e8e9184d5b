"""What these commands share: where the records are, which parts are meant, and how bad input is reported."""

from __future__ import annotations

import argparse
import difflib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from station.codes import ReasonCode
from station.commands.options import BadInput, add_config_option, complain
from station.configuration.file import station_section_of, work_dir_of
from station.configuration.load import RECORDS, ConfigurationError, LoadedConfiguration, load_station
from station.configuration.model import StationSection
from station.control import ControlError
from station.labels.schema import LabelError, labels_beside
from station.records.batches.rows import BatchRow, batch_named, newest_batches
from station.records.schema import RecordingError
from station.records.selection import Selection
from station.reports.shifts import Calendar, TimeError, calendar_of
from station.results import Verdict
from station.terminal import one_line, say

NAMED = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where the records are, and the clock beside the station that wrote them."""

    records: Path
    """The folder."""
    calendar: Calendar
    pages: Path | None = None
    """The folder of the pages, who count for others, too; None: not known, or those of other records."""

    @property
    def labels(self) -> Path:
        """What people said of the parts, in the work folder."""
        return labels_beside(self.records)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--records`."""
    add_config_option(parser)
    parser.add_argument("--records", type=Path, metavar="PATH", help="records.db or its folder; default: of --config")


def add_selection_options(parser: argparse.ArgumentParser, *, only_time: bool = False) -> None:
    """Options that choose parts. `only_time`: by nothing else."""
    parser.add_argument("--since", metavar="TIME", help='as 06:00, 2026-11-29, "2026-11-29 06:00", 8h or 7d ago')
    parser.add_argument("--until", metavar="TIME", help="before this time; a day: to its end")
    parser.add_argument("--shift", metavar="NAME", help="now, last, a name (the newest), or NAME@2026-11-29")
    if only_time:
        parser.set_defaults(verdict=None, recipe=None, reason=None)
        return
    parser.add_argument("--verdict", metavar="V[,V]", help="pass, fail, review, error; several with commas")
    parser.add_argument("--recipe", metavar="NAME")
    parser.add_argument("--batch", metavar="NAME", help="now (the open one), last (the last that ended), or a name")
    parser.add_argument("--reason", metavar="CODE", help="number or name, as 10 or score_above_limit")


def place_of(options: argparse.Namespace) -> Place:
    """Raises ConfigurationError. `--records` alone needs no configuration: the clock is then this computer's.

    A mistake in the configuration takes no command away that reads the records: it is said, and they are where
    [station] says.
    """
    if options.records is not None and not options.config.exists():
        return Place(_folder(options.records), Calendar())
    try:
        station = load_station(options.config)
    except ConfigurationError as problem:
        calendar = _clock_of(options.config)
        records = options.records or work_dir_of(options.config) / RECORDS
        say(f"station: {problem}\nstation: shown without what it sets", error=True)
        return Place(_folder(records), calendar)
    records = _folder(options.records or station.records_dir)
    pages = station.accounts_dir if records.resolve() == station.records_dir.resolve() else None
    return Place(records, calendar_of(station.settings.station), pages)


def station_of(options: argparse.Namespace) -> LoadedConfiguration | None:
    """What the configuration sets, for those who can do without; None: there is none, or it has a mistake."""
    try:
        return load_station(options.config) if options.config.exists() else None
    except ConfigurationError:
        return None


def _clock_of(config: Path) -> Calendar:
    """Time zone and shifts of a configuration with a mistake elsewhere; else the clock of this computer."""
    try:
        section = station_section_of(config)
        kept = {name: section[name] for name in ("time_zone", "shifts") if name in section}
        return calendar_of(StationSection.model_validate(kept))
    except (ConfigurationError, TypeError, ValueError):
        return Calendar()


def selection_of(options: argparse.Namespace, calendar: Calendar) -> Selection:
    """Raises BadInput, TimeError."""
    now = time.time()
    since = None if options.since is None else calendar.moment(options.since, now)
    until = None if options.until is None else calendar.moment(options.until, now, is_end=True)
    if options.shift is not None:
        shift = calendar.find(options.shift, now)
        since = shift.start if since is None else max(since, shift.start)
        until = shift.end if until is None else min(until, shift.end)
    if since is not None and until is not None and since >= until:
        begin, end = (calendar.in_words(moment, "min") for moment in (since, until))
        raise BadInput(f"from {begin} to {end} there is no time: the begin must be before the end")
    return Selection(since, until, _verdicts(options.verdict), options.recipe, _reason(options.reason))


def in_batch(connection: sqlite3.Connection, options: argparse.Namespace, selection: Selection) -> Selection:
    """The selection within the batch that `--batch` names. Raises BadInput: there is no such batch."""
    return selection if options.batch is None else replace(selection, batch=found_batch(connection, options).number)


def found_batch(connection: sqlite3.Connection, options: argparse.Namespace) -> BatchRow:
    """The batch that `--batch` names. Raises BadInput: there is none."""
    found = batch_named(connection, options.batch)
    if found is None:
        known = ", ".join(one_line(row.name) for row in newest_batches(connection, NAMED)) or "none"
        raise BadInput(f'--batch: no batch "{one_line(options.batch)}" is on record; the newest: {known}')
    return found


def reporting(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with exit code 2 and a sentence for what a person can set right."""

    def run_reporting(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except (BadInput, TimeError, ConfigurationError, RecordingError, LabelError, ControlError) as problem:
            return complain(problem)
        except sqlite3.Error as problem:
            return complain(f"the records cannot be read: {problem}")

    return run_reporting


def _folder(records: Path) -> Path:
    return records.parent if records.is_file() else records


def _verdicts(text: str | None) -> tuple[Verdict, ...]:
    if text is None:
        return ()
    words = [word.strip().upper() for word in text.split(",")]
    unknown = [word for word in words if word not in Verdict.__members__]
    if unknown:
        raise BadInput(f'--verdict: "{unknown[0]}" is no verdict; allowed: pass, fail, review, error')
    return tuple(Verdict[word] for word in words)


def _reason(text: str | None) -> ReasonCode | None:
    if text is None:
        return None
    name = text.strip().upper().replace("-", "_").replace(" ", "_")
    if name.isdecimal() and int(name) in ReasonCode._value2member_map_:
        return ReasonCode(int(name))
    if name in ReasonCode.__members__:
        return ReasonCode[name]
    near = difflib.get_close_matches(name, ReasonCode.__members__, n=3, cutoff=0.4)
    hint = f"; near it: {', '.join(f'{ReasonCode[one]:d} {one.lower()}' for one in near)}" if near else ""
    raise BadInput(f'--reason: "{text}" is no reason{hint}; "station counts --by reason" lists those on record')
