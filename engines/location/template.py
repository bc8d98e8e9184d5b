"""A taught picture that moves and turns a little: the best place by normalised correlation (OpenCV's TM_CCOEFF_NORMED).

Searched in a small grey image, over the whole of it; the place is then refined to a fraction of a pixel by a parabola
through the correlations around the best. For turned parts the image is turned back, in coarse, then in fine steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines import said
from engines.bundle.location_spec import TemplateLocation
from engines.errors import EngineError, PartNotLocated
from engines.location.pose import Pose

COARSE_STEP_DEG = 3.0
FINE_STEPS_DEG = (1.5, 0.75)


@dataclass(frozen=True, slots=True)
class _Match:
    correlation: float
    x: float
    """Left edge of the picture in the (turned) search image, px."""
    y: float
    angle_deg: float


class TemplateLocator:
    """Finds the taught `picture` (height, width), grey."""

    def __init__(self, spec: TemplateLocation, picture: NDArray[np.uint8]) -> None:
        """Raises EngineError when the picture does not fit into the search image or shows nothing."""
        height, width = picture.shape
        if height > spec.search_height or width > spec.search_width:
            raise EngineError(
                f"template of {width}x{height} px is larger than the search image "
                f"{spec.search_width}x{spec.search_height}; teach again"
            )
        if float(picture.std()) < 1.0:
            raise EngineError("the template is uniform: there is nothing to recognise; choose another box")
        self._spec, self._picture = spec, picture

    def locate(self, image: NDArray[np.uint8]) -> Pose:
        """See `Locator`."""
        spec = self._spec
        best = self._search(search_image(image, spec.search_width, spec.search_height))
        if not best.correlation >= spec.min_correlation:  # written so that NaN fails
            raise PartNotLocated(
                said.RESEMBLES(number=f"{best.correlation:.2f}", other_number=f"{spec.min_correlation:.2f}")
            )
        height, width = self._picture.shape
        matrix = _turn(best.angle_deg, spec.search_width, spec.search_height)
        x, y = matrix @ (best.x + width / 2, best.y + height / 2, 1.0)
        scale_x, scale_y = image.shape[1] / spec.search_width, image.shape[0] / spec.search_height
        return Pose(x * scale_x, y * scale_y, width * scale_x, height * scale_y, best.angle_deg)

    def correlation(self, image: NDArray[np.uint8]) -> float:
        """How well the taught picture is found, -1 to 1; for teaching."""
        return self._search(search_image(image, self._spec.search_width, self._spec.search_height)).correlation

    def _search(self, search: NDArray[np.uint8]) -> _Match:
        largest = self._spec.max_angle_deg
        count = math.ceil(largest / COARSE_STEP_DEG)
        angles = np.linspace(-largest, largest, 2 * count + 1) if count else np.zeros(1)
        best = max((self._match(search, float(angle)) for angle in angles), key=lambda match: match.correlation)
        for step in FINE_STEPS_DEG if count else ():
            around = [best.angle_deg + sign * step for sign in (-1, 1) if abs(best.angle_deg + sign * step) <= largest]
            best = max([best, *(self._match(search, angle) for angle in around)], key=lambda match: match.correlation)
        return best

    def _match(self, search: NDArray[np.uint8], angle_deg: float) -> _Match:
        if angle_deg:
            height, width = search.shape
            half = np.array([0.5, 0.5])
            matrix = _turn(angle_deg, width, height)
            matrix[:, 2] += matrix[:, :2] @ half - half  # OpenCV counts from the centre of the first pixel
            search = cv2.warpAffine(  # type: ignore[assignment]
                search, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )  # fmt: skip
        correlations = np.asarray(cv2.matchTemplate(search, self._picture, cv2.TM_CCOEFF_NORMED), np.float32)
        _, best, _, (column, row) = cv2.minMaxLoc(correlations)
        x = column + _vertex(correlations[row, :], column)
        y = row + _vertex(correlations[:, column], row)
        return _Match(best, x, y, angle_deg)


def search_image(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`image` in grey and in this size."""
    if image.shape[1] > 4 * width:  # every pixel of a large image is not needed to find a part in it
        image = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grey = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


def _vertex(values: NDArray[np.float32], index: int) -> float:
    """Offset of the peak of a parabola through the value at `index` and its neighbours, -0.5 to 0.5."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[index - 1 : index + 2])
    curvature = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0


def _turn(angle_deg: float, width: int, height: int) -> NDArray[np.float64]:
    """From the image in which the part is upright to the one in which it is turned; corner coordinates."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    centre = np.array([width, height]) / 2
    return np.column_stack([linear, centre - linear @ centre])
