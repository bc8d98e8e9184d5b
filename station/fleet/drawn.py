"""The charts of the page of the fleet: bars by hour, of all stations and of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from station.fleet.reading import Fleet, Hour
from station.reports.drawing import FAINT, INK, MUTED, VERDICT_FILL, Drawing
from station.reports.shifts import Calendar

WIDTH, HEIGHT = 900, 210
_LEFT, _BOTTOM, _TOP = 70.0, 160.0, 16.0
SPARK_WIDTH, SPARK_HEIGHT = 150, 26
LEAST_SHARE = 0.01
"""The axis ends there at least: the noise of a good line is no mountain."""
HOUR_S = 3600.0
_PARTS = (("FAIL", "failed"), ("REVIEW", "in_review"), ("ERROR", "errors"))
Shares = dict[float, tuple[int, dict[str, float]]]
"""Start of the hour -> parts, share by verdict."""


def over_hours(fleet: Fleet, calendar: Calendar, say: Callable[[str], str] = str) -> Drawing:
    """Shares of FAIL, REVIEW and ERROR of all stations, one on the other."""
    drawing = Drawing(WIDTH, HEIGHT)
    shares = shares_of(fleet.hours)
    top = 1.1 * max([LEAST_SHARE, *(sum(by.values()) for _, by in shares.values())])
    starts = starts_of(fleet)
    step = (WIDTH - _LEFT - 10) / len(starts)
    for share in (0.0, top / 2, top):
        y = _BOTTOM - (_BOTTOM - _TOP) * share / top
        drawing.line([(_LEFT, y), (WIDTH - 10, y)], FAINT)
        drawing.text((_LEFT - 8, y + 4), f"{100 * share:.1f} %", size=12, anchor="end", colour=MUTED)
    for number, start in enumerate(starts):
        x, y = _LEFT + step * number + 1, _BOTTOM
        for verdict, share in shares.get(start, (0, {}))[1].items():
            height = (_BOTTOM - _TOP) * share / top
            y -= height
            drawing.rectangle(x, y, max(1.0, step - 2), height, VERDICT_FILL[verdict])
        if number % max(1, len(starts) // 8) == 0:
            drawing.text((x, _BOTTOM + 16), calendar.clock(start, "min")[5:], size=11, colour=MUTED)
    at = _LEFT
    for verdict, _ in _PARTS:
        drawing.rectangle(at, HEIGHT - 20, 12, 12, VERDICT_FILL[verdict])
        drawing.text((at + 18, HEIGHT - 9), say(verdict), size=12)
        at += 110
    return drawing


def axis_of(fleet: Fleet) -> float:
    """The largest share of any station in any hour: one axis for all small charts."""
    shares = (sum(by.values()) for hour in fleet.hours for _, by in shares_of([hour]).values())
    return max([LEAST_SHARE, *shares])


def spark(hours: Iterable[Hour], starts: Sequence[float], top: float) -> Drawing:
    """The same of one station, small: a line under each hour with parts, and no line where there were none."""
    drawing = Drawing(SPARK_WIDTH, SPARK_HEIGHT)
    shares = shares_of(hours)
    step = SPARK_WIDTH / len(starts)
    floor = SPARK_HEIGHT - 2.0
    for number, start in enumerate(starts):
        x = step * number
        y = floor
        for verdict, share in shares.get(start, (0, {}))[1].items():
            if share:
                height = (floor - 1) * min(1.0, share / top)
                y -= height
                drawing.rectangle(x, y, max(1.0, step - 1), height, VERDICT_FILL[verdict])
    for first, count in _runs([start in shares for start in starts]):
        drawing.rectangle(step * first, floor, step * count, 1.5, INK)
    return drawing


def _runs(there: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Place and length of each row of True: of a thousand stations every shape counts."""
    at = 0
    for is_there, group in groupby(there):
        length = len(list(group))
        if is_there:
            yield at, length
        at += length


def starts_of(fleet: Fleet) -> list[float]:
    """The begins of the hours that are shown, the last one not over yet."""
    last = fleet.read_at // HOUR_S * HOUR_S
    return [last - HOUR_S * back for back in range(fleet.hours_back - 1, -1, -1)]


def shares_of(hours: Iterable[Hour]) -> Shares:
    """By hour, over all stations that are given."""
    sums: dict[float, list[int]] = {}
    for hour in hours:
        counts = sums.setdefault(hour.start, [0] * (1 + len(_PARTS)))
        for number, count in enumerate((hour.parts, *(getattr(hour, name) for _, name in _PARTS))):
            counts[number] += count
    return {
        start: (counts[0], {verdict: count / counts[0] for (verdict, _), count in zip(_PARTS, counts[1:], strict=True)})
        for start, counts in sums.items()
        if counts[0]
    }
