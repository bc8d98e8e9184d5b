"""The picture that shows how parts are located: some training images with what was found, and those left out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.location.blob import find_blob
from engines.location.contrast import measure_contrast
from engines.location.location import Location
from engines.preprocess import prepare
from engines.training.images.dataset import ImageFile, read_image
from engines.training.location.locate import Located

SHOWN = 12
SHOWN_FAILED = 12
COLUMNS = 6
TILE_PX, LINE_PX, GAP_PX = 220, 16, 8

Colour = tuple[int, int, int]
GROUND: Colour = (28, 30, 33)
TEXT: Colour = (225, 227, 230)
OUTLINE: Colour = (255, 200, 0)
BOX: Colour = (90, 220, 120)
FAILED: Colour = (240, 96, 84)
_LETTERS_PER_TILE = 36


def location_sheet(located: Located) -> NDArray[np.uint8]:
    """(height, width, 3) RGB. For each image what was found in it, and below what the model sees of it.

    Of a near miss what would be found.

    Green: the box, its bar the end that goes left. Yellow: the outline of a part that was segmented. Red: left out.
    """
    if located.near_miss:
        located = located.near_miss.instead
    files = located.dataset.files
    picks = np.unique(np.linspace(0, len(files) - 1, min(SHOWN, len(files))).round().astype(int))
    tiles = [_tile(located, files[pick]) for pick in picks]
    tiles += [_failed_tile(entry.file, entry.reason) for entry in located.failed[:SHOWN_FAILED]]
    return _grid(tiles)


def _tile(located: Located, file: ImageFile) -> NDArray[np.uint8]:
    image = read_image(file.path)
    seen = prepare(image, located.input, located.location).pixels
    return _stack([_contain(_drawn(image, located.location)), _contain(seen)], [file.path.name], TEXT)


def _failed_tile(file: ImageFile, reason: str) -> NDArray[np.uint8]:
    image = _contain(read_image(file.path))
    cv2.rectangle(image, (0, 0), (image.shape[1] - 1, image.shape[0] - 1), FAILED, 2)
    words = reason.split()
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) >= _LETTERS_PER_TILE:
            lines.append("")
        lines[-1] += f"{word} "
    return _stack([image], [file.path.name, *lines[:6]], FAILED)


def _drawn(image: NDArray[np.uint8], location: Location) -> NDArray[np.uint8]:
    """The image with outline, box and the end that goes left."""
    pose = location.locate(image)
    picture = image.copy() if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if pose is None:
        return picture
    thick = max(1, max(image.shape[:2]) // 200)
    if location.spec.method == "blob":
        spec = location.spec
        outline = find_blob(measure_contrast(image, spec.cue, spec.side, spec.ground), spec.contrast).outline
        cv2.polylines(picture, [np.rint(outline).astype(np.int32)], True, OUTLINE, thick)
    corners = np.rint(pose.corners()).astype(np.int32)
    cv2.polylines(picture, [corners], True, BOX, thick)
    cv2.line(picture, corners[3].tolist(), corners[0].tolist(), BOX, 3 * thick)
    centre = np.rint([pose.x, pose.y]).astype(int)
    left = np.rint((corners[0] + corners[3]) / 2).astype(int)
    cv2.line(picture, centre.tolist(), left.tolist(), BOX, thick)
    return picture


def _contain(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As large as fits into a tile, RGB."""
    scale = TILE_PX / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), np.uint8)


def _stack(pictures: list[NDArray[np.uint8]], lines: list[str], colour: Colour) -> NDArray[np.uint8]:
    """Lines of text above pictures, all of one tile's width."""
    height = len(lines) * LINE_PX + sum(picture.shape[0] + GAP_PX for picture in pictures)
    tile = np.full((height, TILE_PX, 3), GROUND, np.uint8)
    for number, line in enumerate(lines, start=1):
        text = line[:_LETTERS_PER_TILE]
        cv2.putText(tile, text, (0, number * LINE_PX - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, 1, cv2.LINE_AA)
    y = len(lines) * LINE_PX
    for picture in pictures:
        tile[y : y + picture.shape[0], : picture.shape[1]] = picture
        y += picture.shape[0] + GAP_PX
    return tile


def _grid(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    columns = min(COLUMNS, len(tiles))
    sheet = np.full((sum(heights) + GAP_PX, GAP_PX + columns * (TILE_PX + GAP_PX), 3), GROUND, np.uint8)
    y = GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            x = GAP_PX + column * (TILE_PX + GAP_PX)
            sheet[y : y + tile.shape[0], x : x + TILE_PX] = tile
        y += height
    return sheet
