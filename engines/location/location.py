"""How an engine sees an image: where the part lies, and which regions of it are ignored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import LocationSpec, NoLocation, PictureName, Polygon, needed_pictures
from engines.errors import EngineError
from engines.location.blob import BlobLocator
from engines.location.pose import Pose
from engines.location.template import TemplateLocator

Picture = NDArray[np.uint8]


class Locator(Protocol):
    """Finds the part in an image."""

    def locate(self, image: NDArray[np.uint8], /) -> Pose:
        """The part's pose in `image`, uint8 (height, width) grey or (height, width, 3) RGB.

        Raises:
            PartNotLocated: no part, or not exactly one.
        """
        ...


class Location:
    """A `LocationSpec` with its pictures, ready to run.

    Regions to ignore are polygons relative to what was located (the whole image for `none`), so that they move with the
    part. There the model is shown a good part's pixels, always the same ones: they look right to any detector and never
    change, so they neither hide nor cause a defect.
    """

    def __init__(
        self,
        spec: LocationSpec | None = None,
        *,
        ignore: tuple[Polygon, ...] = (),
        pictures: Mapping[PictureName, Picture] | None = None,
    ) -> None:
        """Raises EngineError when a picture is missing or too many."""
        self.spec: LocationSpec = spec or NoLocation()
        self.ignore = ignore
        self.pictures: dict[PictureName, Picture] = dict(pictures or {})
        needed = needed_pictures(self.spec, ignore)
        if needed != set(self.pictures):
            raise EngineError(
                f"location {self.spec.method} with {len(ignore)} ignored regions needs the pictures "
                f"{sorted(needed) or 'none'}, has {sorted(self.pictures) or 'none'}"
            )
        self._locator = self._open()

    @property
    def content_id(self) -> str:
        """Hash over everything that shapes the model's input."""
        digest = hashlib.sha256(repr((self.spec.model_dump_json(), self.ignore)).encode())
        for name in sorted(self.pictures):
            digest.update(f"{name} {self.pictures[name].shape}".encode() + self.pictures[name].tobytes())
        return digest.hexdigest()

    def locate(self, image: NDArray[np.uint8]) -> Pose | None:
        """The part's pose; None: the whole image is looked at. Raises PartNotLocated."""
        return self._locator.locate(image) if self._locator else None

    def ignored(self, content: tuple[float, float, float, float], shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Which pixels of a model input of `shape` are ignored (255, else 0); None: all count.

        Args:
            content: (x, y, width, height) of the located part in the model input.
        """
        if not self.ignore:
            return None
        x, y, width, height = content
        mask = np.zeros(shape[:2], np.uint8)
        corners = [
            np.rint(np.array(polygon) * (width, height) + (x - 0.5, y - 0.5)).astype(np.int32)
            for polygon in self.ignore
        ]
        cv2.fillPoly(mask, corners, 255)
        return np.asarray(mask, np.uint8)

    def fill(self, pixels: Picture, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the model input `pixels` with the ignored ones replaced. Raises EngineError for another size."""
        fill = self.pictures["fill"]
        if fill.shape != pixels.shape:
            raise EngineError(f"the picture for ignored regions has shape {fill.shape}, the input {pixels.shape}")
        filled = cv2.copyTo(fill, mask, pixels.copy())
        return np.asarray(filled, np.uint8)

    def _open(self) -> Locator | None:
        if self.spec.method == "blob":
            return BlobLocator(self.spec)
        if self.spec.method == "template":
            return TemplateLocator(self.spec, self.pictures["template"])
        return None


WHOLE_IMAGE = Location()
