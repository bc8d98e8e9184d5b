"""Joins what the station recorded with what the line saw, part by part."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from station.records.images import MapScale, read_map, write_image
from station.records.parts import PartRow, parts
from station.results import Verdict
from station.simulation.accounts.contact_sheet import Cell, draw
from station.simulation.accounts.report import Outcome
from station.simulation.parts.pictures import read_image
from station.simulation.parts.schedule import ScheduledPart
from station.simulation.plant.belt import Bin
from station.simulation.run.processes import LineState

LEGEND = "Green: defective, rightly. Red: good, wrongly. Right picture: heat map and measured regions."


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


def write_contact_sheet(connection: sqlite3.Connection, outcomes: Sequence[Outcome], records: Path, file: Path) -> None:
    """Draws the parts that were pushed off and whose image was stored; those wrongly first, a long sheet is cut."""
    rows = _by_part(connection)
    rejected = sorted(
        (outcome for outcome in outcomes if outcome.end is Bin.REJECT),
        key=lambda outcome: (outcome.defective, outcome.part_id),
    )
    cells = [
        cell
        for outcome in rejected
        for row in rows.get(outcome.part_id, [])[:1]
        if (cell := _cell(outcome, row, records)) is not None
    ]
    write_image(file, draw(cells, f"{len(rejected)} of {len(outcomes)} parts were pushed off.  {LEGEND}"))


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


def _cell(outcome: Outcome, row: PartRow, records: Path) -> Cell | None:
    """The worst view of a part, if its picture was stored."""
    view = row.worst_view
    if view is None or view.image_path is None:
        return None
    scores = "not scored" if view.score is None else f"score {view.score:.3f}, limit {view.reject_score or 0:.3f}"
    seen_by = f"camera {view.camera}, " if len(row.views) > 1 else ""
    anomaly_map = None
    if view.map_path is not None and view.map_low is not None and view.map_high is not None:
        anomaly_map = read_map(records / view.map_path, MapScale(view.map_low, view.map_high))
    return Cell(
        image=read_image(records / view.image_path),
        anomaly_map=anomaly_map,
        regions=view.region_list,
        title=f"part {outcome.part_id}: {outcome.truth}",
        lines=(f"{row.verdict}, {seen_by}{scores}", outcome.reason or outcome.why_rejected),
        justified=outcome.defective,
    )
