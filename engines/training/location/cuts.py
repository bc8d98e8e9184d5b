"""Ways to cut a loose part out, and which of them suits the good images: nearly all located, and alike after the crop.

Whether crops are alike is measured by how much of a crop the mean of the *other* crops does not explain: the held-out
deviance of the simplest closed form, a Gaussian of one variance around the mean at every pixel, over the deviance of a
uniform picture. It does not fall when a box holds more of the empty ground, as the deviance alone does, and the spread
of the size says nothing of a box that turns or moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import BlobLocation
from engines.errors import PartNotLocated
from engines.location.blob import Blob, find_blob, pose_of
from engines.location.contrast import Contrast, Cue, Ground, Side, measure_contrast
from engines.location.pose import Pose, TurnedPlacement
from engines.training.location.blob import Spread, choose_blobs, spread_of

Picture = NDArray[np.uint8]
"""(height, width) or (height, width, 3)."""

WAYS: tuple[tuple[Cue, Side, Ground], ...] = (
    (None, None, None),
    (None, "darker", None),
    (None, "brighter", None),
    (None, "darker", "local"),
    (None, "brighter", "local"),
    (None, None, "local"),
    ("edges", None, None),
)
"""From the simplest on."""
SHARES_OF_OTSU = (0.5, 0.75, 1.0)
"""Otsu's threshold lies between the background and the mean of the part; fainter places count with a lower one, soft
shadows do not with a higher one."""
LEAST_CONTRAST: dict[Cue, float] = {None: 8.0, "edges": 2.0}
CONTRAST_IN_NOISE = 6.0

FEW = 16
"""Images that every cut is tried on first."""
GOOD_SHARE = 0.93
"""Of the images: cuts that locate fewer are taken only where all do."""
NEIGHBOURS_COUNT = 0.1
"""Weight of the next lower and the next higher level in the choice of a level."""
FINALISTS = 4
"""Ways whose best level is tried on all images."""
WORTH_OF_A_WAY = 0.003
"""Each further way has to explain so much more: among equals the simplest is taken."""
CROP_PX = 48
"""Longer side of the crops that are compared."""


@dataclass(frozen=True)
class Cut:
    """One way and level; as in `BlobLocation`."""

    cue: Cue
    side: Side
    ground: Ground
    contrast: float

    @property
    def way(self) -> tuple[Cue, Side, Ground]:
        """One of `WAYS`."""
        return self.cue, self.side, self.ground


@dataclass(frozen=True)
class Tried:
    """A cut, the settings made of it, and how they do on some images."""

    cut: Cut
    spec: BlobLocation
    poses: tuple[Pose | str, ...]
    """In each image, scaled down to `SEARCH_PX`; a text: why the part was not found."""
    spread: Spread
    unexplained: float
    """Share of the crops that the others do not explain; about 1 for what has nothing in common."""

    @property
    def located_share(self) -> float:
        """Of the images."""
        return sum(isinstance(pose, Pose) for pose in self.poses) / len(self.poses)

    @property
    def explained(self) -> float:
        """Of all images; nothing of those in which the part was not found."""
        return self.located_share * (1 - self.unexplained)


def try_cuts(images: Sequence[Picture], least_share: float) -> list[Tried]:
    """The cuts that locate at least `least_share` of the images, the most suitable first.

    `images` are scaled down to `SEARCH_PX`. All cuts are tried on few images, the best of them on all.
    """
    few = images[:: -(-len(images) // FEW)]
    best_of_ways: list[Tried] = []
    for way in WAYS:
        try:
            contrasts = [measure_contrast(image, *way) for image in few]
        except PartNotLocated:
            return []
        cuts = [Cut(*way, level) for level in sorted(_levels(way[0], contrasts))]
        best_of_ways += best_level([
            _ordered(_tried(cut, few, contrasts, 0.8 * least_share, with_brightness=False)) for cut in cuts
        ])  # fmt: skip
    final: list[Tried] = []
    for cut in [each.cut for each in _ordered(best_of_ways)][:FINALISTS]:
        contrasts = [measure_contrast(image, *cut.way) for image in images]
        final += _tried(cut, images, contrasts, least_share, with_brightness=True)
        if final and not final[0].spread.varies:
            break  # what always lies alike needs no better cut
    return _ordered(final)


def best_level(levels: Sequence[Sequence[Tried]]) -> list[Tried]:
    """The best of the best of each level, from the lowest on; a level whose neighbours fail is about to fail itself.
    Empty when all do."""
    explained = np.array([level[0].explained if level else 0.0 for level in levels])
    padded = np.pad(explained, 1, mode="edge")
    steady = explained + NEIGHBOURS_COUNT * (padded[:-2] + padded[2:] - 2 * explained)
    order = sorted(range(len(levels)), key=lambda at: (_is_good(levels[at]), steady[at]), reverse=True)
    return list(levels[order[0]][:1])


def _is_good(level: Sequence[Tried]) -> bool:
    return bool(level) and level[0].located_share >= GOOD_SHARE


def _ordered(tried: Iterable[Tried]) -> list[Tried]:
    def worth(each: Tried) -> tuple[bool, float]:
        return each.located_share >= GOOD_SHARE, each.explained - WORTH_OF_A_WAY * WAYS.index(each.cut.way)

    return sorted(tried, key=worth, reverse=True)


def plain_contrast(images: Sequence[Picture]) -> float:
    """The lowest level of the simplest way; 8 for images that are too small to measure."""
    try:
        return next(_levels(None, [measure_contrast(image) for image in images]))
    except PartNotLocated:
        return LEAST_CONTRAST[None]


def unexplained_share(crops: NDArray[np.float32]) -> float:
    """Of crops (n, height, width): what of their energy, each without its mean, the mean of the others leaves."""
    centred = crops - crops.mean(axis=(1, 2), keepdims=True)
    count = len(crops)
    left_out = (centred - centred.mean(axis=0)) * (count / (count - 1))
    return float(np.square(left_out).sum() / max(1e-6, float(np.square(centred).sum())))


def whole_images(images: Sequence[Picture]) -> NDArray[np.float32]:
    """The images as crops."""
    height, width = np.median([image.shape[:2] for image in images], axis=0)
    scale = CROP_PX / max(height, width)
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    return np.stack(
        [_grey(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)) for image in images]
    )


def _tried(
    cut: Cut, images: Sequence[Picture], contrasts: Sequence[Contrast], least_share: float, *, with_brightness: bool
) -> Iterator[Tried]:
    """With every way to lay a box around what was cut out."""
    blobs: list[Blob | str] = []
    for contrast in contrasts:
        try:
            blobs.append(find_blob(contrast, cut.contrast, with_brightness=with_brightness))
        except PartNotLocated as error:
            blobs.append(str(error))
    good = [blob for blob in blobs if isinstance(blob, Blob)]
    if len(good) < max(2, least_share * len(images)):
        return
    longer = [max(image.shape[:2]) for image, blob in zip(images, blobs, strict=True) if isinstance(blob, Blob)]
    spread = spread_of(good, longer)
    for spec in choose_blobs(good, spread, cut.contrast, cue=cut.cue, side=cut.side, ground=cut.ground):
        poses = tuple(_posed(blob, spec) for blob in blobs)
        located = [(image, pose) for image, pose in zip(images, poses, strict=True) if isinstance(pose, Pose)]
        if len(located) >= max(2, least_share * len(images)):
            yield Tried(cut, spec, poses, spread, unexplained_share(_crops(located)))


def _posed(blob: Blob | str, spec: BlobLocation) -> Pose | str:
    try:
        return blob if isinstance(blob, str) else pose_of(blob, spec)
    except PartNotLocated as error:
        return str(error)


def _crops(located: Sequence[tuple[Picture, Pose]]) -> NDArray[np.float32]:
    """What a model would see, small and grey."""
    width, height = np.median([(pose.width, pose.height) for _, pose in located], axis=0)
    scale = CROP_PX / max(width, height)
    size = max(4, round(width * scale)), max(4, round(height * scale))
    return np.stack(
        [_grey(TurnedPlacement(pose, image.shape[1], image.shape[0], *size).warp(image)) for image, pose in located]
    )


def _grey(image: Picture) -> NDArray[np.float32]:
    return np.asarray(image if image.ndim == 2 else image.mean(axis=2), np.float32)


def _levels(cue: Cue, contrasts: Sequence[Contrast]) -> Iterator[float]:
    """Levels above the noise: shares of Otsu's, the upper of two of his, and the triangle's."""
    scale = 8.0 if cue == "edges" else 1.0  # so that 8 bits have steps fine enough
    otsus, triangles = [], []
    for contrast in contrasts:
        levels = np.asarray(np.clip(contrast.distance * scale, 0, 255), np.uint8)
        otsus.append(cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0] / scale)
        triangles.append(cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_TRIANGLE)[0] / scale)
    otsu = float(np.median(otsus))
    least = max(LEAST_CONTRAST[cue], CONTRAST_IN_NOISE * float(np.median([contrast.noise for contrast in contrasts])))
    wanted = [*(share * otsu for share in SHARES_OF_OTSU), 1.4 * otsu, float(np.median(triangles))]
    yield from dict.fromkeys(round(min(255.0, max(least, level)), 1) for level in wanted)
