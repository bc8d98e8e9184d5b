"""What is followed, where its limit lies, and what each means when it wears out. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """What wears out."""

    LAMP = "the lamp ages"
    LENS = "the lens or its window gets dirty"
    FOCUS = "the pictures get less sharp"
    VALVE = "the ejector wears"
    ENCODER = "the encoder slips"
    TRIGGER = "the trigger gets unsteady"
    COMPUTER = "the computer gets slower"
    CAMERA_LINK = "the link to the camera fails more often"
    HEAT = "it gets hotter"
    DISK = "the disk fills up"


ACTIONS = {
    Cause.LAMP: "clean the lamp's window; order and exchange the lamp",
    Cause.LENS: "clean the lens and its window",
    Cause.FOCUS: "clean the lens; if that does not help fix the focus, look for loose screws",
    Cause.VALVE: "check air pressure, valve and nozzle of the ejector",
    Cause.ENCODER: "check the encoder's wheel and its contact with the belt",
    Cause.TRIGGER: "check fixing and lens of the trigger's sensor",
    Cause.COMPUTER: "look what else runs on the computer, and at its temperature",
    Cause.CAMERA_LINK: "check plugs, cable and power of the camera",
    Cause.HEAT: "clean fan and filter",
    Cause.DISK: "lower [records] disk_budget_mb or keep_rows_days, or fit a larger disk",
}


class Way(Enum):
    """Which direction is worse."""

    DOWN = "falls"
    UP = "rises"
    BOTH = "moves"


@dataclass(frozen=True, slots=True)
class Signal:
    """A kind of series."""

    name: str
    unit: str
    way: Way
    relative: float | None = None
    """The limit as a share of the normal level: 0.3 is 30 % away from it."""
    absolute: float | None = None
    """The limit as a distance from the normal level, in its unit."""
    limit: float | None = None
    """The limit itself, in its unit."""
    cause: Cause = Cause.COMPUTER
    is_share: bool = False

    def limits(self, normal: float) -> tuple[float, ...]:
        """Where it must not get, from its normal level."""
        return tuple(offset + share * normal for offset, share in self.forms(normal))

    def forms(self, normal: float) -> tuple[tuple[float, float], ...]:
        """The same limits as (offset, share): `offset + share * level`, for levels near the normal one."""
        if self.limit is not None:
            return ((self.limit, 0.0),)
        signs = {Way.DOWN: (-1,), Way.UP: (1,), Way.BOTH: (-1, 1)}[self.way]
        absolute, relative = self.absolute or 0.0, self.relative or 0.0
        if absolute >= abs(normal) * relative:
            return tuple((sign * absolute, 1.0) for sign in signs)
        side = math.copysign(relative, normal)
        return tuple((0.0, 1.0 + sign * side) for sign in signs)


SIGNALS = {
    one.name: one
    for one in (
        Signal("mean grey", "", Way.DOWN, relative=0.25, cause=Cause.LAMP),
        Signal("saturated share", "", Way.UP, absolute=0.05, cause=Cause.LAMP),
        Signal("sharpness", "", Way.DOWN, relative=0.40, cause=Cause.FOCUS),
        Signal("trigger to frame", "ms", Way.UP, relative=0.5, absolute=10.0, cause=Cause.COMPUTER),
        Signal("trigger jitter", "ms", Way.UP, relative=2.0, absolute=3.0, cause=Cause.TRIGGER),
        Signal("waiting for the engine", "ms", Way.UP, relative=2.0, absolute=10.0, cause=Cause.COMPUTER),
        Signal("engine", "ms", Way.UP, relative=0.5, absolute=10.0, cause=Cause.COMPUTER),
        Signal("trigger to result", "ms", Way.UP, relative=0.5, absolute=20.0, cause=Cause.COMPUTER),
        Signal("ejector error", "", Way.BOTH, relative=0.5, absolute=8.0, cause=Cause.VALVE),
        Signal("rejects not confirmed", "", Way.UP, absolute=0.02, cause=Cause.VALVE),
        Signal("reject confirmed after", "ms", Way.UP, relative=0.5, absolute=20.0, cause=Cause.VALVE),
        Signal("confirmation jitter", "ms", Way.UP, relative=2.0, absolute=20.0, cause=Cause.VALVE),
        Signal("encoder counts a part", "counts", Way.BOTH, relative=0.05, absolute=5.0, cause=Cause.ENCODER),
        Signal("reconnects a day", "", Way.UP, absolute=10.0, cause=Cause.CAMERA_LINK),
        Signal("temperature", "C", Way.UP, limit=85.0, cause=Cause.HEAT),
        Signal("disk free", "share", Way.DOWN, limit=0.05, cause=Cause.DISK),
    )
}
"""By name. Limits are those at which somebody would be called anyway, from what was normal on the first days."""


@dataclass(frozen=True, slots=True)
class Series:
    """Medians of one signal at one place for one recipe."""

    signal: str
    """In `SIGNALS`."""
    place: str
    """Camera, ejector or part of the computer; empty: the station."""
    recipe: str
    """Empty: whatever runs."""
    days: tuple[float, ...]
    """Since the epoch, in days of 24 hours, in order."""
    values: tuple[float, ...]
