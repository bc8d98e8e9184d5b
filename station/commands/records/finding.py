"""Which part a person means: by the PLC's id, by the station's own number, or the last one.

A PLC that restarts its counter gives an id again. Then `--at` and `--session` say which part is meant, and whoever does
not say it is shown those that there are.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from station.commands.options import BadInput, complain, print_json
from station.records.parts import PartRow, parts
from station.reports.shifts import Calendar
from station.reports.trace import candidates
from station.terminal import one_line, say

LAST = "last"
MOST_NAMED = 20
"""A line whose PLC has no ids gives all parts the id 0: of millions the newest are named."""


@dataclass(frozen=True, slots=True)
class Found:
    """The newest part that has the number, and those that have it, too."""

    part: PartRow
    others: tuple[PartRow, ...] = ()
    """Newest first."""
    has_more: bool = False
    """Older ones, which are not among `others`."""

    @property
    def all(self) -> tuple[PartRow, ...]:
        return (self.part, *self.others)


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """PART with `--acquisition`, `--session` and `--at`."""
    parser.add_argument("part", metavar="PART", help="the PLC's id (the newest part that has it), or: last")
    parser.add_argument("--acquisition", action="store_true", help="PART is the station's AcquisitionId")
    parser.add_argument("--session", metavar="S", help="only this run of the station")
    parser.add_argument(
        "--at", metavar="TIME", help='triggered then: as 06:00, 06:00:12, 2026-11-29, "2026-11-29 06:00"'
    )


def find(connection: sqlite3.Connection, options: argparse.Namespace, calendar: Calendar) -> Found:
    """Raises BadInput: there is no such part, or PART is no number. Raises TimeError."""
    between = None if options.at is None else calendar.span(options.at, time.time())
    where = "" if options.session is None else f" in session {one_line(options.session)}"
    if between is not None:
        where += f" at {one_line(options.at)}"
    if options.part == LAST:
        newest = list(parts(connection, session=options.session, between=between, newest=1))
        if not newest:
            raise BadInput(f"no part is on record{where}")
        return Found(newest[0])
    if not (options.part.isascii() and options.part.isdecimal() and len(options.part) <= 18):
        raise BadInput(f'PART "{one_line(options.part)}" is neither a whole number nor "{LAST}"')
    which: dict[str, Any] = {"by_acquisition": options.acquisition, "newest": MOST_NAMED + 1}
    rows = candidates(connection, int(options.part), session=options.session, between=between, **which)
    if not rows:
        raise BadInput(_not_found(connection, options, where, calendar))
    newest_first = rows[::-1]
    return Found(newest_first[0], tuple(newest_first[1:MOST_NAMED]), has_more=len(rows) > MOST_NAMED)


def find_one(
    connection: sqlite3.Connection, options: argparse.Namespace, calendar: Calendar, done: str
) -> PartRow | None:
    """The part that is meant, where the wrong one would do harm. Of several parts that have the number a person at a
    terminal chooses; else it is None, and they are offered (with `--json` as JSON).

    `done`: what would be done to it, as "labelled". Raises BadInput, TimeError; also for "last".
    """
    if options.part == LAST:
        raise BadInput(f'name the part by its number, not "{LAST}": the next part may be there already')
    found = find(connection, options, calendar)
    return _chosen(found, options, calendar, done) if found.others else found.part


def _not_found(connection: sqlite3.Connection, options: argparse.Namespace, where: str, calendar: Calendar) -> str:
    what = "AcquisitionId" if options.acquisition else "part id"
    hint = "" if options.acquisition else "; --acquisition takes the station's own number"
    missing = f"no part with {what} {options.part}{where} is on record{hint}"
    which: dict[str, Any] = {"by_acquisition": options.acquisition, "newest": MOST_NAMED}
    elsewhere = candidates(connection, int(options.part), session=None, **which) if where else []
    return "\n".join([missing, *(["there is:"] if elsewhere else []), *in_words(elsewhere[::-1], calendar)])


def in_words(rows: Sequence[PartRow], calendar: Calendar) -> list[str]:
    """A line for each of these parts, with the options that name it alone."""
    return [
        f"  {row.verdict:6}  --at {calendar.iso(row.wall_time)} --session {one_line(row.session)}"
        + ("" if _is_alone(row, rows, calendar) else f" {row.acquisition_id} --acquisition")
        for row in rows
    ]


def others_in_words(found: Found, calendar: Calendar) -> list[str]:
    """What was not shown, for people; empty when the number stands for one part."""
    if not found.others:
        return []
    more = ["  and older ones: --session, --at"] if found.has_more else []
    return ["the same number, older:", *in_words(found.others, calendar), *more]


def as_json(rows: Sequence[PartRow], calendar: Calendar) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [
        {
            "part_id": row.part_id,
            "session": row.session,
            "acquisition_id": row.acquisition_id,
            "time": calendar.iso(row.wall_time),
            "verdict": row.verdict,
        }
        for row in rows
    ]


def _is_alone(row: PartRow, rows: Sequence[PartRow], calendar: Calendar) -> bool:
    """Session and ms name it: no other of these parts has both."""
    same = [one for one in rows if one.session == row.session]
    return sum(calendar.iso(one.wall_time) == calendar.iso(row.wall_time) for one in same) == 1


def _chosen(found: Found, options: argparse.Namespace, calendar: Calendar, done: str) -> PartRow | None:
    """Which of several parts is meant: asked at a terminal, else offered with the options that name each of them."""
    kind = "AcquisitionId" if options.acquisition else "part id"
    several = f"{kind} {options.part} stands for more than one part"
    if options.json:
        print_json({"problem": several, "candidates": as_json(found.all, calendar)})
        return None
    lines = in_words(found.all, calendar)
    older = "\n  and older ones: name their time or session" if found.has_more else ""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        complain(f"{several}; nothing was {done}. Name one by its time or its session:\n" + "\n".join(lines) + older)
        return None
    say(f"{several}:")
    for number, line in enumerate(lines, start=1):
        say(f"{number:3} {line}")
    say(f"which one? 1 to {len(lines)}; nothing: none of them{older}")
    reply = sys.stdin.readline().strip()
    if reply.isascii() and reply.isdecimal() and 1 <= int(reply) <= len(lines):
        return found.all[int(reply) - 1]
    complain(f"nothing was {done}")
    return None
