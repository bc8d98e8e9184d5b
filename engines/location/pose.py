"""Where a part lies in an image, and the one warp from there to the model's input and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec

MAP_OVERSAMPLING = 2
"""Cells of the map over the frame per cell of the turned map, so that turning loses little of a peak."""
MAX_FRAME_MAP_CELLS = 1024
"""On the longer side of the map over the frame."""


@dataclass(frozen=True, slots=True)
class Pose:
    """An oriented rectangle around a part, in pixels of the image; (0, 0) is the outer corner of the first pixel."""

    x: float
    """Centre."""
    y: float
    width: float
    """Along the rectangle's own x axis."""
    height: float
    angle_deg: float = 0.0
    """From the image's x axis to the rectangle's, clockwise as seen."""

    def corners(self) -> NDArray[np.float64]:
        """(4, 2), (x, y): the rectangle's own top left first, then clockwise."""
        half = np.array([self.width, self.height]) / 2
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        turned: NDArray[np.float64] = (signs * half) @ _rotation(self.angle_deg).T + (self.x, self.y)
        return turned


@dataclass(frozen=True, slots=True)
class TurnedPlacement:
    """Where the model's input lies in an image of `image_width` x `image_height` px."""

    pose: Pose
    image_width: int
    image_height: int
    input_width: int
    input_height: int

    @property
    def scale(self) -> float:
        """Pixels of the image per pixel of the input: the pose fits inside at its own aspect."""
        return max(self.pose.width / self.input_width, self.pose.height / self.input_height)

    @property
    def content(self) -> tuple[float, float, float, float]:
        """(x, y, width, height) of the pose in the input, px; around it the input shows more of the image."""
        width, height = self.pose.width / self.scale, self.pose.height / self.scale
        return (self.input_width - width) / 2, (self.input_height - height) / 2, width, height

    def in_input(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) points (x, y) of the image, as shares of its width and height, in px of the input."""
        linear, offset = self._input_to_image()
        found: NDArray[np.float64] = (points * (self.image_width, self.image_height) - offset) @ np.linalg.inv(linear).T
        return found

    def warp(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The model's input, (input_height, input_width[, 3]); beyond the edge of the image is its reflection.

        Only the region around the part is touched. It is halved by averaging until what is left is less than a factor
        of two, against aliasing, and then turned, scaled and cut in one interpolation.
        """
        seen = self.input_width * self.scale, self.input_height * self.scale
        corners = Pose(self.pose.x, self.pose.y, *seen, self.pose.angle_deg).corners()
        step = 2 ** math.floor(math.log2(max(1.0, min(self.scale, self.image_width, self.image_height))))
        left, right = _span(corners[:, 0], self.image_width, step)
        top, bottom = _span(corners[:, 1], self.image_height, step)
        reduced = _halved(image[top:bottom, left:right], step)
        linear, offset = self._input_to_image()
        linear, offset = linear / step, (offset - (left, top)) / step
        pixels = cv2.warpAffine(
            reduced,
            _from_centres(linear, offset),
            (self.input_width, self.input_height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        return np.asarray(pixels, np.uint8)

    def cut(self, anomaly_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """The map over the whole image; what the model did not see gets the lowest value of the map."""
        rows, columns = anomaly_map.shape
        cell = np.array([self.input_width / columns, self.input_height / rows])  # px of the input
        frame = np.array([self.image_width, self.image_height])
        fine = float(cell.min()) * self.scale / MAP_OVERSAMPLING  # px of the image
        fine = max(fine, float(frame.max()) / MAX_FRAME_MAP_CELLS)
        size = np.maximum(1, np.ceil(frame / fine)).astype(int)
        linear, offset = self._input_to_image()
        to_input = np.linalg.inv(linear)
        step = frame / size  # px of the image per cell of the result
        turned = cv2.warpAffine(
            anomaly_map,
            _from_centres(to_input * step / cell[:, np.newaxis], -(to_input @ offset) / cell),
            (int(size[0]), int(size[1])),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float(anomaly_map.min()),
        )
        return np.asarray(turned, np.float32)

    def _input_to_image(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        linear = self.scale * _rotation(self.pose.angle_deg)
        centre = np.array([self.input_width, self.input_height]) / 2
        return linear, np.array([self.pose.x, self.pose.y]) - linear @ centre


def turned_placement(image: NDArray[np.uint8], pose: Pose, spec: InputSpec) -> TurnedPlacement:
    """The placement of the part at `pose` of `image` in the model's input."""
    height, width = image.shape[:2]
    return TurnedPlacement(pose, width, height, spec.width, spec.height)


def _rotation(angle_deg: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[cosine, -sine], [sine, cosine]])


def _from_centres(linear: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2 x 3 matrix for OpenCV, which counts from the centre of the first pixel instead of its outer corner."""
    half = np.array([0.5, 0.5])
    return np.column_stack([linear, linear @ half + offset - half])


def _span(coordinates: NDArray[np.float64], size: int, step: int) -> tuple[int, int]:
    """The pixels [start, end) of an image axis of `size` px that the coordinates cover, with some to spare.

    Both ends are multiples of `step`, where averaging is fast and exact; up to `step` - 1 px at the image's end are
    left to the reflection. At least one step, even for coordinates outside the image.
    """
    spare = 2 * step
    last = size // step * step
    start = int(np.clip(coordinates.min() - spare, 0, last - step)) // step * step
    end = math.ceil(np.clip(coordinates.max() + spare, start + step, last) / step) * step
    return start, end


def _halved(region: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Scaled down by `step`, a power of two that divides both sides."""
    while step > 1:
        half = (region.shape[1] // 2, region.shape[0] // 2)
        region = cv2.resize(region, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        step //= 2
    return region
