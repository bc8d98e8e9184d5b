"""Simple pictures without a plotting library: rectangles, lines, text and photographs, as SVG or as PNG.

The station's own environment has no plotting library, and the same picture may be wanted in a browser (SVG) and in a
mail (PNG). The SVG is the same bytes for the same picture. Text is ASCII: OpenCV's fonts know nothing else. Pages that
hold such pictures are one file each, and begin alike.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import cv2
import numpy as np

from station.records.images import ImageError, encode_png
from station.results import Pixels
from station.terminal import plain

SUFFIXES = (".svg", ".png")
INK, MUTED, FAINT, SURFACE = "#1b1f23", "#4a5560", "#d0d5da", "#ffffff"
VERDICT_FILL = {"PASS": "#e6f2e8", "FAIL": "#b3261e", "REVIEW": "#f2b705", "ERROR": "#6a3d9a"}
VERDICT_TEXT = {"PASS": "#1e6b32", "FAIL": "#ffffff", "REVIEW": "#1b1f23", "ERROR": "#ffffff"}
"""On its fill. The word always stands there: nothing is said by colour alone."""
BAD = "#b3261e"
JPEG_QUALITY = 88
PNG_SCALE = 2
_SHIFT = 4  # cv2 takes coordinates in 1/16 px
Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
_LETTERS = str.maketrans({"²": "2", "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
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
    colour: str = INK
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Photo:
    """RGB pixels in a box of this size, whose proportions they have; `x` and `y` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    pixels: Pixels


Shape = Rectangle | Line | Text | Photo


@dataclass(slots=True)
class Drawing:
    """A picture of `width` x `height` px, origin at the upper left. Colours are `#rrggbb`."""

    width: int
    height: int
    shapes: list[Shape] = field(default_factory=list)

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
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """`at`: where the base line starts, has its middle or ends."""
        self.shapes.append(Text(*at, plain(text), size, anchor, colour, bold))

    def photo(self, x: float, y: float, width: float, height: float, pixels: Pixels) -> None:
        self.shapes.append(Photo(x, y, width, height, pixels))

    def verdict(self, x: float, y: float, verdict: str, size: float = 12.0, *, word: str = "") -> float:
        """The word on its colour, upper left corner at (x, y); returns how wide that is. `word`: a translated one."""
        word = word or verdict
        width, height = 0.78 * size * len(word) + size, 1.6 * size
        self.rectangle(x, y, width, height, VERDICT_FILL[verdict])
        colour = VERDICT_TEXT[verdict]
        self.text((x + width / 2, y + 1.16 * size), word, size=size, anchor="middle", colour=colour, bold=True)
        return width

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
        for shape in (Rectangle(0, 0, self.width, self.height, SURFACE), *self.shapes):
            _svg_element(root, shape)
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode") + "\n"

    def png(self) -> memoryview:
        """The picture as PNG, twice as large in both directions."""
        canvas = np.full((self.height * PNG_SCALE, self.width * PNG_SCALE, 3), 255, np.uint8)
        for shape in self.shapes:
            _paint(canvas, shape)
        return encode_png(canvas)


def _svg_element(root: ElementTree.Element, shape: Shape) -> None:
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
        case Photo():
            values = {"x": shape.x, "y": shape.y, "width": shape.width, "height": shape.height}
            attributes = {name: _number(value) for name, value in values.items()}
            ElementTree.SubElement(root, "image", attributes | {"href": data_uri(shape.pixels)})


def shortened(text: str, size: float, width: float) -> str:
    """The text, cut with dots to what fits into this width."""
    kept = text
    while kept and _wide(kept if kept == text else f"{kept}...", size) > width:
        kept = kept[:-1]
    return kept if kept == text else f"{kept.rstrip()}..."


def _wide(text: str, size: float) -> float:
    return float(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _font_scale(size), 1)[0][0]) / PNG_SCALE


def _in_ascii(text: str) -> str:
    """For the font of OpenCV, which has no other letters."""
    return text.translate(_LETTERS).encode("ascii", "replace").decode()


def _font_scale(size: float) -> float:
    """22 px is the height of a line of OpenCV's font at scale 1, from base line to top."""
    return 0.72 * size * PNG_SCALE / 22


def jpeg(pixels: Pixels) -> bytes:
    """RGB pixels as a JPEG. Raises ImageError."""
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ImageError(f"pixels of shape {pixels.shape} cannot be encoded")
    return data.tobytes()


def data_uri(pixels: Pixels) -> str:
    """RGB pixels as a JPEG within the text of a page. Raises ImageError."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(pixels)).decode()}"


def page_head(title: str, style: str, tag: str = "en") -> str:
    """What a page in one file begins with, up to its body: it asks for no network, and nothing on it runs.

    `title`: escaped; `style`: CSS of ours, the only one that is applied; `tag`: its language.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"""<!doctype html>
<html lang="{escape(tag)}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-{digest}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>"""


def _number(value: float) -> str:
    """At most two decimals, and none that say nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _paint(canvas: Pixels, shape: Shape) -> None:
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
            scale = _font_scale(shape.size)
            letters = _in_ascii(shape.text)
            (width, _), _ = cv2.getTextSize(letters, font, scale, thickness)
            x = shape.x * PNG_SCALE - width * _ANCHOR_SHARE[shape.anchor]
            place = (round(x), round(shape.y * PNG_SCALE))
            cv2.putText(canvas, letters, place, font, scale, _rgb(shape.colour), thickness, cv2.LINE_AA)
        case Photo():
            left, top = round(shape.x * PNG_SCALE), round(shape.y * PNG_SCALE)
            size = (round(shape.width * PNG_SCALE), round(shape.height * PNG_SCALE))
            shrinks = size[0] < shape.pixels.shape[1]
            inside = cv2.resize(shape.pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            canvas[top : top + size[1], left : left + size[0]] = inside


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
