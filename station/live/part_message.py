"""A part as it is shown: JSON, and of each view its picture (JPEG) and heat map (PNG), in one piece.

    length of the JSON (4 bytes, little endian) | JSON | picture, heat map of view 1 | of view 2 | ...

In the JSON each view says how many bytes its picture and heat map have; 0: there is none.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.inputs.depth import shaded
from engines.overlay import HEAT, OPACITY, shown_map
from engines.scale import LIMIT
from station.live.feed import finite
from station.live.figures import figures_of
from station.results import Frame, FrameQuality, Inspection, InspectionRecord, Pixels, Region, score_of

QualityOf = Callable[[Pixels], FrameQuality]
"""Measures a frame that was not inspected."""

PICTURE_PX = 960
"""Longer side of a picture at most."""
HEAT_PX = 320
QUALITIES = (82, 50)
"""Of JPEG: the second where the first is too large."""
PICTURE_BYTES = 640 * 1024
HEAT_BYTES = 192 * 1024
JSON_BYTES = 64 * 1024
MOST_OUTLINES = 20
MOST_POINTS = 48
_DETAIL = 300
_STEPS = 254
"""The limit, 0.5, is a whole step."""


def slot_bytes(cameras: int) -> int:
    """What a part with this many views takes at most."""
    return JSON_BYTES + cameras * (PICTURE_BYTES + HEAT_BYTES)


def part_message(record: InspectionRecord, quality_of: QualityOf | None = None) -> bytes:
    """The part with its pictures. Where one cannot be made, its view says why: the verdict is shown in any case.

    `quality_of`: for views that were not inspected; None: they have no figures.
    """
    views, blobs = [], []
    for view in record.views:
        figures: dict[str, Any] | None = None
        try:
            picture, why = picture_of(view.frame)
            heat = _heat(view)
            figures = _figures(view, quality_of)
        except (cv2.error, ValueError) as problem:
            picture, heat, why = b"", b"", f"the picture cannot be made: {str(problem)[:_DETAIL]}"
        views.append({**_view(view, len(picture), len(heat), why), "figures": figures})
        blobs += [picture, heat]
    return framed({**_part(record), "views": views}, blobs)


def framed(head: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """JSON and pictures in one piece."""
    text = json.dumps(head, allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(text)), text, *blobs))


def _figures(view: Inspection, quality_of: QualityOf | None) -> dict[str, Any] | None:
    pixels = view.frame.pixels
    if view.measurement is not None:
        return figures_of(pixels, view.measurement.quality)
    return None if quality_of is None else figures_of(pixels, quality_of(pixels))


def _part(record: InspectionRecord) -> dict[str, Any]:
    part = record.part
    return {
        "acquisition_id": part.acquisition_id,
        "part_id": part.part_id,
        "session": record.session,
        "verdict": record.decision.verdict.name,
        "reasons": [
            {"code": reason.code.value, "detail": reason.detail[:_DETAIL]} for reason in record.decision.reasons[:8]
        ],
        "score": finite(score_of(record.views)),
        "limit": finite(record.reject_score),
        "latency_ms": finite(record.latency_ms),
        "signalled_ns": record.signalled_ns,
        "wall_time": part.wall_time,
        "challenge": part.challenge,
        "recipe": record.recipe,
        "engine": record.engine_id[:12],
    }


def _view(view: Inspection, picture: int, heat: int, why: str) -> dict[str, Any]:
    height, width = view.frame.pixels.shape[:2]
    measured = view.measurement
    return {
        "camera": view.camera,
        "verdict": view.decision.verdict.name,
        "score": None if measured is None else finite(measured.score),
        "limit": finite(view.reject_score),
        "width": width,
        "height": height,
        "picture": picture,
        "heat": heat,
        "why_no_picture": why,
        "outlines": [] if measured is None else _outlines(measured.regions.listed, width, height),
    }


def _outlines(regions: Sequence[Region], width: int, height: int) -> list[list[list[float]]]:
    """Of the largest regions, as shares of the frame."""
    outlines = []
    for region in regions[:MOST_OUTLINES]:
        step = 1 + (len(region.contour_px) - 1) // MOST_POINTS
        points = region.contour_px[::step]
        outlines.append([[round((x + 0.5) / width, 4), round((y + 0.5) / height, 4)] for x, y in points])
    return outlines


def picture_of(frame: Frame) -> tuple[bytes, str]:
    """The frame as JPEG of at most `PICTURE_PX`, heights as relief; empty with the reason where it fails."""
    pixels = frame.pixels
    small = _within(pixels, PICTURE_PX)
    if frame.heights is not None:
        small = shaded(small, frame.heights.spec.channels)
    if small.ndim == 3:
        small = np.ascontiguousarray(small[..., ::-1])
    for quality in QUALITIES:
        done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and data.size <= PICTURE_BYTES:
            return data.tobytes(), ""
    return b"", f"a frame of {pixels.shape[1]} x {pixels.shape[0]} px does not fit the live memory"


def _within(pixels: Pixels, most_px: int) -> Pixels:
    height, width = pixels.shape[:2]
    factor = most_px / max(height, width)
    if factor >= 1.0:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _heat(view: Inspection) -> bytes:
    """The heat map as PNG with opacity, in the colours of `engines.overlay`; empty below the limit everywhere.

    The raw map is interpolated and then shown, as regions are measured: colour begins where their outlines run.
    """
    if view.scores is None or view.pixel_scale is None:
        return b""
    anomaly_map = np.asarray(view.scores.anomaly_map, np.float32)
    if not np.isfinite(anomaly_map).all() or anomaly_map.max() < view.pixel_scale.limit:
        return b""
    height, width = view.frame.pixels.shape[:2]
    factor = HEAT_PX / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    fine = np.asarray(cv2.resize(anomaly_map, size, interpolation=cv2.INTER_LINEAR), np.float32)
    steps = np.rint(shown_map(fine, view.pixel_scale) * _STEPS).astype(np.uint8)
    done, data = cv2.imencode(".png", _PALETTE[steps], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes() if done and data.size <= HEAT_BYTES else b""


def _palette() -> NDArray[np.uint8]:
    """(255, 4), blue, green, red and opacity of each step of the score from 0 to 1."""
    scores = np.arange(_STEPS + 1) / _STEPS
    at, colours = zip(*HEAT, strict=True)
    channels = [np.interp(scores, at, channel) for channel in list(zip(*colours, strict=True))[::-1]]
    opacity = np.where(scores >= LIMIT, np.interp(scores, (LIMIT, 1.0), OPACITY), 0.0) * 255
    return np.asarray(np.rint(np.stack([*channels, opacity], axis=-1)), np.uint8)


_PALETTE = _palette()
