"""The detection curves of an engine: how probably a defect of a size is found, one line for each kind of defect."""

from __future__ import annotations

import math

from engines import said
from engines.bundle.detection import CONTRASTS, PLURALS, PROBABILITY, Curve, Detection
from engines.said import CATALOGUE
from station.hmi.words import Words
from station.reports.drawing import FAINT, INK, MUTED, Drawing

WIDTH, HEIGHT = 680, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 26.0, 440.0, 250.0
_COLOURS = ("#1b5fa8", "#b3261e", "#1e6b32", "#8a5a00", "#6a3d9a", "#00696b", "#4a5560")
"""Dark enough on white; the names stand beside the lines' ends, so nothing is said by colour alone."""
_STEPS = 60


def drawn(detection: Detection, contrast: str, words: Words) -> str:
    """An SVG: size of the defect against the share that does not pass. `contrast`: one of `CONTRASTS`."""

    def say(text: str) -> str:
        return CATALOGUE.translated(text, words.gettext)

    drawing = Drawing(WIDTH, HEIGHT)
    low, high = math.log(detection.smallest_px), math.log(detection.largest_px)

    def place(size_px: float, share: float) -> tuple[float, float]:
        x = _LEFT + (_RIGHT - _LEFT) * (math.log(size_px) - low) / max(high - low, 1e-9)
        return x, _BOTTOM - (_BOTTOM - _TOP) * share

    for share in (0.0, 0.5, PROBABILITY, 1.0):
        at = place(detection.smallest_px, share)
        drawing.line([at, (_RIGHT, at[1])], FAINT if share != PROBABILITY else MUTED, dashed=share == PROBABILITY)
        drawing.text((_LEFT - 8, at[1] + 4), f"{100 * share:.0f} %", anchor="end", colour=MUTED)
    for step in range(5):
        size = math.exp(low + (high - low) * step / 4)
        drawing.text((place(size, 0)[0], _BOTTOM + 18), detection.shown(size), anchor="middle", colour=MUTED)
    grey = CONTRASTS[contrast]
    drawing.text((_LEFT, 14), say(said.CHART_HEAD(kind=contrast, count=grey)), colour=MUTED)
    for number, one in enumerate(detection.of(contrast)):
        colour = _COLOURS[number % len(_COLOURS)]
        sizes = [math.exp(low + (high - low) * step / _STEPS) for step in range(_STEPS + 1)]
        drawing.line([place(size, _share(one.review, size)) for size in sizes], colour, 2)
        from_px = one.review.from_px
        from_size = said.NOT_FOUND() if from_px is None else said.FROM(size=detection.shown(from_px))
        label = f"{number + 1} {say(PLURALS[one.kind])}: {say(from_size)}"
        y = _TOP + 12 + 24 * number
        drawing.rectangle(_RIGHT + 12, y - 6, 14, 4, colour)
        drawing.text((_RIGHT + 32, y), label, size=11, colour=INK)
        size = sizes[min(_STEPS, 4 + 6 * number)]  # each number at another size, where the lines lie apart
        x, height = place(size, _share(one.review, size))
        drawing.text((x - 3, height - 4), str(number + 1), size=11, colour=colour, bold=True)
    return drawing.svg()


def _share(curve: Curve, size_px: float) -> float:
    """See `Curve`; an engine that found none of its trials finds none of any size."""
    if curve.found == 0:
        return 0.0
    exponent = -curve.steepness * math.log(size_px / curve.half_px)
    return 1.0 / (1.0 + math.exp(min(60.0, exponent)))
