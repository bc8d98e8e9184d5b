"""Which part a person means: by the PLC's id, by the station's own number, or the last one."""

from __future__ import annotations

import argparse
import sqlite3
from dataclasses import dataclass

from station.commands.options import BadInput
from station.records.parts import PartRow, parts
from station.reports.trace import candidates
from station.terminal import one_line

LAST = "last"
_OTHERS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Found:
    """The newest part that has the number, and in words which others have it."""

    part: PartRow
    others: tuple[str, ...] = ()


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """PART with `--acquisition` and `--session`."""
    parser.add_argument("part", metavar="PART", help="the PLC's id (the newest part that has it), or: last")
    parser.add_argument("--acquisition", action="store_true", help="PART is the station's AcquisitionId")
    parser.add_argument("--session", metavar="S", help="only this run of the station")


def find(connection: sqlite3.Connection, options: argparse.Namespace) -> Found:
    """Raises BadInput: there is no such part, or PART is no number."""
    where = "" if options.session is None else f" in session {one_line(options.session)}"
    if options.part == LAST:
        newest = list(parts(connection, session=options.session, newest=1))
        if not newest:
            raise BadInput(f"no part is on record{where}")
        return Found(newest[0])
    if not (options.part.isascii() and options.part.isdecimal() and len(options.part) <= 18):
        raise BadInput(f'PART "{one_line(options.part)}" is neither a whole number nor "{LAST}"')
    rows = candidates(connection, int(options.part), session=options.session, by_acquisition=options.acquisition)
    if not rows:
        what = "AcquisitionId" if options.acquisition else "part id"
        hint = "" if options.acquisition else "; --acquisition takes the station's own number"
        raise BadInput(f"no part with {what} {options.part}{where} is on record{hint}")
    return Found(rows[-1], _others(rows[:-1]))


def _others(rows: list[PartRow]) -> tuple[str, ...]:
    """Those that have the same number, newest first, as they can be asked for."""
    if not rows:
        return ()
    named = [
        f"  {row.acquisition_id} --acquisition --session {one_line(row.session)}: {row.verdict}"
        for row in reversed(rows)
    ]
    more = [f"  and {len(named) - _OTHERS_NAMED} older ones"] if len(named) > _OTHERS_NAMED else []
    return (f"the same number, {len(rows)} older:", *named[:_OTHERS_NAMED], *more)
