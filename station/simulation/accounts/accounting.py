"""Joins what the station recorded with what the line saw, part by part."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from station.configuration.load import LoadedConfiguration
from station.records.parts import PartRow, parts
from station.reports.contact_sheet import MAX_CELLS, PHOTO_PX, Cell, cell_of, draw
from station.reports.seen import Eyes
from station.reports.shifts import calendar_of
from station.results import Verdict
from station.simulation.accounts.report import Outcome
from station.simulation.parts.schedule import ScheduledPart
from station.simulation.plant.belt import Bin
from station.simulation.run.processes import LineState


def as_ledger(counts: Mapping[str, int]) -> dict[str, int]:
    """Counters of the station, or of its records, under the names of the report."""
    return {
        "triggers": counts["triggers"],
        "pass": counts["passed"],
        "fail": counts["failed"],
        "review": counts["review"],
        "error": counts["error"],
        "missed": counts["missed"],
    }


def join(connection: sqlite3.Connection, planned: Sequence[ScheduledPart], line: LineState) -> list[Outcome]:
    """One outcome per planned part, in order of the parts."""
    rows = _by_part(connection)
    return [_outcome(part, rows.get(part.serial, []), line) for part in planned]


def write_contact_sheet(
    connection: sqlite3.Connection, outcomes: Sequence[Outcome], station: LoadedConfiguration, file: Path
) -> None:
    """Draws the parts that were pushed off and whose image was stored; those wrongly first, a long sheet is cut."""
    rows = _by_part(connection)
    rejected = sorted(
        (outcome for outcome in outcomes if outcome.end is Bin.REJECT),
        key=lambda outcome: (outcome.defective, outcome.part_id),
    )
    eyes, calendar = Eyes(station.records_dir, station), calendar_of(station.settings.station)
    drawn = [
        (outcome, row)
        for outcome in rejected
        for row in rows.get(outcome.part_id, [])[:1]
        if row.worst_view is not None and row.worst_view.image_path is not None
    ]
    cells = [
        _cell(outcome, cell_of(eyes.look(row, most_px=PHOTO_PX, worst_only=True), calendar))
        for outcome, row in drawn[:MAX_CELLS]
    ]
    wrongly = sum(not outcome.defective for outcome in rejected)
    heading = f"{len(rejected)} of {len(outcomes)} parts were pushed off, {wrongly} of them good ones"
    if len(drawn) > MAX_CELLS:
        heading += f" (the first {MAX_CELLS} are drawn)"
    draw(cells, heading).save(file)


def _by_part(connection: sqlite3.Connection) -> dict[int, list[PartRow]]:
    rows: dict[int, list[PartRow]] = {}
    for row in parts(connection):
        rows.setdefault(row.part_id, []).append(row)
    return rows


def _outcome(part: ScheduledPart, rows: list[PartRow], line: LineState) -> Outcome:
    end, judgement = line.ends.get(part.serial), line.judgements.get(part.serial)
    row = rows[0] if rows else None
    return Outcome(
        part_id=part.serial,
        truth=part.truth,
        verdicts=tuple(Verdict[row.verdict] for row in rows),
        end=Bin(end["bin"]) if end else None,
        fired_error_counts=end["fired_error_counts"] if end else None,
        why_rejected=judgement["why"] if judgement else "",
        reason="; ".join(map(str, row.reason_list)) if row else "",
        score=row.score if row else None,
        latency_ms=row.signalled_ms if row else None,
        engine_ms=row.engine_ms if row else None,
        recipe=row.recipe if row else "",
        product=part.product if part.recipe else "",
    )


def _cell(outcome: Outcome, cell: Cell) -> Cell:
    """With what the part was, and whether pushing it off was wrong."""
    return replace(
        cell,
        title=f"{cell.title}: {outcome.truth}",
        mark="" if outcome.defective else "wrongly",
        lines=(*cell.lines[:1], outcome.reason or outcome.why_rejected),
    )
