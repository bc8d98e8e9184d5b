"""The zones of every camera over its newest image on record: whether they lie where they were meant."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from engines.overlay import Pixels
from station.configuration.load import LoadedConfiguration
from station.records.schema import RecordingError, open_reader
from station.records.selection import Selection, newest_of
from station.reports.drawing import MUTED, Drawing
from station.reports.part_picture import EDGE, GAP, WIDTH, draw_legend, draw_zones, limits_and_zones
from station.reports.seen import Eyes

LOOKED_AT = 200
"""Newest parts among which an image of each camera is looked for."""
BOARD_PX = (300, 400)
"""Height and width of the grey board in place of an image: proportions only, zones are shares of the frame."""
_LINE = 17.0


def picture_of_zones(configuration: LoadedConfiguration) -> Drawing:
    """A photo of each camera with its zones, and under it what each of them limits."""
    images = _newest_images(configuration.records_dir, list(configuration.settings.cameras))
    drawing = Drawing(WIDTH, 0)
    y = float(EDGE)
    for camera in configuration.settings.cameras:
        y = _camera(drawing, configuration, camera, images.get(camera), y)
    draw_legend(drawing, EDGE, y, zones=True)
    drawing.height = round(y + 40)
    return drawing


def _camera(drawing: Drawing, configuration: LoadedConfiguration, camera: str, image: Pixels | None, y: float) -> float:
    limits = configuration.settings.decision_on(camera)
    drawing.text((EDGE, y + 14), f"camera {camera}", size=14, bold=True)
    y += 24
    shown = np.full((*BOARD_PX, 3), 128, np.uint8) if image is None else image
    width = min(WIDTH - 2.0 * EDGE, 600.0 * shown.shape[1] / shown.shape[0])
    height = width * shown.shape[0] / shown.shape[1]
    drawing.photo(EDGE, y, width, height, shown)
    draw_zones(drawing, limits.zones, (EDGE, y, width, height))
    y += height
    words = limits_and_zones(limits) + ([] if limits.zones else ["no zones"])
    if image is None:
        words.insert(0, "no image of this camera is on record: a grey board, which may have other proportions")
    for text in words:
        y += _LINE
        drawing.text((EDGE, y), text, size=11, colour=MUTED)
    return y + GAP


def _newest_images(records: Path, cameras: list[str]) -> dict[str, Pixels]:
    """The newest image of each camera that has one; none where there are no records yet."""
    try:
        with closing(open_reader(records)) as connection:
            parts = newest_of(connection, Selection(), LOOKED_AT)
    except (RecordingError, sqlite3.Error):
        return {}
    found: dict[str, Pixels] = {}
    eyes = Eyes(records)
    for part in reversed(parts):
        if any(view.image_path and view.camera in cameras and view.camera not in found for view in part.views):
            for view in eyes.look(part).views:
                if view.image is not None:
                    found.setdefault(view.row.camera, view.image)
    return found
