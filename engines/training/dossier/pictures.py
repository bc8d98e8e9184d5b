"""Thumbnails, and the same with the anomaly map over them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.scale import LIMIT, ScoreScale

THUMBNAIL_PX = 240
"""Long side."""
JPEG_QUALITY = 85
MAX_OPACITY = 0.7
"""Of the map's colours, from its limit on."""
TYPICAL = 0.1
"""Where the highest place of a typical good part shows; up to there the colours are transparent."""
MASK_COLOUR_RGB = (255, 255, 255)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`image` (grey or RGB) as RGB, its long side at most `THUMBNAIL_PX`."""
    height, width = image.shape[:2]
    factor = min(1.0, THUMBNAIL_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), np.uint8)


def overlay(
    picture: NDArray[np.uint8], anomaly_map: NDArray[np.float32], scale: ScoreScale, learned: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """The map in colours over an RGB picture that it covers completely; outlines around cells that were not learned.

    Args:
        learned: (map_height, map_width), 0 where a cell was masked; None: nothing was.
    """
    height, width = picture.shape[:2]
    shown = np.vectorize(scale.shown, otypes=[np.float32])(anomaly_map)
    heat = cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    opacity = MAX_OPACITY * np.clip((heat - TYPICAL) / (LIMIT - TYPICAL), 0.0, 1.0)[:, :, np.newaxis]
    mixed = np.ascontiguousarray(np.rint(picture * (1 - opacity) + colours * opacity), np.uint8)
    if learned is not None and not learned.all():
        masked = cv2.resize((learned == 0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(masked, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(mixed, outlines, -1, MASK_COLOUR_RGB, 1)
    return mixed


def write_jpeg(file: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture.

    Raises:
        TrainingError: it cannot be encoded.
    """
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise TrainingError(f"dossier: picture {file.name} of shape {picture.shape} cannot be encoded as JPEG")
    file.write_bytes(data.tobytes())
