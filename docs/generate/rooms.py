"""The rooms of the house as a picture: floors from the import contracts, what a room is for from its docstring."""

from __future__ import annotations

from docs.generate.source import layers, purpose
from docs.generate.svg import Svg

STATION = "rooms of the station"
LINE = "the line: signalling owns the parts, the stages do not know each other"
ENGINES = "rooms of the engines"
WIDTH, EDGE, GAP, FLOOR, SLIM = 1080, 20, 8, 60, 36
_BESIDE_THE_LINE = 210


def rooms() -> Svg:
    """The whole picture."""
    floors = layers(STATION)
    line_height = 34 + sum(_height(floor) + GAP for floor in layers(LINE))
    heights = [line_height if "line" in floor else _height(floor) for floor in floors]
    below = 34 + 26 * 2
    svg = Svg(WIDTH, 62 + sum(heights) + GAP * len(heights) + 22 + below + EDGE, "The rooms and their floors")
    svg.text(EDGE, 32, "The rooms of the station", size=18, style="name")
    svg.text(
        WIDTH - EDGE, 32, "a room imports only from the floors below; dashed: kept free", style="muted", anchor="end"
    )
    y = 50.0
    for floor, height in zip(floors, heights, strict=True):
        if "line" in floor:
            _line_floor(svg, y, height, [room for room in floor if room != "line"])
        else:
            _floor(svg, EDGE, y, WIDTH - 2 * EDGE, height, parent="station", names=floor)
        y += height + GAP
    _foundations(svg, y + 14, below)
    return svg


def _height(names: list[str]) -> int:
    """A floor of one room, or of rooms kept free, is slim; four side by side need a third line of text."""
    built = [name for name in names if not name.startswith("(")]
    return SLIM if len(names) == 1 or not built else FLOOR + 16 * (len(names) > 2)


def _floor(svg: Svg, x: float, y: float, width: float, height: int, *, parent: str, names: list[str]) -> None:
    """Rooms side by side; those that are kept free share what a built one would take."""
    each = (width - GAP * (len(names) - 1)) / len(names)
    for number, name in enumerate(names):
        _room(svg, x + number * (each + GAP), y, each, height, parent=parent, name=name)


def _room(svg: Svg, x: float, y: float, width: float, height: int, *, parent: str, name: str) -> None:
    plain = name.strip("()")
    try:
        text = purpose(f"{parent}.{plain}")
    except FileNotFoundError:
        if plain == name:
            raise
        svg.box(x, y, width, height, "free")
        svg.text(x + 12, y + 23, plain, size=14, style="name muted")
        return
    svg.box(x, y, width, height, "green" if parent == "station.line" else "blue")
    svg.text(x + 12, y + 23, plain, size=14, style="name")
    if width > WIDTH / 2:
        svg.lines(x + 170, y + 23, width - 180, text, most=1)
    else:
        svg.lines(x + 12, y + 40, width - 20, text, size=11, most=3 if height > FLOOR else 2)


def _line_floor(svg: Svg, y: float, height: int, others: list[str]) -> None:
    """The line with its own floors, and what stands beside it."""
    width = WIDTH - 2 * EDGE - (_BESIDE_THE_LINE + GAP) * len(others)
    svg.box(EDGE, y, width, height, "blue")
    svg.text(EDGE + 12, y + 23, "line", size=14, style="name")
    svg.lines(EDGE + 170, y + 23, width - 180, purpose("station.line"), most=1)
    top = y + 34
    for names in layers(LINE):
        _floor(svg, EDGE + GAP, top, width - 2 * GAP, _height(names), parent="station.line", names=names)
        top += _height(names) + GAP
    for number, name in enumerate(others):
        _tall_room(svg, EDGE + width + GAP + number * (_BESIDE_THE_LINE + GAP), y, height, name)


def _tall_room(svg: Svg, x: float, y: float, height: int, name: str) -> None:
    svg.box(x, y, _BESIDE_THE_LINE, height, "blue")
    svg.text(x + 12, y + 22, name, size=14, style="name")
    svg.lines(x + 12, y + 42, _BESIDE_THE_LINE - 20, purpose(f"station.{name}"), most=8)


def _foundations(svg: Svg, y: float, height: int) -> None:
    """Engines and drivers, on which the station stands."""
    width = (WIDTH - 2 * EDGE - GAP) / 2
    engines = [name for floor in layers(ENGINES) for name in floor]
    inside = {"engines": " > ".join(engines), "drivers": purpose("drivers")}
    for number, (name, text) in enumerate(inside.items()):
        x = EDGE + number * (width + GAP)
        svg.box(x, y, width, height, "sand")
        svg.text(x + 12, y + 22, name, size=14, style="name")
        svg.lines(x + 12, y + 42, width - 20, text, most=4)
