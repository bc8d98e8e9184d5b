"""Drawn parts that lie loose under bad light: soft shadows, uneven ground, glare; with the truth beside every picture.

Lengths are shares of the shorter side of the picture unless a name says otherwise. A `Product` is a part under one kind
of light; `picture` draws the same picture for the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.location.pose import Pose

Points = NDArray[np.float64]
"""(n, 2), (x, y)."""
Picture = NDArray[np.uint8]
Grey = NDArray[np.float32]
"""(height, width)."""

TO_THE_EDGE = 0.03
"""A whole part comes this near to the edge."""
SEEN_SHARE = 0.99
"""Of the part's pixels: less is a wrong crop."""
LARGEST_BOX = 1.7
"""Area of the box over that of the tightest one: more is a wrong crop."""
ANGLE_DEG = 4.0
SUPERSAMPLING = 3


def bar() -> Points:
    """A bar with a thick end at the left, 2 long."""
    return np.array(
        [(-1, -0.3), (-0.6, -0.3), (-0.6, -0.13), (1, -0.13), (1, 0.13), (-0.6, 0.13), (-0.6, 0.3), (-1, 0.3)]
    )


def bracket() -> Points:
    """An L with a short leg at the left: its mirror image is another shape."""
    return np.array([(-1, -0.5), (-0.72, -0.5), (-0.72, 0.22), (1, 0.22), (1, 0.5), (-1, 0.5)])


def disc() -> Points:
    """Round, without any direction."""
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return 0.6 * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def plate() -> Points:
    """Nearly square with a notch: no long axis, and yet it has a direction."""
    return np.array(
        [(-0.6, -0.55), (0.6, -0.55), (0.6, 0.55), (0.1, 0.55), (0.1, 0.2), (-0.35, 0.2), (-0.35, 0.55), (-0.6, 0.55)]
    )


@dataclass(frozen=True)
class Product:
    """One part under one kind of light; grey levels."""

    name: str
    shape: Callable[[], Points]
    ground: float = 185.0
    part: float = 80.0
    length: float = 0.5
    """Of the part."""
    shadow: float = 0.0
    """How much darker the ground is where the shadow beside the part is deepest."""
    shadow_sigma: float = 0.035
    lumps: float = 0.0
    """Standard deviation of the uneven ground."""
    fall_off: float = 0.0
    """From the lit corner to the opposite one, bent: no quadratic surface."""
    glare: bool = False
    """A bright soft spot on the ground and a streak over the part."""
    rim: bool = False
    """The part has the grey of the ground, only its rim shows."""
    mirrored: bool = False
    """Every second part lies on its other side."""
    colour: bool = False
    """Another hue than the ground's in place of another grey."""
    noise: float = 3.0
    round: bool = False


PRODUCTS = (
    Product("plain bar", bar),
    Product("bar, soft shadow", bar, shadow=45),
    Product("bar, deep soft shadow", bar, shadow=65, part=70, shadow_sigma=0.05),
    Product("bright bar, dark shadow", bar, ground=120, part=190, shadow=60),
    Product("bar, uneven ground", bar, lumps=14, part=105),
    Product("bar, light from one side", bar, fall_off=110, part=45, shadow=25),
    Product("bar, glare", bar, glare=True, part=90),
    Product("bar, glare and shadow and uneven", bar, glare=True, shadow=40, lumps=8),
    Product("mirrored bracket, shadow", bracket, mirrored=True, shadow=45),
    Product("mirrored bright bracket, uneven", bracket, mirrored=True, ground=90, part=165, lumps=10, shadow=35),
    Product("disc, shadow", disc, shadow=45, round=True),
    Product("coloured bracket, shadow", bracket, colour=True, shadow=40, part=150),
    Product("bar, only its rim shows", bar, rim=True, part=60, shadow=20),
    Product("notched plate, shadow", plate, shadow=45),
)


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it."""

    image: Picture
    """(height, width) or (height, width, 3)."""
    outline: Points
    """Of the (first) part, px of the image."""
    angle_deg: float
    """Of the part's own x axis, its head being at the left end."""
    is_mirrored: bool
    is_whole: bool
    """False: half outside, two, or none."""


def picture(product: Product, seed: int, *, size: int = 320, what: str = "whole", spot: bool = False) -> Scene:
    """Draw one picture.

    Args:
        what: `whole`, `half` (partly outside), `two` (free beside each other), or `none`.
        spot: a small defect on the part.
    """
    rng = np.random.default_rng([seed, *product.name.encode()])
    count = {"whole": 1, "half": 1, "two": 2, "none": 0}[what]
    lies = [
        _lie(product, rng, size, half=what == "half", side=number if count == 2 else None) for number in range(count)
    ]
    outlines = [lie[0] for lie in lies]
    image = _ground(product, rng, size)
    mask = _filled(outlines, size)
    if product.shadow:
        offset = 0.03 * size
        moved = cv2.warpAffine(mask, np.array([[1, 0, offset], [0, 1, 1.3 * offset]]), (size, size))
        coarse = cv2.resize(moved, (size // 4, size // 4), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), product.shadow_sigma * size / 4)
        shade = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        image -= product.shadow * shade / max(1e-3, float((shade * (1 - mask)).max()))
    ground = image.copy()
    light = ground / max(1.0, float(ground.mean()))
    inside = product.part * light + np.float32(rng.normal(0, 2))
    if product.rim:
        thick = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=max(2, size // 130))
        inside = np.where(thick > 0.5, ground, inside)
    image = mask * inside + (1 - mask) * image
    if product.glare:
        image += _glare(rng, mask, size)
    if spot and outlines:
        _spot(image, outlines[0], rng, size)
    channels = [image]
    if product.colour:  # the same grey, another hue
        channels = [image * (1 - 0.25 * mask) + 40 * mask, image, image * (1 - 0.5 * mask)]
    noises = rng.standard_normal((len(channels), size, size), np.float32) * np.float32(product.noise)
    pixels = [np.clip(channel + noise, 0, 255) for channel, noise in zip(channels, noises, strict=True)]
    drawn = pixels[0] if len(pixels) == 1 else np.stack(pixels, axis=2)
    outline, angle, is_mirrored = lies[0] if lies else (np.zeros((0, 2)), 0.0, False)
    return Scene(drawn.astype(np.uint8), outline, angle, is_mirrored, what == "whole")


def turned_by(scene: Scene, pose: Pose) -> float:
    """Degrees from the part's own x axis to the box's; of a part on its other side seen from that side."""
    off = (pose.angle_deg - scene.angle_deg + 180) % 360 - 180
    return -off if scene.is_mirrored else off


def is_right(scene: Scene, product: Product, pose: Pose, usual_deg: float) -> bool:
    """The box holds the whole part and little else, turned as it is in other pictures of the product.

    Args:
        usual_deg: what `turned_by` is in most of them: any convention will do, if only it is kept.
    """
    if not scene.is_whole:
        return False
    turn = math.radians(pose.angle_deg)
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    rows, columns = np.nonzero(_filled([scene.outline], max(scene.image.shape[:2])) > 0.5)
    own = (np.stack([columns + 0.5, rows + 0.5], axis=1) - (pose.x, pose.y)) @ axes.T
    seen = float((np.abs(own) <= np.array([pose.width, pose.height]) / 2).all(axis=1).mean())
    _, tightest, _ = cv2.minAreaRect(scene.outline.astype(np.float32))
    allowed = LARGEST_BOX * math.prod(side + 0.1 * max(tightest) for side in tightest)
    off = abs((turned_by(scene, pose) - usual_deg + 180) % 360 - 180)
    return seen >= SEEN_SHARE and pose.width * pose.height <= allowed and (product.round or off <= ANGLE_DEG)


def usual_turn(turns: list[float]) -> float:
    """The turn that most others are near to, degrees."""
    each = np.array(turns)
    near = np.abs((each[:, np.newaxis] - each + 180) % 360 - 180) <= ANGLE_DEG
    most = each[near[int(near.sum(axis=1).argmax())]]
    return float(np.degrees(np.angle(np.exp(1j * np.radians(most)).mean())))


def _lie(
    product: Product, rng: np.random.Generator, size: int, *, half: bool, side: int | None
) -> tuple[Points, float, bool]:
    """The outline somewhere in the picture, at any angle, that angle, and whether it is on its other side."""
    angle = rng.uniform(-180, 180)
    unit = product.length / 2 * size * rng.uniform(0.98, 1.02) * (0.7 if side is not None else 1.0)
    points = product.shape() * unit
    is_mirrored = product.mirrored and bool(rng.random() < 0.5)
    if is_mirrored:
        points = points * (1, -1)
    turn = math.radians(angle)
    points = points @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    low, high = points.min(axis=0), points.max(axis=0)
    edge = TO_THE_EDGE * size
    first, last = edge - low, size - edge - high
    if side is not None:  # the left and the right half of the picture, as far as they are wide enough
        middle = size / 2 - 0.01 * size
        first[0], last[0] = (first[0], middle - high[0]) if side == 0 else (size - middle - low[0], last[0])
    centre = rng.uniform(np.minimum(first, last), np.maximum(first, last))
    if half:  # 25 to 60 % of its extent lie beyond one edge
        axis, beyond = int(rng.integers(2)), rng.uniform(0.25, 0.6)
        extent = high - low
        centre[axis] = (
            -low[axis] - beyond * extent[axis] if rng.random() < 0.5 else size - high[axis] + beyond * extent[axis]
        )
    return points + centre, angle, is_mirrored


def _ground(product: Product, rng: np.random.Generator, size: int) -> Grey:
    line = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = np.meshgrid(line, line)
    tilt = rng.uniform(-12, 12, 2).astype(np.float32)
    image = product.ground + tilt[0] * across + tilt[1] * down - 10 * (across**2 + down**2)
    if product.lumps:
        few = rng.standard_normal((size // 4, size // 4), np.float32)
        rough = cv2.resize(cv2.GaussianBlur(few, (0, 0), 0.02 * size), (size, size), interpolation=cv2.INTER_CUBIC)
        image += product.lumps * rough / rough.std()
    if product.fall_off:
        image += product.fall_off * (1 / (1 + np.exp(2.5 * (across + down))) - 0.5)
    return image


def _filled(outlines: list[Points], size: int) -> Grey:
    """(size, size), 1 inside, 0 outside, in between at the rim."""
    large = np.zeros((size * SUPERSAMPLING, size * SUPERSAMPLING), np.uint8)
    for outline in outlines:
        cv2.fillPoly(large, [np.rint(outline * SUPERSAMPLING).astype(np.int32)], 255)
    small = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def _glare(rng: np.random.Generator, mask: Grey, size: int) -> Grey:
    spot = np.zeros((size, size), np.float32)
    x, y = rng.uniform(0.1, 0.9, 2) * size
    cv2.circle(spot, (int(x), int(y)), int(0.06 * size), 1.0, -1)
    soft = 60 * cv2.GaussianBlur(spot, (0, 0), 0.04 * size)
    streak = np.zeros((size, size), np.float32)
    rows, columns = np.nonzero(mask > 0.5)
    if len(rows):
        pick = int(rng.integers(len(rows)))
        angle = rng.uniform(0, np.pi)
        reach = 0.03 * size * np.array([math.cos(angle), math.sin(angle)])
        ends = [(int(columns[pick] + sign * reach[0]), int(rows[pick] + sign * reach[1])) for sign in (-1, 1)]
        cv2.line(streak, ends[0], ends[1], 1.0, max(2, size // 100))
    return np.asarray(soft + 150 * cv2.GaussianBlur(streak, (0, 0), 0.004 * size) * mask, np.float32)


def _spot(image: Grey, outline: Points, rng: np.random.Generator, size: int) -> None:
    rows, columns = np.nonzero(cv2.erode(_filled([outline], size), np.ones((3, 3)), iterations=size // 60) > 0.9)
    pick = int(rng.integers(len(rows)))
    grey = float(image[rows[pick], columns[pick]]) + 45 * (1 if rng.random() < 0.5 else -1)
    axes = (max(2, int(rng.uniform(0.008, 0.016) * size)), max(2, int(rng.uniform(0.006, 0.01) * size)))
    cv2.ellipse(image, (int(columns[pick]), int(rows[pick])), axes, float(rng.uniform(0, 180)), 0, 360, grey, -1)
