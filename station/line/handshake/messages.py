"""What goes into the handshake and what comes out: settings, states, commands, results, requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from station.codes import ErrorCode, OfflineReason, ReasonCode, WarningCode
from station.results import Verdict


class StationState(IntEnum):
    """States of OPC 40100-1 (OPC UA for Machine Vision), numbered as in the register State."""

    PREOPERATIONAL = 1
    HALTED = 2
    ERROR = 3
    INITIALIZED = 4
    READY = 5
    SINGLE_EXECUTION = 6
    CONTINUOUS_EXECUTION = 7


class Command(IntEnum):
    """Numbers of the register Command."""

    SELECT_RECIPE = 1
    GO_ONLINE = 2
    GO_OFFLINE = 3
    SOFTWARE_TRIGGER_TEST = 4
    RESET_COUNTERS = 5
    START_CHALLENGE_TEST = 6
    ACTIVATE_ENGINE_SLOT = 7
    RELOAD_CONFIGURATION = 8
    BEGIN_BATCH = 9
    END_BATCH = 10


@dataclass(frozen=True, slots=True)
class HandshakeSettings:
    """Times and sizes of the handshake."""

    result_slots: int = 8
    plc_heartbeat_timeout_s: float = 3.0
    """Longest time the PLC heartbeat may stand still; 0 disables supervision."""
    heartbeat_period_s: float = 1.0
    command_timeout_s: float = 10.0
    """A command that has not ended by then has failed."""
    load_timeout_s: float = 75.0
    """The same for commands that load an engine: recipe, engine slot, configuration."""
    command_release_s: float = 10.0
    """CommandCompleted and CommandFailed clear after this time even when Execute stays 1."""
    batches: bool = False
    """The PLC may begin and end batches: map version 3."""


@dataclass(frozen=True, slots=True)
class StationStatus:
    """What the rest of the station says of itself."""

    online: bool = False
    can_take_part: bool = False
    """Camera streaming, engine warm, room for one more part."""
    software_trigger: bool = True
    """The station can trigger its cameras; False: they wait for their line."""
    busy: bool = False
    state: StationState = StationState.PREOPERATIONAL
    offline_reason: OfflineReason = OfflineReason.STARTING
    error_code: ErrorCode = ErrorCode.NONE
    warning_code: WarningCode = WarningCode.NONE
    recipe: int = 0
    recipe_changing: bool = False
    recipe_checksum: int = 0
    engine_id: int = 0
    config_checksum: int = 0
    threshold: float = 0.0
    drift: bool = False
    challenge_due: bool = False
    challenge_running: bool = False
    """A part that is triggered now is a master part."""
    challenge_state: int = 0
    challenge_step: int = 0
    line_stop: bool = False
    batch: int = 0
    """Number of the open batch; 0: none."""

    @property
    def fault(self) -> bool:
        return self.error_code is not ErrorCode.NONE or self.state is StationState.ERROR


@dataclass(frozen=True, slots=True)
class PartResult:
    """What the PLC reads of one part."""

    acquisition_id: int
    part_id: int
    verdict: Verdict
    reason: ReasonCode
    score: float
    threshold: float
    defect_area: int
    """In counts of 0.001 mm²."""
    latency_ms: float
    """Trigger to result."""
    encoder_count: int = 0
    """The PLC's position of the part, as latched."""
    challenge: bool = False
    """A master part of a challenge test."""
    defect_class: int = 0
    """Number of the class that its kind of defect has; 0: none. Never part of a verdict."""


# ---- what the PLC wants ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TriggerRequested:
    """Trigger rose while TriggerReady was 1; the caller reports `trigger_accepted` or `trigger_missed`."""

    part_id: int
    encoder_count: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class TriggerMissed:
    """Trigger rose while TriggerReady was 0: MissedTrigger is set; count it."""

    part_id: int


@dataclass(frozen=True, slots=True)
class PartIdLatched:
    """The next trigger belongs to this part."""

    part_id: int
    encoder_count: int
    deadline_ms: int
    time_ns: int
    """When the PLC wrote it."""


@dataclass(frozen=True, slots=True)
class GoOnline:
    """SetOffline fell, or command 2."""


@dataclass(frozen=True, slots=True)
class GoOffline:
    """SetOffline rose, or command 3."""


@dataclass(frozen=True, slots=True)
class ClearErrorRequested:
    """ClearError rose."""


@dataclass(frozen=True, slots=True)
class SoftwareTriggerTest:
    """Command 4: trigger the camera as if a part were there."""


@dataclass(frozen=True, slots=True)
class ResetCounters:
    """Command 5."""


@dataclass(frozen=True, slots=True)
class CommandRequested:
    """A command for the rest of the station; the caller reports `command_finished` with its serial number."""

    command: Command
    argument: int
    serial: int
    text: str = ""
    """BatchName as it stands in the registers: anything."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The command is unknown, or not possible now; CommandFailed is set."""

    command: int
    why: str


@dataclass(frozen=True, slots=True)
class ResultAcknowledged:
    """The PLC has read the result."""

    acquisition_id: int


@dataclass(frozen=True, slots=True)
class ResultsWithdrawn:
    """The PLC has not acknowledged these results and will not see them any more: those parts are Reject."""

    acquisition_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlcHeartbeatLost:
    """PlcHeartbeat stands still; TriggerReady has fallen."""


@dataclass(frozen=True, slots=True)
class PlcHeartbeatRestored:
    """PlcHeartbeat moves again, or the PLC has started over."""


HandshakeRequest = (
    TriggerRequested
    | TriggerMissed
    | PartIdLatched
    | GoOnline
    | GoOffline
    | ClearErrorRequested
    | SoftwareTriggerTest
    | ResetCounters
    | CommandRequested
    | CommandRefused
    | ResultAcknowledged
    | ResultsWithdrawn
    | PlcHeartbeatLost
    | PlcHeartbeatRestored
)


class ResultOutcome(Enum):
    """What became of a result."""

    SIGNALLED = "signalled"
    """It stands, or waits its turn."""
    REPLACED = "replaced"
    """It stands; without BufferEnable it took the place of one that the PLC had not acknowledged."""
    OVERRUN = "overrun"
    """No free slot: the PLC sees Overrun and never this result. Record the part as error RESULT_OVERRUN."""
    WITHHELD = "withheld"
    """It was a PASS that may not be shown now: the PLC reads ERROR instead (reason: `refusal`)."""
    DISCARDED = "discarded"
    """The PLC has reset the handshake since the trigger, or does not know of the part: the result is not signalled."""
