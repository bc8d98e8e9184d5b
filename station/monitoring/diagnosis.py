"""What has changed, by which streams have moved. A pure table.

light, lens, position     the values of pictures, learned on the line or at teaching
mechanics                 parts that are not inspected
station                   most master parts score otherwise: they do not change, so light, lens or engine did
virtual                   fewer synthetic defects are found in pictures of good parts
product                   scores of parts that pass, while pictures and master parts are as ever
engine                    people disagree with it
new kind, kind            defects of one kind, and of no other
master part               one of several scores otherwise
rejects                   more of them, and nothing explains it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from engines.bundle.kinds import UNKNOWN_KIND
from station import said
from station.codes import WARNINGS, ReasonCode, WarningCode
from station.monitoring.streams import StreamStatus


class Cause(Enum):
    """What has changed, the one that explains the others first."""

    LIGHT = WarningCode.LIGHT_CHANGED
    LENS = WarningCode.SHARPNESS_LOST
    POSITION = WarningCode.POSITION_CHANGED
    MECHANICS = WarningCode.PARTS_NOT_INSPECTED
    STATION = WarningCode.STATION_CHANGED
    VIRTUAL = WarningCode.VIRTUAL_CHALLENGE_WORSE
    PRODUCT = WarningCode.PRODUCT_CHANGED
    ENGINE = WarningCode.ENGINE_DISAGREES
    NEW_KIND = WarningCode.NEW_KIND
    KIND = WarningCode.KIND_RISES
    MASTER_PART = WarningCode.MASTER_PART_CHANGED
    REJECTS = WarningCode.REJECTS_ABOVE_PROMISE


GREY, SATURATED, SHARPNESS, PLACE_X, PLACE_Y, SIZE = "grey", "saturated", "sharpness", "place x", "place y", "size"
VIRTUAL = "synthetic defects missed"
MASTER, HELD_OUT, KIND = "master part", "scores against teaching", "kind of defect"
WRONGLY_REJECTED, WRONGLY_PASSED = "labelled good though rejected", "labelled defective though passed"
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
    HELD_OUT: Cause.PRODUCT,
    WRONGLY_REJECTED: Cause.ENGINE,
    WRONGLY_PASSED: Cause.ENGINE,
    KIND: Cause.KIND,
    VIRTUAL: Cause.VIRTUAL,
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
    return said.FINDING(text=text.text, detail=detail, action=text.action)


def kind_of(name: str) -> str:
    """Of a stream: its name without the camera."""
    return name.partition(":")[0]


def name_of(kind: str, camera: str) -> str:
    """Of a stream of a camera."""
    return f"{kind}: {camera}"


def diagnose(moved: Sequence[StreamStatus], sharper: frozenset[str] = frozenset(), masters: int = 0) -> Finding | None:
    """The cause that explains all streams that have moved; None: none has.

    A weaker lamp moves scores and rejects, too, and a dirty lens makes parts look strange: the first cause in the
    order of `Cause` is the one to look at. `sharper`: streams of sharpness that lie above their band, which no dirt and
    no wrong focus does: another product. `masters`: how many master parts have learned streams. They do not change, so
    where most of them have moved it is the station; one alone is worn or dirty; where none has, it is not the station.
    """
    if not moved:
        return None
    masters_moved = sum(kind_of(status.name) == MASTER for status in moved)
    of_master = Cause.STATION if 2 * masters_moved > masters or masters == 1 else Cause.MASTER_PART
    causes = [_cause(status.name, sharper, of_master) for status in moved]
    kinds = {kind_of(status.name) for status in moved}
    if SHARPNESS in kinds and SATURATED in kinds and GREY not in kinds:  # blurred highlights are no longer saturated
        causes = [cause for cause in causes if cause is not Cause.LIGHT]
    order = list(Cause)
    cause = min(causes, key=order.index)
    detail = "; ".join(said.STREAM(stream=status.name, detail=status.detail) for status in moved)
    if masters and not masters_moved and cause is Cause.PRODUCT:
        detail = said.MASTERS_AS_EVER(details=detail)
    return Finding(cause, detail)


def _cause(name: str, sharper: frozenset[str], of_master: Cause) -> Cause:
    match kind_of(name):
        case _ if name in sharper:
            return Cause.PRODUCT
        case kind if kind == MASTER:
            return of_master
        case kind if name == name_of(kind, UNKNOWN_KIND):
            return Cause.NEW_KIND
        case kind:
            return _CAUSES[kind]
