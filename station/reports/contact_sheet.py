"""The contact sheet: parts side by side, each as the camera saw it and under its heat map.

All heat maps have the scale of the score, 0 to 1, so a faint defect looks fainter than a strong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.reports.drawing import BAD, FAINT, MUTED, Drawing, shortened
from station.reports.part_picture import draw_legend, draw_view, score_in_words
from station.reports.seen import Seen, SeenView
from station.reports.shifts import Calendar
from station.terminal import one_line

COLUMNS, MAX_CELLS = 4, 60
PHOTO_PX = 336
"""Longer side of the pictures that a cell needs; twice as many as its units, as a PNG has."""
_PHOTO = (112.0, 168.0)
"""Largest width and height: tall ones keep enough width to see something."""
_GAP, _EDGE, _TOP = 4.0, 10.0, 70.0
_CELL = 2 * _PHOTO[0] + _GAP
_LINE = 10.5


@dataclass(frozen=True, slots=True)
class Cell:
    """One part."""

    verdict: str
    view: SeenView | None
    """What is shown of it; None: nothing was recorded."""
    title: str
    lines: tuple[str, ...]
    mark: str = ""
    """A word on what is wrong about the verdict, where the truth is known."""


def cell_of(seen: Seen, calendar: Calendar) -> Cell:
    """A part by the view that a person looks at first."""
    part = seen.part
    view = seen.views[0] if seen.views else None
    camera = f"camera {view.row.camera}, " if view is not None and len(part.views) > 1 else ""
    when = calendar.clock(part.wall_time)[len("2026-") :]
    return Cell(
        part.verdict,
        view,
        f"part {part.part_id}",
        (
            f"{when}, {camera}{score_in_words(part.score, part.reject_score)}",
            "; ".join(one_line(reason) for reason in part.reason_list),
        ),
    )


def draw(cells: Sequence[Cell], heading: str) -> Drawing:
    """The sheet, as long as it takes: at most `MAX_CELLS` are reasonable."""
    columns = min(COLUMNS, max(3, len(cells)))
    drawing = Drawing(round(columns * (_CELL + 2 * _EDGE)), 0)
    drawing.text((_EDGE, 22), heading, size=14, bold=True)
    draw_legend(drawing, _EDGE, 34, zones=any(cell.view is not None and cell.view.zones for cell in cells))
    y = _TOP
    for start in range(0, len(cells), columns):
        row = cells[start : start + columns]
        height = max(_photo_size(cell)[1] for cell in row)
        for place, cell in enumerate(row):
            _cell(drawing, cell, _EDGE + place * (_CELL + 2 * _EDGE), y, height)
        y += height + _LINE * (2 + max(len(cell.lines) for cell in row)) + 2 * _EDGE
    drawing.height = round(y)
    return drawing


def _cell(drawing: Drawing, cell: Cell, x: float, y: float, height: float) -> None:
    size = _photo_size(cell)
    view = cell.view
    if view is None or view.image is None:
        drawing.rectangle(x, y, _CELL, size[1], FAINT)
        why = "no view was recorded" if view is None else view.why_no_image
        drawing.text((x + _CELL / 2, y + size[1] / 2), shortened(why, 8, _CELL - 8), size=8, anchor="middle")
    else:
        drawing.photo(x, y, *size, view.image)
        right = x + _PHOTO[0] + _GAP
        shown = view.image if view.heated is None else view.heated
        draw_view(drawing, view, shown, (right, y, *size), small=True)
    y += height + 4
    width = drawing.verdict(x, y, cell.verdict, size=8)
    title = cell.title + (f": {cell.mark}" if cell.mark else "")
    colour = BAD if cell.mark else MUTED
    drawing.text((x + width + 5, y + 9.5), shortened(title, 9.5, _CELL - width - 5), size=9.5, bold=True, colour=colour)
    lines = [*cell.lines]
    if view is not None and view.image is not None and view.why_no_heat:
        lines.append(view.why_no_heat)
    for number, line in enumerate(lines, start=1):
        drawing.text((x, y + 11 + _LINE * number), shortened(line, 8, _CELL), size=8, colour=MUTED)


def _photo_size(cell: Cell) -> tuple[float, float]:
    if cell.view is None or cell.view.image is None:
        return _CELL, 40.0
    height, width = cell.view.image.shape[:2]
    factor = min(_PHOTO[0] / width, _PHOTO[1] / height)
    return width * factor, height * factor
