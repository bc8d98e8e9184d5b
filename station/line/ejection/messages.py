"""What the ejection stage is sent and what its tracker returns: settings, parts, events."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import Literal

from drivers.plc.protocol import PlcInputs
from station.codes import ErrorCode, ReasonCode
from station.line.ejection.belt import BeltUnits
from station.results import Verdict

# ---- settings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ejector:
    """One ejector along the belt."""

    distance: BeltUnits
    """From the place of the trigger to the middle of the ejector."""
    pulse: BeltUnits | None = None
    """Length of the pulse along the belt; or `pulse_ns`."""
    pulse_ns: int | None = None
    lead_ns: int = 0
    """The pulse begins this much earlier: the delay of the valve and of the way to it."""
    verdicts: frozenset[Verdict] = frozenset()
    reasons: frozenset[ReasonCode] = frozenset()
    """It takes parts with one of these verdicts or reasons."""
    confirm_ns: int | None = None
    """Its bin has a sensor that must see the part within this time; None: no sensor."""

    def takes(self, verdict: Verdict, reason: ReasonCode) -> bool:
        return verdict in self.verdicts or reason in self.reasons


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """The way from camera to bins."""

    window: BeltUnits
    """A part is pushed within this distance of its place; two parts closer than this are not distinguishable."""
    ejectors: tuple[Ejector, ...]
    """In the order in which parts reach them; the last one takes all that are not PASS and that no other took."""
    sensor: BeltUnits | None = None
    """Distance from the trigger to the sensor PartAtEjector; None: there is none."""

    @property
    def longest_step(self) -> BeltUnits:
        """The belt moves less between two encoder values, or parts would reach an ejector unseen."""
        return self.ejectors[0].distance


# ---- what signalling posts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartOpened:
    """A part was triggered."""

    acquisition_id: int
    part_id: int
    time_ns: int | None
    """Of its trigger; None: nothing is known but that the part came."""


@dataclass(frozen=True, slots=True)
class PartMissed:
    """A part came while the station was not ready: it was not inspected and must not stay."""

    part_id: int
    time_ns: int | None


@dataclass(frozen=True, slots=True)
class PartClosed:
    """A part has its verdict, or its PASS is withdrawn."""

    acquisition_id: int
    verdict: Verdict
    reason: ReasonCode


@dataclass(frozen=True, slots=True)
class LineStopCleared:
    """A person has cleared the fault."""


@dataclass(frozen=True, slots=True)
class CountersReset:
    """Count pushed parts from zero again."""


TrackingMessage = PartOpened | PartMissed | PartClosed | LineStopCleared | CountersReset
"""What signalling posts to the ejection stage."""


# ---- what others post -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ControlWritten:
    """The PLC has written its control block."""

    inputs: PlcInputs
    time_ns: int


@dataclass(frozen=True, slots=True)
class EncoderRead:
    """A camera has read its encoder."""

    count: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class OutputsReset:
    """A camera has connected: its output lines are in an unknown state."""


@dataclass(frozen=True, slots=True)
class OnBelt:
    """Why other settings cannot be taken yet."""

    parts: int
    """Between camera and ejector; 0: a push is not over, or not confirmed."""
    stands: bool
    """The belt does not move, so nothing will change by itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """Take other settings; `reply` gets None when they are taken, else what is in the way."""

    settings: TrackingSettings
    lose_parts: bool
    reply: queue.SimpleQueue[OnBelt | None] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class Stop:
    """End when the belt is empty, at the latest at this time."""

    until_ns: int


Message = TrackingMessage | ControlWritten | EncoderRead | OutputsReset | Change | Stop
"""What is posted to the ejection stage."""


# ---- what the tracker returns ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Push:
    """The ejector is on from now on for this part."""

    ejector: int
    """From 1."""
    acquisition_id: int
    """0 for a part that was missed."""
    part_id: int
    error: BeltUnits
    """Position of the part in the middle of the ejector minus where it is when the pulse takes effect: at most half a
    step of the encoder when the ejector is in time. Positive: too late."""


@dataclass(frozen=True, slots=True)
class Release:
    """The ejector is off from now on."""

    ejector: int


@dataclass(frozen=True, slots=True)
class Ejected:
    """What became of a part that was pushed; after its confirmation, or when that did not come."""

    acquisition_id: int
    part_id: int
    ejector: int
    time_ns: int
    """Begin of the pulse."""
    error: BeltUnits
    """See `Push`."""
    reason: ReasonCode
    """Why it was pushed."""
    confirmed: bool | None
    """None: the ejector has no sensor."""


@dataclass(frozen=True, slots=True)
class LetThrough:
    """A part with a PASS has passed the last ejector."""

    acquisition_id: int


@dataclass(frozen=True, slots=True)
class LostTrack:
    """The place of this part is lost; the line stops."""

    acquisition_id: int
    part_id: int


@dataclass(frozen=True, slots=True)
class StopLine:
    """The line must stand until a person has looked."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """Something for the event log."""

    kind: Literal["parts_too_close", "verdict_too_late"]
    detail: str


TrackingEvent = Push | Release | Ejected | LetThrough | LostTrack | StopLine | Report
