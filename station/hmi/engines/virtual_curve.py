"""Virtual challenges over time: the share of synthetic defects that was found, and from where on it is too little."""

from __future__ import annotations

from collections.abc import Sequence

from station.records.engines.virtual import VirtualRun
from station.reports.drawing import BAD, FAINT, INK, MUTED, Drawing
from station.reports.shifts import Calendar

WIDTH, HEIGHT = 680, 240
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 14.0, 660.0, 200.0
NORMAL_FOUND = 0.85
"""The share that is normal at least: what the engine was taught to find 9 times of 10."""


def drawn(runs: Sequence[VirtualRun], calendar: Calendar) -> str:
    """An SVG of at least two runs, oldest first: a point each, full where it was worse than chance explains."""
    drawing = Drawing(WIDTH, HEIGHT)
    first, last = runs[0].at, runs[-1].at

    def place(at: float, share: float) -> tuple[float, float]:
        across = (at - first) / max(last - first, 1e-9)
        return _LEFT + (_RIGHT - _LEFT) * across, _BOTTOM - (_BOTTOM - _TOP) * share

    for share in (0.0, 0.5, 1.0):
        level = place(first, share)
        drawing.line([level, place(last, share)], FAINT)
        drawing.text((_LEFT - 8, level[1] + 4), f"{100 * share:.0f} %", anchor="end", colour=MUTED)
    drawing.line([place(first, NORMAL_FOUND), place(last, NORMAL_FOUND)], MUTED, dashed=True)
    level = place(first, NORMAL_FOUND)
    drawing.text((_LEFT - 8, level[1] + 4), f"{100 * NORMAL_FOUND:.0f} %", anchor="end", colour=MUTED)
    points = [(run, place(run.at, run.found_share or 0.0)) for run in runs]
    drawing.line([point for _, point in points], INK, 1.5)
    for run, (x, y) in points:
        size, colour = (9, BAD) if run.is_worse else (5, INK)
        drawing.rectangle(x - size / 2, y - size / 2, size, size, colour)
    drawing.text((_LEFT, _BOTTOM + 20), calendar.clock(first, "min"), colour=MUTED)
    drawing.text((_RIGHT, _BOTTOM + 20), calendar.clock(last, "min"), anchor="end", colour=MUTED)
    return drawing.svg()
