"""The parts that two engines judge differently, side by side as the camera saw them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from station.configuration.load import LoadedConfiguration
from station.records.parts import parts
from station.reports.candidate.shadowed import Differing
from station.reports.contact_sheet import MAX_CELLS, PHOTO_PX, Cell, cell_of, draw
from station.reports.seen import Eyes
from station.reports.shifts import calendar_of


def write_gallery(
    records: sqlite3.Connection, differing: Sequence[Differing], station: LoadedConfiguration, file: Path
) -> int:
    """Draws at most `MAX_CELLS` of them, PNG or SVG by the name of the file; returns how many. Raises OSError."""
    eyes, calendar = Eyes(station.records_dir, station), calendar_of(station.settings.station)
    cells = []
    for one in differing[:MAX_CELLS]:
        session, acquisition_id = one.place
        for row in parts(records, session=session, acquisition_id=acquisition_id):
            cells.append(_cell(one, cell_of(eyes.look(row, most_px=PHOTO_PX, worst_only=True), calendar)))
    draw(cells, f"{len(differing)} parts that the active engine and the shadow judge differently").save(file)
    return len(cells)


def _cell(one: Differing, cell: Cell) -> Cell:
    score = "" if one.row.score is None else f" {one.row.score:.3f}"
    said = f"shadow: {one.row.verdict}{score}{f', {one.row.reasons}' if one.row.reasons else ''}"
    return replace(cell, lines=(cell.lines[0], said), mark=one.label)
