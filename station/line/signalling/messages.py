"""What other threads post to the signalling stage."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.plc.protocol import LinkEvent, PlcInputs
from station.codes import ErrorCode, OfflineReason, WarningCode
from station.command_results import CommandResult
from station.line.acquisition.messages import CameraChanged, CameraSaid, FrameArrived, FrameFailed, OutputFailed
from station.line.challenge.messages import ChallengeMessage
from station.line.inspection.stage import Inspected, InspectorChanged
from station.line.signalling.snapshot import Snapshot
from station.results import Frame, Identity


@dataclass(frozen=True, slots=True)
class PlcWrote:
    """The PLC has written its control block."""

    inputs: PlcInputs
    time_ns: int
    """When it came, on the clock of the frames' triggers. The message may have waited in the inbox since."""


@dataclass(frozen=True, slots=True)
class SetOnline:
    """A person or the supervisor takes the station on or off line."""

    online: bool
    reason: OfflineReason = OfflineReason.BY_OPERATOR


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """Another configuration or recipe is active."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Changing:
    """From now on no part is taken, and parts in flight finish, until the next inspector is installed or `why` is None:
    nothing was changed.
    """

    why: OfflineReason | None
    """CHANGING_ENGINE, CHANGING_RECIPE or BUILDING_PLAN."""


@dataclass(frozen=True, slots=True)
class CommandFinished:
    """What the PLC asked for by `Ports.command` is done, or was refused."""

    serial: int
    succeeded: bool
    why: CommandResult = CommandResult.REFUSED
    """It did not succeed."""


@dataclass(frozen=True, slots=True)
class Warn:
    """A warning of another stage comes or goes."""

    code: WarningCode
    active: bool


@dataclass(frozen=True, slots=True)
class RaiseFault:
    """Something failed that a person must look at."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class ClearFault:
    """An operator reports the fault fixed."""


@dataclass(frozen=True, slots=True)
class Collect:
    """Hand the frames of the next parts to `sink`, for teaching, until it returns False."""

    sink: Callable[[Frame], bool]


@dataclass(frozen=True, slots=True)
class TriggerTest:
    """Somebody wants a picture of each camera while the station is off line: frames that make no part."""

    cameras: tuple[str, ...]
    fires: tuple[str, ...]
    """Those that are triggered by software; the others are waited for."""
    until_ns: int
    took: Callable[[FrameArrived | FrameFailed], None]
    """Gets each frame; must not block."""
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    """Why it is refused; empty: the cameras are fired."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks for the state; the stage puts it into `reply`."""

    reply: queue.SimpleQueue[Snapshot] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class Stop:
    """Take no more parts; end when those in flight have their results."""


Message = (
    FrameArrived
    | FrameFailed
    | CameraChanged
    | CameraSaid
    | OutputFailed
    | PlcWrote
    | LinkEvent
    | Inspected
    | InspectorChanged
    | SetOnline
    | Changing
    | ChallengeMessage
    | CommandFinished
    | IdentityChanged
    | Warn
    | RaiseFault
    | ClearFault
    | Collect
    | TriggerTest
    | Ask
    | Stop
)
