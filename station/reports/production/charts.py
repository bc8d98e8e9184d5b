"""The charts of a report, drawn once for page and PDF: Pareto, trend with its limits, where defects lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from station import said
from station.reports.drawing import BAD, FAINT, INK, MUTED, VERDICT_FILL, Drawing, shortened
from station.reports.production.figures import Trend, percent
from station.reports.shifts import Calendar

WIDTH = 900
_LABEL, _ROW = 400.0, 26.0
_LIMIT = "#1f5fa8"
_BINS = 24
_MAP = 420


Say = Callable[[str], str]
"""What a text of a chart is in the language of the page; PDF and files are in English."""


def pareto(rows: Sequence[tuple[str, int]], say: Say = str) -> Drawing:
    """Bars, the longest first; a name begins with its verdict."""
    drawing = Drawing(WIDTH, round(_ROW * len(rows) + 10))
    most = max((count for _, count in rows), default=1)
    for number, (name, count) in enumerate(rows):
        y = _ROW * number
        colour = VERDICT_FILL.get(name.split(":", 1)[0], MUTED)
        width = max(2.0, (WIDTH - _LABEL - 80) * count / most)
        drawing.text((0, y + 18), shortened(say(name), 12, _LABEL - 30), size=12)
        drawing.rectangle(_LABEL, y + 4, width, _ROW - 8, colour)
        drawing.text((_LABEL + width + 6, y + 18), str(count), size=13)
    return drawing


def trend(shown: Trend, calendar: Calendar, say: Say = str) -> Drawing:
    """The share of rejected parts at each time; dashed: the p-chart's limits from the period before."""
    height, left, bottom = 240, 70.0, 200.0
    drawing = Drawing(WIDTH, height)
    limits = [shown.limits(number) for number in range(len(shown.starts))]
    highest = [pair[1] for pair in limits if pair is not None]
    top = 1.1 * max([0.01, *shown.shares, *highest])
    step = (WIDTH - left - 10) / max(1, len(shown.starts))

    def place(number: int, share: float) -> tuple[float, float]:
        return left + step * (number + 0.5), bottom - (bottom - 20) * share / top

    for share in (0.0, top / 2, top):
        y = place(0, share)[1]
        drawing.line([(left, y), (WIDTH - 10, y)], FAINT)
        drawing.text((left - 8, y + 4), percent(share), size=12, anchor="end", colour=MUTED)
    for side in (0, 1):
        points = [place(number, pair[side]) for number, pair in enumerate(limits) if pair is not None]
        if len(points) > 1:
            drawing.line(points, _LIMIT, 1.5, dashed=True)
    seen = [number for number, parts in enumerate(shown.parts) if parts]
    drawing.line([place(number, shown.shares[number]) for number in seen], INK, 2)
    for number in seen:
        x, y = place(number, shown.shares[number])
        pair = limits[number]
        is_out = pair is not None and not pair[0] <= shown.shares[number] <= pair[1]
        size = 5 if is_out else 3
        drawing.rectangle(x - size, y - size, 2 * size, 2 * size, BAD if is_out else INK)
    for number in range(0, len(shown.starts), 4):
        clock = calendar.clock(shown.starts[number], "min")[len("2026-") :]
        drawing.text((place(number, 0)[0], height - 18), clock, size=12, anchor="middle", colour=MUTED)
    known = said.NO_PERIOD_BEFORE() if shown.centre is None else said.LIMITS_OF_BEFORE()
    drawing.text((left, 14), say(said.OVER_TIME(limits=known)), size=12, colour=MUTED)
    return drawing


def defect_map(centres: Sequence[tuple[float, float]], say: Say = str) -> Drawing:
    """How many regions lie where, in px of the frame; the darker, the more."""
    wide, high = (1.02 * max([1.0, *(point[axis] for point in centres)]) for axis in (0, 1))
    width = _MAP
    height = round(min(2.0, max(0.3, high / wide)) * width)
    drawing = Drawing(width + 280, height + 10)
    drawing.rectangle(0, 0, width, height, "#f4f6f8")
    across, down = _BINS, max(1, round(_BINS * height / width))
    counts: dict[tuple[int, int], int] = {}
    for x, y in centres:
        cell = (min(across - 1, int(x / wide * across)), min(down - 1, int(y / high * down)))
        counts[cell] = counts.get(cell, 0) + 1
    most = max(counts.values())
    for (column, row), count in counts.items():
        level = round(225 - 185 * count / most)
        fill = f"#{level:02x}{level:02x}{min(255, level + 25):02x}"
        drawing.rectangle(column * width / across, row * height / down, width / across, height / down, fill)
    drawing.text((width + 12, 20), say(said.REGIONS_SEEN(count=len(centres))), size=16)
    drawing.text((width + 12, 44), say(said.DARKEST(count=most)), size=15, colour=MUTED)
    drawing.text(
        (width + 12, 68), say(said.FRAME_SEEN(count=f"{wide:.0f}", total=f"{high:.0f}")), size=15, colour=MUTED
    )
    return drawing
