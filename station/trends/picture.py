"""A series as a picture: the days, where the line goes, and its limit."""

from __future__ import annotations

from station.reports.drawing import BAD, FAINT, INK, MUTED, Drawing
from station.reports.shifts import Calendar
from station.trends.advice import Trend
from station.trends.reading import DAY_S

WIDTH, HEIGHT = 620, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 15.0, 30.0, 28.0
_AHEAD = 0.25
"""Of the width: the time to come."""


def draw(trend: Trend, calendar: Calendar) -> Drawing:
    """Dots: medians of days; the line as far as it was found, dashed into what comes; the limit in red."""
    series, found = trend.series, trend.found
    drawing = Drawing(WIDTH, HEIGHT)
    first, last = series.days[0], series.days[-1]
    end = last + max(3.0, (last - first) * _AHEAD / (1 - _AHEAD))
    shown = [*series.values]
    if trend.days_left is not None or trend.share_gone > 0.1:
        shown += [min(trend.limits, key=lambda limit: abs(limit - series.values[-1]))]
    low, high = min(shown), max(shown)
    edge = 0.08 * (high - low) or max(1e-6, 0.05 * abs(high))
    low, high = low - edge, high + edge

    def place(day: float, value: float) -> tuple[float, float]:
        across = _LEFT + (WIDTH - _LEFT - _RIGHT) * (day - first) / (end - first)
        return across, HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    for value in (low + edge, (low + high) / 2, high - edge):
        y = place(first, value)[1]
        drawing.line([(_LEFT, y), (WIDTH - _RIGHT, y)], FAINT)
        drawing.text((_LEFT - 6, y + 4), f"{value:.4g}", size=11, anchor="end", colour=MUTED)
    for limit in trend.limits:
        if low < limit < high:
            drawing.line([place(first, limit), place(end, limit)], BAD, 1.5)
            drawing.text((WIDTH - _RIGHT, place(end, limit)[1] - 4), "limit", size=11, anchor="end", colour=BAD)
    for day, value in zip(series.days, series.values, strict=True):
        x, y = place(day, value)
        drawing.rectangle(x - 2, y - 2, 4, 4, INK)
    if found is not None and trend.days_left is not None:
        line = [(day, found.level + found.per_day * (day - last)) for day in (last - found.days, last, end)]
        inside = [place(day, min(high, max(low, value))) for day, value in line]
        drawing.line(inside[:2], INK, 2)
        drawing.line(inside[1:], INK, 1.5, dashed=True)
    for day in (first, last):
        date = calendar.clock(day * DAY_S, "min")[:10]
        drawing.text(
            (place(day, low)[0], HEIGHT - 8), date, size=11, anchor="middle" if day > first else "start", colour=MUTED
        )
    unit = f" ({trend.signal.unit})" if trend.signal.unit else ""
    name = ", ".join(part for part in (series.signal + unit, series.place, series.recipe) if part)
    drawing.text((_LEFT, 16), name, size=13, bold=True)
    return drawing
