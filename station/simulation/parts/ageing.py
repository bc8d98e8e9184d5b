"""How a simulated line ages: what pictures, plant and product lose from part to part, for drift and trends to find.

--age lamp=0.28            the lamp loses 28 % of its light by the last part
--age defocus=2@0.5        the picture blurs up to 2 px, from half of the parts on
--age dust=0.3             specks on the lens, at the same places on every picture, 30 % of them by the last part
--age texture=0.4!         a new supplier at once: the surface is 40 % rougher, `!` without a ramp
--age valve=0.06           the valve of the ejector opens up to 60 ms late, and irregularly
--age slip=0.03            the wheel of the encoder slips: up to 3 % of the counts are missing
--age defects=0.1@0.5!     from half of the parts on 10 % of the good ones are defective
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from station.simulation.parts.pictures import Pixels

SPECKS = 40
"""With all dust there is."""
MOST = {"lamp": 0.95, "defocus": 20.0, "dust": 1.0, "texture": 5.0, "valve": 0.5, "slip": 0.2, "defects": 1.0}


class Kind(Enum):
    """What ages."""

    LAMP = "lamp"
    DEFOCUS = "defocus"
    DUST = "dust"
    TEXTURE = "texture"
    VALVE = "valve"
    SLIP = "slip"
    DEFECTS = "defects"


@dataclass(frozen=True, slots=True)
class Ageing:
    """One of them, for a whole run."""

    kind: Kind
    most: float
    """With the last part: share of the light, blur in px, share of the specks, of roughness; seconds of the valve,
    share of the counts, of the good parts."""
    begins: float = 0.0
    """Share of the parts that come before."""
    at_once: bool = False
    """No ramp: all of it from there on."""

    def amount(self, share: float) -> float:
        """At this share of the parts, 0 to 1."""
        if share < self.begins:
            return 0.0
        return self.most if self.at_once else self.most * (share - self.begins) / max(1e-9, 1.0 - self.begins)


def amount_of(kind: Kind, ageings: tuple[Ageing, ...], share: float) -> float:
    """Of one kind at this share of the parts; several of the same kind add up."""
    return sum(ageing.amount(share) for ageing in ageings if ageing.kind is kind)


def parse_ageing(text: str) -> Ageing:
    """`KIND=MOST[@BEGINS][!]`. Raises ValueError: says what is allowed."""
    allowed = (
        f'"{text:.40}": KIND=MOST[@BEGINS][!] with {", ".join(f"{name} up to {most:g}" for name, most in MOST.items())}'
    )
    name, _, rest = text.removesuffix("!").partition("=")
    most, _, begins = rest.partition("@")
    try:
        made = Ageing(Kind(name), float(most), float(begins or 0.0), text.endswith("!"))
    except ValueError:
        raise ValueError(allowed) from None
    if not (0.0 < made.most <= MOST[name] and 0.0 <= made.begins < 1.0):
        raise ValueError(allowed)
    return made


def aged(pixels: Pixels, ageings: tuple[Ageing, ...], share: float) -> Pixels:
    """The picture as this line takes it after `share` of its parts; the same bytes for the same arguments."""
    for ageing in ageings:
        if ageing.kind in _EFFECTS and (amount := ageing.amount(share)) > 0:
            pixels = _EFFECTS[ageing.kind](pixels, amount)
    return pixels


def _dimmed(pixels: Pixels, amount: float) -> Pixels:
    return _clipped(pixels * np.float32(1.0 - amount))


def _blurred(pixels: Pixels, amount: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(0.1, amount)), np.uint8).reshape(pixels.shape)


def _dusty(pixels: Pixels, amount: float) -> Pixels:
    draw = np.random.default_rng(7)  # specks stay where they are
    height, width = pixels.shape[:2]
    cover = np.zeros((height, width), np.float32)
    for _ in range(math.ceil(SPECKS * amount)):
        centre = (int(draw.integers(width)), int(draw.integers(height)))
        cv2.circle(cover, centre, max(1, int(draw.integers(1, max(2, width // 40)))), 0.5, -1, cv2.LINE_AA)
    veil = cv2.GaussianBlur(cover, (0, 0), max(1.0, width / 100))
    plane = veil if pixels.ndim == 2 else veil[..., None]
    return _clipped(_blurred(pixels, 1.5 * amount) * (1.0 - 0.8 * plane) * np.float32(1.0 - 0.15 * amount))


def _rougher(pixels: Pixels, amount: float) -> Pixels:
    smooth = cv2.GaussianBlur(pixels, (0, 0), 2.0).reshape(pixels.shape).astype(np.float32)
    return _clipped(smooth + (pixels - smooth) * np.float32(1.0 + amount))


def _clipped(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_EFFECTS = {Kind.LAMP: _dimmed, Kind.DEFOCUS: _blurred, Kind.DUST: _dusty, Kind.TEXTURE: _rougher}
OF_PICTURES = frozenset(_EFFECTS)
"""Kinds that are seen in each picture, so it must be drawn anew for each part."""
