"""Simple pictures without a plotting library: rectangles, lines and text, as SVG or as PNG.

The station's own environment has no plotting library, and the same picture may be wanted in a browser (SVG) and in a
mail (PNG). The SVG is the same bytes for the same picture. Text is ASCII: OpenCV's fonts know nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import cv2
import numpy as np

from station.records.images import encode_png
from station.results import Pixels

SUFFIXES = (".svg", ".png")
PNG_SCALE = 2
_SHIFT = 4  # cv2 takes coordinates in 1/16 px
Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_ANCHOR_SHARE: dict[Anchor, float] = {"start": 0.0, "middle": 0.5, "end": 1.0}


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A filled area without a border; `x` and `y` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    fill: str


@dataclass(frozen=True, slots=True)
class Line:
    """Strokes from point to point, not closed and not filled."""

    points: tuple[Point, ...]
    colour: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One row of ASCII characters; `anchor` says which part of it lies at `x`."""

    x: float
    y: float
    """The base line."""
    text: str
    size: float = 12.0
    anchor: Anchor = "start"
    colour: str = "#202020"
    bold: bool = False


@dataclass(slots=True)
class Drawing:
    """A picture of `width` x `height` px, origin at the upper left. Colours are `#rrggbb`."""

    width: int
    height: int
    shapes: list[Rectangle | Line | Text] = field(default_factory=list)

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self.shapes.append(Rectangle(x, y, width, height, fill))

    def line(self, points: Iterable[Point], colour: str, width: float = 1.0, *, dashed: bool = False) -> None:
        self.shapes.append(Line(tuple(points), colour, width, dashed))

    def text(
        self,
        at: Point,
        text: str,
        *,
        size: float = 12.0,
        anchor: Anchor = "start",
        colour: str = "#202020",
        bold: bool = False,
    ) -> None:
        """`at`: where the base line starts, has its middle or ends."""
        self.shapes.append(Text(*at, text.encode("ascii", "replace").decode(), size, anchor, colour, bold))

    def save(self, path: Path) -> None:
        """Writes the picture; the suffix chooses the format. Raises ValueError for another suffix, OSError."""
        if path.suffix not in SUFFIXES:
            raise ValueError(f'picture "{path}": the name must end in {" or ".join(SUFFIXES)}')
        path.write_bytes(self.svg().encode() if path.suffix == ".svg" else bytes(self.png()))

    def svg(self) -> str:
        """The picture as an SVG document, ending in a line feed."""
        root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": str(self.width),
                "height": str(self.height),
                "viewBox": f"0 0 {self.width} {self.height}",
                "font-family": "sans-serif",
            },
        )
        for shape in (Rectangle(0, 0, self.width, self.height, "#ffffff"), *self.shapes):
            _svg_element(root, shape)
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode") + "\n"

    def png(self) -> memoryview:
        """The picture as PNG, twice as large in both directions."""
        canvas = np.full((self.height * PNG_SCALE, self.width * PNG_SCALE, 3), 255, np.uint8)
        for shape in self.shapes:
            _paint(canvas, shape)
        return encode_png(canvas)


def _svg_element(root: ElementTree.Element, shape: Rectangle | Line | Text) -> None:
    match shape:
        case Rectangle():
            values = {"x": shape.x, "y": shape.y, "width": shape.width, "height": shape.height}
            ElementTree.SubElement(
                root, "rect", {**{name: _number(value) for name, value in values.items()}, "fill": shape.fill}
            )
        case Line():
            points = " ".join(f"{_number(x)},{_number(y)}" for x, y in shape.points)
            attributes = {"points": points, "fill": "none", "stroke": shape.colour}
            attributes["stroke-width"] = _number(shape.width)
            if shape.dashed:
                attributes["stroke-dasharray"] = "3 3"
            ElementTree.SubElement(root, "polyline", attributes)
        case Text():
            attributes = {"x": _number(shape.x), "y": _number(shape.y), "font-size": _number(shape.size)}
            attributes |= {"text-anchor": shape.anchor, "fill": shape.colour}
            if shape.bold:
                attributes["font-weight"] = "bold"
            ElementTree.SubElement(root, "text", attributes).text = shape.text


def _number(value: float) -> str:
    """At most two decimals, and none that say nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _paint(canvas: Pixels, shape: Rectangle | Line | Text) -> None:
    match shape:
        case Rectangle():
            start, end = (shape.x, shape.y), (shape.x + shape.width, shape.y + shape.height)
            cv2.rectangle(canvas, _pixel(start), _pixel(end), _rgb(shape.fill), -1, cv2.LINE_AA, _SHIFT)
        case Line():
            thickness = max(1, round(shape.width * PNG_SCALE))
            for start, end in _strokes(shape):
                cv2.line(canvas, _pixel(start), _pixel(end), _rgb(shape.colour), thickness, cv2.LINE_AA, _SHIFT)
        case Text():
            font = cv2.FONT_HERSHEY_SIMPLEX
            thickness = 2 if shape.bold else 1
            # 22 px is the height of a line of this font at scale 1, from base line to top
            scale = 0.72 * shape.size * PNG_SCALE / 22
            (width, _), _ = cv2.getTextSize(shape.text, font, scale, thickness)
            x = shape.x * PNG_SCALE - width * _ANCHOR_SHARE[shape.anchor]
            place = (round(x), round(shape.y * PNG_SCALE))
            cv2.putText(canvas, shape.text, place, font, scale, _rgb(shape.colour), thickness, cv2.LINE_AA)


def _strokes(line: Line) -> Iterable[tuple[Point, Point]]:
    """The straight pieces of a line; a dashed one in pieces of 3 px with gaps as long."""
    for (x0, y0), (x1, y1) in zip(line.points, line.points[1:], strict=False):
        if not line.dashed:
            yield (x0, y0), (x1, y1)
            continue
        length = float(np.hypot(x1 - x0, y1 - y0))
        for at in np.arange(0.0, length, 6.0):
            start, end = at / length, min(at + 3.0, length) / length
            yield (x0 + (x1 - x0) * start, y0 + (y1 - y0) * start), (x0 + (x1 - x0) * end, y0 + (y1 - y0) * end)


def _pixel(point: Point) -> tuple[int, int]:
    x, y = (round(value * PNG_SCALE * (1 << _SHIFT)) for value in point)
    return x, y


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return red, green, blue
