"""The same place of the nearest good parts: what a part is compared with where somebody decides about it.

An engine keeps small pictures of good images it learned from (`engines.bundle.reference`). A part is brought to the
same form as they: found and turned upright by the engine's location, then in grey of 64 px with brightness and contrast
taken out. The nearest ones differ least, with the place of the defect counting most: there somebody will look.

The difference is coloured on the scale of the heat map. Its limit is how much the nearest good ones differ from each
other, so that what varies among good parts stays without colour.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_pictures
from engines.bundle.reference import INDEX_FILE, ReferencePicture, as_reference, has_reference, read_reference
from engines.errors import EngineError, ImageError, PartNotLocated
from engines.inputs.depth import relief
from engines.location.location import Location
from engines.overlay import Pixels, as_rgb, coloured, shown_map
from engines.preprocess import Fitted, prepare
from engines.scale import ScoreScale
from station.records.parts import PartRow, ViewRow
from station.reports.seen import Eyes

Greys: TypeAlias = NDArray[np.float32]

SHOWN = 3
COMPARED_PX = 64
"""Longer side of what is compared."""
PLACE_WEIGHT, ELSEWHERE_WEIGHT = 1.0, 0.02
"""A cell of the place counts as much as fifty others: what lies far from it decides only between equals."""
SURROUNDINGS = 0.06
"""Of the longer side: what around a region belongs to its place."""
SMALLEST_PLACE = 0.3
"""Of the shorter side: a smaller cut-out shows no surroundings to know the place by."""
SHOWN_PX = 320
"""Longer side of the pictures that are shown."""
LEAST_DIFFERENCE = 12.0
"""Grey levels above what is typical, from which a difference is coloured at all: below, eyes see none."""
AT_A_TIME = 16
"""Pictures whose differences stay within the processor's cache: 0.4 ms for 200, against 4 ms for all at once."""
KEPT_ENGINES, KEPT_PARTS = 3, 12

NONE_KEPT = (
    "The engine that judged this part keeps no pictures of good parts, so there are none to compare with. "
    "The next engine that is taught will keep some."
)
NO_ENGINE = "The engine that judged this part is no longer on this station, and its pictures of good parts neither."
DAMAGED = "The pictures of good parts beside the engine are damaged, so none are shown. Maintenance can restore them."
NOT_FOUND = "The part was not found in this picture, so there is no place to compare."
NO_IMAGE = "There is no picture of this part, so there is nothing to compare."
REASONS = (NONE_KEPT, NO_ENGINE, DAMAGED, NOT_FOUND, NO_IMAGE)
"""All that can stand in `Compared.why`, in English."""


@dataclass(frozen=True, slots=True)
class GoodPart:
    """A good image beside the part."""

    image: int
    """Its number among the taught images, as the dossier of the engine numbers them."""
    distance: float
    """Root mean square difference at the place, in standard deviations of grey; 0: the same."""
    picture: Pixels
    """RGB, the same place as in `Compared.place`."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A view of a part beside the nearest good ones."""

    why: str
    """One of `REASONS`: why there is nothing to compare; empty: there is."""
    place: Pixels | None = None
    """RGB: where the defect is, upright as the engine sees it; all of the part where no place is known."""
    good: tuple[GoodPart, ...] = ()
    """Nearest first."""
    difference: Pixels | None = None
    """RGB: `place` in grey, coloured where it differs more from the good ones than they do from each other."""
    of: int = 0
    """Good images that were compared."""
    problem: str = ""
    """What exactly is damaged, for maintenance."""

    def picture(self, name: str) -> Pixels | None:
        """`place`, `difference`, `good-1` and so on; None: there is none of this name."""
        named: dict[str, Pixels | None] = {"place": self.place, "difference": self.difference}
        named |= {f"good-{number}": one.picture for number, one in enumerate(self.good, start=1)}
        return named.get(name)


class NearestGood:
    """Compares views of parts with what their engines keep. Any thread may ask; a few results and engines are kept."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._lock = threading.Lock()
        self._engines: OrderedDict[tuple[Path, int], _Kept] = OrderedDict()
        self._parts: OrderedDict[tuple[str, int, str], Compared] = OrderedDict()

    def compare(self, part: PartRow, camera: str) -> Compared:
        """What there is to see of the view of this camera; a view that is not on record has no picture."""
        row = next((view for view in part.views if view.camera == camera), None)
        if row is None:
            return Compared(NO_IMAGE)
        key = part.session, part.acquisition_id, camera
        with self._lock:
            if key not in self._parts:
                compared = self._compare(part, row)
                if compared.why:  # cheap to find out, and it may change: an engine may be restored
                    return compared
                self._parts[key] = compared
                if len(self._parts) > KEPT_PARTS:
                    self._parts.popitem(last=False)
            return self._parts[key]

    def _compare(self, part: PartRow, row: ViewRow) -> Compared:
        found = self._eyes.bundle_of(part)
        if found is None:
            return Compared(NO_ENGINE)
        engine, manifest = found
        if not has_reference(engine):
            return Compared(NONE_KEPT)
        frame, _ = self._eyes.frame_of(row)
        if frame is None:
            return Compared(NO_IMAGE)
        try:
            kept = self._kept(engine, manifest)
        except (EngineError, OSError) as problem:
            return Compared(DAMAGED, problem=str(problem))
        try:
            fitted = prepare(frame, manifest.input, kept.location)
        except (PartNotLocated, ImageError):
            return Compared(NOT_FOUND)
        hottest = None if row.region_list else self._eyes.hottest_of(row)
        outlines = outlines_of(row, frame, hottest)
        return compare(kept.pictures, kept.greys, fitted, manifest, outlines, self._eyes.mark_of(row))

    def _kept(self, engine: Path, manifest: Manifest) -> _Kept:
        key = engine, (engine / INDEX_FILE).stat().st_mtime_ns
        if key not in self._engines:
            folder = engine.resolve()
            location = Location(manifest.location, ignore=manifest.ignore, pictures=read_pictures(folder, manifest))
            pictures = read_reference(engine, manifest)
            greys = np.stack([normalised(small_grey(one.pixels)) for one in pictures])
            self._engines[key] = _Kept(location, pictures, greys)
            if len(self._engines) > KEPT_ENGINES:
                self._engines.popitem(last=False)
        self._engines.move_to_end(key)
        return self._engines[key]


@dataclass(frozen=True, slots=True)
class _Kept:
    location: Location
    pictures: Sequence[ReferencePicture]
    greys: Greys
    """(pictures, rows, columns), see `normalised`."""


def outlines_of(row: ViewRow, frame: Pixels, hottest: tuple[float, float] | None = None) -> list[NDArray[np.float64]]:
    """Where to look, (n, 2) points (x, y) each, as shares of the frame: its regions, else around the hottest point."""
    height, width = frame.shape[:2]
    outlines = [
        (np.array(region.contour_px, np.float64) + 0.5) / (width, height)
        for region in row.region_list
        if region.contour_px
    ]
    if not outlines and hottest is not None:
        outlines = [np.array([hottest], np.float64)]
    return outlines


def compare(  # noqa: PLR0917
    pictures: Sequence[ReferencePicture],
    greys: Greys,
    fitted: Fitted,
    manifest: Manifest,
    outlines: Sequence[NDArray[np.float64]],
    mark: str = "",
) -> Compared:
    """The nearest of `pictures` to a part as the model sees it.

    Args:
        greys: (pictures, rows, columns), `normalised`.
        outlines: see `outlines_of`.
        mark: how the picture of the part was made of heights; people see a relief then. Empty: it was not.
    """
    shown = as_reference(fitted.pixels, manifest.input)
    rows, columns = shown.shape[:2]
    to_shown = np.array([columns / manifest.input.width, rows / manifest.input.height])
    corners = [fitted.placement.in_input(outline) * to_shown for outline in outlines]
    distances = weighted_distances(greys, normalised(small_grey(shown)), place_weights(corners, shown, greys.shape[1:]))
    nearest = np.argsort(distances, kind="stable")[:SHOWN]
    shown, *good = (relief(one, mark) for one in (shown, *(pictures[place].pixels for place in nearest)))
    cut = place_of(corners, rows, columns)
    return Compared(
        why="",
        place=_enlarged(shown[cut]),
        good=tuple(
            GoodPart(pictures[place].image, float(distances[place]), _enlarged(picture[cut]))
            for place, picture in zip(nearest, good, strict=True)
        ),
        difference=_difference(shown, good, cut),
        of=len(pictures),
    )


def small_grey(picture: Pixels) -> Greys:
    """An RGB picture in grey, its longer side `COMPARED_PX`."""
    factor = min(1.0, COMPARED_PX / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def normalised(grey: Greys) -> Greys:
    """Without its brightness and contrast: mean 0, standard deviation 1; a uniform picture is 0."""
    centred = grey - grey.mean()
    return np.asarray(centred / max(float(centred.std()), 1.0), np.float32)


def place_weights(corners: Sequence[NDArray[np.float64]], shown: Pixels, shape: tuple[int, ...]) -> Greys:
    """How much each cell (rows, columns) counts: most at the place, and next to it.

    Args:
        corners: outlines in pixels of `shown`; none: every cell counts alike.
    """
    if not corners:
        return np.ones(shape, np.float32)
    place = np.zeros(shown.shape[:2], np.uint8)
    for outline in corners:
        points = np.rint(outline - 0.5).astype(np.int32).reshape(-1, 1, 2)
        cv2.fillPoly(place, [points], 1)
        cv2.polylines(place, [points], True, 1)
    reach = 2 * max(1, round(SURROUNDINGS * max(place.shape))) + 1
    around = cv2.dilate(place, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    cells = cv2.resize(around.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(ELSEWHERE_WEIGHT + (PLACE_WEIGHT - ELSEWHERE_WEIGHT) * cells, np.float32)


def weighted_distances(greys: Greys, grey: Greys, weights: Greys) -> NDArray[np.float64]:
    """(pictures,): the weighted root mean square difference of each of `greys` from `grey`."""
    flat, one, weight = greys.reshape(len(greys), -1), grey.reshape(-1), weights.reshape(-1)
    sums = np.empty(len(flat))
    difference = np.empty((AT_A_TIME, flat.shape[1]), np.float32)
    for start in range(0, len(flat), AT_A_TIME):
        some = flat[start : start + AT_A_TIME]
        part = difference[: len(some)]
        np.subtract(some, one, out=part)
        np.square(part, out=part)
        sums[start : start + len(some)] = part @ weight
    return np.asarray(np.sqrt(sums / float(weight.sum())), np.float64)


def place_of(corners: Sequence[NDArray[np.float64]], rows: int, columns: int) -> tuple[slice, slice]:
    """The cut-out around the largest outline, with as much around it; everything where there is none."""
    if not corners:
        return slice(0, rows), slice(0, columns)
    largest = max(corners, key=lambda outline: float(np.prod(np.ptp(outline, axis=0) + 1.0)))
    low, high = largest.min(axis=0), largest.max(axis=0)
    side = max(2.0 * float((high - low).max()), SMALLEST_PLACE * min(rows, columns))
    spans = []
    for centre, size in zip((low + high)[::-1] / 2, (rows, columns), strict=True):
        length = min(size, max(1, round(side)))
        start = int(np.clip(round(float(centre) - length / 2), 0, size - length))
        spans.append(slice(start, start + length))
    return spans[0], spans[1]


def _difference(shown: Pixels, good: Sequence[Pixels], cut: tuple[slice, slice]) -> Pixels:
    """See `Compared.difference`."""
    grey = _level_grey(shown)
    others = np.stack([_level_grey(one, grey) for one in good])
    usual = others.mean(axis=0)
    spread = np.abs(others - usual).max(axis=0)
    typical = float(np.median(spread))
    limit = max(typical + LEAST_DIFFERENCE, float(np.quantile(spread, 0.995)))
    scores = shown_map(np.asarray(np.abs(grey - usual), np.float32), ScoreScale(typical, limit))
    pale = _enlarged(as_rgb(np.asarray(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), np.uint8))[cut])
    fine = cv2.resize(scores[cut], (pale.shape[1], pale.shape[0]), interpolation=cv2.INTER_LINEAR)
    return coloured(pale, np.asarray(fine, np.float32))


def _level_grey(picture: Pixels, like: Greys | None = None) -> Greys:
    """In grey without noise of single pixels; `like`: with the brightness and contrast of that picture."""
    grey = np.asarray(cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0), np.float32)
    if like is None:
        return grey
    return np.asarray((grey - grey.mean()) * (like.std() / max(float(grey.std()), 1.0)) + like.mean(), np.float32)


def _enlarged(picture: Pixels) -> Pixels:
    """To the size that is shown: the cut-out of a small picture."""
    factor = SHOWN_PX / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
