"""The contact sheet: rejected parts side by side, as the camera saw them and as the engine saw them.

Left the frame, right the same frame under the heat map with the outlines of the regions that were measured. All heat
maps of a sheet share one colour scale, so that a faint defect looks fainter than a strong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.results import Region

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

TILE_PX = (224, 336)
"""Largest width and height of one picture: tall ones keep enough width to see something."""
GAP_PX, MARGIN_PX, LINE_PX = 8, 16, 17
COLUMNS = 4
MAX_CELLS = 60

BACKGROUND: Colour = (28, 30, 33)
TEXT: Colour = (225, 227, 230)
FAINT: Colour = (150, 154, 160)
RIGHT: Colour = (96, 196, 120)
WRONG: Colour = (240, 96, 84)
OUTLINE: Colour = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Cell:
    """One rejected part."""

    image: Pixels
    anomaly_map: NDArray[np.float32] | None
    """None when the part was not inspected."""
    regions: tuple[Region, ...]
    title: str
    lines: tuple[str, ...]
    justified: bool
    """The part is defective: pushing it off was right."""


def draw(cells: Sequence[Cell], heading: str) -> Pixels:
    """The sheet as RGB image. More than `MAX_CELLS` parts are cut, and the heading says so."""
    shown = cells[:MAX_CELLS]
    if len(shown) < len(cells):
        heading += f"   (the first {len(shown)} of {len(cells)})"
    columns = min(COLUMNS, max(1, len(shown)))
    low, high = _scale(shown)
    drawn = [_cell(cell, low, high) for cell in shown] or [np.full((60, 600, 3), BACKGROUND, np.uint8)]
    height, width = max(cell.shape[0] for cell in drawn), max(cell.shape[1] for cell in drawn)
    rows = -(-len(drawn) // columns)
    top = MARGIN_PX + 2 * LINE_PX + GAP_PX
    sheet_width = max(columns * (width + MARGIN_PX) + MARGIN_PX, 640)
    sheet = np.full((top + rows * (height + MARGIN_PX) + MARGIN_PX, sheet_width, 3), BACKGROUND, np.uint8)
    _text(sheet, heading, (MARGIN_PX, MARGIN_PX + LINE_PX), TEXT, 0.6)
    for index, cell in enumerate(drawn):
        y = top + index // columns * (height + MARGIN_PX)
        x = MARGIN_PX + index % columns * (width + MARGIN_PX)
        sheet[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    return sheet


def _cell(cell: Cell, low: float, high: float) -> Pixels:
    frame = cell.image if cell.image.ndim == 3 else np.repeat(cell.image[..., None], 3, axis=2)
    scale = min(TILE_PX[0] / frame.shape[1], TILE_PX[1] / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    heated = _heat(small, cell.anomaly_map, low, high)
    for region in cell.regions:
        if region.contour_px:
            outline = np.round((np.array(region.contour_px, np.float64) + 0.5) * scale - 0.5).astype(np.int32)
            cv2.polylines(heated, [outline], True, OUTLINE, 1, cv2.LINE_AA)
    colour = RIGHT if cell.justified else WRONG
    width = max(2 * size[0] + GAP_PX, 2 * TILE_PX[0] + GAP_PX)
    drawn = np.full((size[1] + (1 + len(cell.lines)) * LINE_PX + 2 * GAP_PX, width, 3), BACKGROUND, np.uint8)
    drawn[: size[1], : size[0]] = small
    drawn[: size[1], size[0] + GAP_PX : 2 * size[0] + GAP_PX] = heated
    y = size[1] + GAP_PX
    cv2.rectangle(drawn, (0, y), (3, y + (1 + len(cell.lines)) * LINE_PX), colour, -1)
    _text(drawn, cell.title, (10, y + LINE_PX - 4), colour, 0.48)
    for number, line in enumerate(cell.lines, start=2):
        _text(drawn, line, (10, y + number * LINE_PX - 4), TEXT if number == 2 else FAINT, 0.42)
    return drawn


def _heat(frame: Pixels, anomaly_map: NDArray[np.float32] | None, low: float, high: float) -> Pixels:
    if anomaly_map is None:
        return (frame * 0.4).astype(np.uint8)
    size = (frame.shape[1], frame.shape[0])
    strength = np.clip((anomaly_map - low) / (high - low), 0, 1).astype(np.float32)
    strength = cv2.resize(strength, size, interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((strength * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = np.minimum(0.25 + strength, 0.85)[..., None]
    return np.asarray(frame * (1 - opacity) + colours * opacity, np.uint8)


def _scale(cells: Sequence[Cell]) -> tuple[float, float]:
    """What the darkest and the brightest colour stand for: the usual background, and the strong defects."""
    maps = [cell.anomaly_map for cell in cells if cell.anomaly_map is not None]
    if not maps:
        return 0.0, 1.0
    low = float(np.median([np.median(one) for one in maps]))
    high = float(np.percentile([one.max() for one in maps], 75))
    return low, max(high, low + 1e-6)


def _text(image: Pixels, text: str, origin: tuple[int, int], colour: Colour, size: float) -> None:
    """Writes text, cut to what fits; only ASCII can be drawn."""
    text = text.encode("ascii", "replace").decode()
    while text and origin[0] + cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0] > image.shape[1] - 4:
        text = text[:-4] + "..." if len(text) > 4 else ""
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
