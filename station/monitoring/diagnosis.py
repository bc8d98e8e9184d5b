"""What has changed, by which streams have moved: light, lens, position, product, mechanics. A pure table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from station.codes import WARNINGS, ReasonCode, WarningCode
from station.monitoring.streams import StreamStatus


class Cause(Enum):
    """What has changed, the one that explains the others first."""

    LIGHT = WarningCode.LIGHT_CHANGED
    LENS = WarningCode.SHARPNESS_LOST
    POSITION = WarningCode.POSITION_CHANGED
    MECHANICS = WarningCode.PARTS_NOT_INSPECTED
    PRODUCT = WarningCode.PRODUCT_CHANGED
    REJECTS = WarningCode.REJECTS_ABOVE_PROMISE


GREY, SATURATED, SHARPNESS, PLACE_X, PLACE_Y, SIZE = "grey", "saturated", "sharpness", "place x", "place y", "size"
SCORES, REJECTED, DOUBTED, NOT_INSPECTED = "scores", "rejected", "rejected or in review", "not inspected"
LIGHT_AS_TAUGHT, SHARPNESS_AS_TAUGHT, PLACE_AS_TAUGHT = (
    "light unlike taught",
    "sharpness unlike taught",
    "place unlike taught",
)
AS_TAUGHT = {
    ReasonCode.LIGHT_NOT_AS_TAUGHT: LIGHT_AS_TAUGHT,
    ReasonCode.SHARPNESS_NOT_AS_TAUGHT: SHARPNESS_AS_TAUGHT,
    ReasonCode.PLACE_NOT_AS_TAUGHT: PLACE_AS_TAUGHT,
}
"""Streams of single pictures against the bands of the engine: they need no learning, and name their cause at once."""

_CAUSES: Mapping[str, Cause] = {
    LIGHT_AS_TAUGHT: Cause.LIGHT,
    SHARPNESS_AS_TAUGHT: Cause.LENS,
    PLACE_AS_TAUGHT: Cause.POSITION,
    GREY: Cause.LIGHT,
    SATURATED: Cause.LIGHT,
    SHARPNESS: Cause.LENS,
    PLACE_X: Cause.POSITION,
    PLACE_Y: Cause.POSITION,
    SIZE: Cause.POSITION,
    NOT_INSPECTED: Cause.MECHANICS,
    SCORES: Cause.PRODUCT,
    REJECTED: Cause.REJECTS,
    DOUBTED: Cause.REJECTS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One change, named by its cause."""

    cause: Cause
    detail: str
    """Which streams have moved, from what to what."""

    def __str__(self) -> str:
        return in_words(self.cause.value, self.detail)


def in_words(code: WarningCode, detail: str) -> str:
    """What has happened and what to do."""
    text = WARNINGS[code]
    return f"{text.text} ({detail}); {text.action}"


def kind_of(name: str) -> str:
    """Of a stream: its name without the camera."""
    return name.partition(":")[0]


def name_of(kind: str, camera: str) -> str:
    """Of a stream of a camera."""
    return f"{kind}: {camera}"


def diagnose(moved: Sequence[StreamStatus], sharper: frozenset[str] = frozenset()) -> Finding | None:
    """The cause that explains all streams that have moved; None: none has.

    A weaker lamp moves scores and rejects, too, and a dirty lens makes parts look strange: the first cause in the
    order of `Cause` is the one to look at. `sharper`: streams of sharpness that lie above their band, which no dirt and
    no wrong focus does: another product.
    """
    if not moved:
        return None
    causes = [Cause.PRODUCT if status.name in sharper else _CAUSES[kind_of(status.name)] for status in moved]
    kinds = {kind_of(status.name) for status in moved}
    if SHARPNESS in kinds and SATURATED in kinds and GREY not in kinds:  # blurred highlights are no longer saturated
        causes = [cause for cause in causes if cause is not Cause.LIGHT]
    order = list(Cause)
    cause = min(causes, key=order.index)
    return Finding(cause, "; ".join(f"{status.name}: {status.detail}" for status in moved))
