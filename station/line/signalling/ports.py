"""Where the signalling thread's decisions go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.plc.protocol import PlcOutputs
from station.codes import ReasonCode
from station.line.handshake.messages import CommandRequested
from station.line.signalling.tracking_feed import TrackingFeed
from station.results import Frame, InspectionRecord, Part, Verdict


@dataclass(frozen=True, slots=True)
class Ports:
    """None of these may block."""

    publish: Callable[[PlcOutputs], None]
    inspect: Callable[[Part, Frame], bool]
    """False: there is no room for one more frame."""
    fire_camera: Callable[[str], None]
    """By its name."""
    record: Callable[[InspectionRecord], None]
    event: Callable[[str, str, str], None]
    """kind, level, detail."""
    command: Callable[[CommandRequested], None]
    """What the PLC wants and takes longer than a scan; answered by `CommandFinished`."""
    acknowledged: Callable[[int, float], None]
    """The PLC has read the result of this acquisition, so many ms after its trigger."""
    journal_opened: Callable[[Part], bool]
    """False: there is no room for it."""
    journal_decided: Callable[[int, Verdict, ReasonCode], None]
    tracking: TrackingFeed
