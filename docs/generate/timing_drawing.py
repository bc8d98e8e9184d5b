"""A timing diagram: levels and values of signals over time, with numbered remarks."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.plc.signal_map import POINTS, Area, Point, PointType
from station.reports.drawing import Drawing

LEFT, RIGHT, TOP, ROW, HIGH = 175, 90, 64, 28, 16
WIDTH = 960
PLC_COLOUR, STATION_COLOUR = "#b35900", "#1f5fa8"
GRID, DARK, BUS = "#d8d8d8", "#404040", "#eef3fa"
DIGIT_PX = 7.0
_CONTROL = (Area.COIL, Area.HOLDING_REGISTER)
_POINTS = {point.attribute: point for point in POINTS}


@dataclass(frozen=True, slots=True)
class Mark:
    """A remark on what happens at one moment."""

    at_ms: float
    text: str


@dataclass(frozen=True, slots=True)
class Track:
    """One point of the map over time."""

    point: Point
    changes: tuple[tuple[float, float], ...]
    """(ms, value from then on), in order; the first is the start."""

    @classmethod
    def of(cls, attribute: str, changes: tuple[tuple[float, float], ...]) -> Track:
        """Raises KeyError when no point of the map has this attribute."""
        return cls(_POINTS[attribute], changes)

    @property
    def by_plc(self) -> bool:
        return self.point.area in _CONTROL


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything that one picture shows."""

    title: str
    tracks: tuple[Track, ...]
    marks: tuple[Mark, ...]
    end_ms: float

    def draw(self) -> Drawing:
        bottom = TOP + ROW * len(self.tracks)
        drawing = Drawing(WIDTH, bottom + 44 + 19 * len(self.marks))
        drawing.text((20, 26), self.title, size=16, bold=True)
        drawing.text((WIDTH - 20, 26), "written by the PLC", size=12, anchor="end", colour=PLC_COLOUR)
        drawing.text((WIDTH - 150, 26), "by the station", size=12, anchor="end", colour=STATION_COLOUR)
        for number, mark in enumerate(self.marks, start=1):
            x = self._x(mark.at_ms)
            drawing.line([(x, TOP - 8), (x, bottom)], GRID, 1.5)
            drawing.text((x, TOP - 12), str(number), size=12, anchor="middle", colour=DARK, bold=True)
            drawing.text((20, bottom + 46 + 19 * (number - 1)), f"{number}   {mark.text}", size=12, colour=DARK)
        for row, track in enumerate(self.tracks):
            self._track(drawing, track, TOP + ROW * row + ROW - 8)
        self._time(drawing, bottom)
        return drawing

    def _x(self, at_ms: float) -> float:
        return LEFT + at_ms * (WIDTH - LEFT - RIGHT) / self.end_ms

    def _track(self, drawing: Drawing, track: Track, low: float) -> None:
        colour = PLC_COLOUR if track.by_plc else STATION_COLOUR
        drawing.text((LEFT - 12, low - 2), track.point.name, size=13, anchor="end", colour=colour)
        ends = [at_ms for at_ms, _ in track.changes[1:]] + [self.end_ms]
        if track.point.type is PointType.BIT:
            points = [
                (self._x(at_ms), low - HIGH * value)
                for (start_ms, value), end_ms in zip(track.changes, ends, strict=True)
                for at_ms in (start_ms, end_ms)
            ]
            drawing.line(points, colour, 2.0)
            return
        for (start_ms, value), end_ms in zip(track.changes, ends, strict=True):
            x, width = self._x(start_ms), self._x(end_ms) - self._x(start_ms)
            text = f"{value:g}"
            drawing.rectangle(x, low - HIGH, width, HIGH, BUS)
            corners = [(x, low), (x, low - HIGH), (x + width, low - HIGH), (x + width, low), (x, low)]
            drawing.line(corners, colour, 1.2)
            if width > DIGIT_PX * len(text) + 3:
                drawing.text((x + width / 2, low - 4), text, size=11, anchor="middle", colour=colour)

    def _time(self, drawing: Drawing, y: float) -> None:
        unit, scale = ("s", 1000.0) if self.end_ms > 2000 else ("ms", 1.0)
        length_ms = 1000.0 if self.end_ms > 2000 else 10.0
        x, end = float(LEFT), self._x(length_ms)
        drawing.line([(x, y + 10), (end, y + 10)], DARK)
        for edge in (x, end):
            drawing.line([(edge, y + 6), (edge, y + 14)], DARK)
        drawing.text((end + 8, y + 14), f"{length_ms / scale:g} {unit}", size=11, colour=DARK)
