"""What the tracker remembers: the parts on the belt, and what every ejector is doing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from station.codes import ReasonCode
from station.line.ejection.messages import Ejected, Ejector
from station.results import Verdict


@dataclass(slots=True)
class Part:
    """A part on the belt."""

    acquisition_id: int
    part_id: int
    position: float
    """Of the belt when the part was triggered."""
    verdict: Verdict | None = None
    reason: ReasonCode = ReasonCode.NONE
    too_close: bool = False
    next_ejector: int = 0
    at_sensor: bool = False
    missing: bool = False
    """It did not come to the sensor before the ejectors."""

    @property
    def fate(self) -> tuple[Verdict, ReasonCode]:
        """The verdict that counts at an ejector."""
        if self.verdict is None:
            return Verdict.ERROR, ReasonCode.NO_VERDICT
        if self.verdict is Verdict.PASS and self.too_close:
            return Verdict.ERROR, ReasonCode.PARTS_TOO_CLOSE
        return self.verdict, self.reason

    @property
    def is_settled(self) -> bool:
        """The sensor before the ejectors has seen the part, or has given it up."""
        return self.at_sensor or self.missing

    def __str__(self) -> str:
        return f"part {self.part_id} (acquisition {self.acquisition_id})"


@dataclass(slots=True)
class Pulse:
    """An ejector that is on: until the time, or until the belt has come to a position, whichever is first."""

    until_ns: int
    until: float


@dataclass(slots=True)
class Lane:
    """One ejector with its pulse and the pushes that are not confirmed yet."""

    number: int
    settings: Ejector
    pulse: Pulse | None = None
    unconfirmed: deque[tuple[Ejected, int]] = field(default_factory=deque)
    """With the time until which the confirmation must come."""
