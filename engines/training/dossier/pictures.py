"""Pictures of images, large enough to be enlarged, and the same with the anomaly map over them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.overlay import fitted, heated, outline
from engines.scale import ScoreScale

PICTURE_PX = 512
"""Long side: a page shows them small, and enlarges them."""
JPEG_QUALITY = 85


def picture_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`image` (grey or RGB) as RGB, its long side at most `PICTURE_PX`."""
    return fitted(image, PICTURE_PX, PICTURE_PX)


def overlay(
    picture: NDArray[np.uint8], anomaly_map: NDArray[np.float32], scale: ScoreScale, learned: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """The map in colours over an RGB picture that it covers completely; outlines around cells that were not learned.

    Args:
        learned: (map_height, map_width), 0 where a cell was masked; None: nothing was.
    """
    mixed = heated(picture, anomaly_map, scale)
    if learned is not None and not learned.all():
        height, width = picture.shape[:2]
        masked = cv2.resize((learned == 0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(masked, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline(mixed, [np.asarray(points, np.int32) for points in outlines])
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
