"""What the simulated PLC reads and writes in one scan: the station's map, the sensors along the belt, its verdicts.

Written against docs/plc.md alone; it shares nothing with the station's own side of the handshake, so that a mistake in
one of them shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from station.simulation.plant.recipe_change import CommandStatus


class Result(IntEnum):
    """Register Result."""

    NONE = 0
    PASS = 1
    FAIL = 2
    REVIEW = 3
    ERROR = 4


class TriggerMode(str, Enum):
    """Who triggers the camera."""

    LINE = "line"
    """The light barrier, wired to the camera's own input."""
    PLC = "plc"
    """The PLC, with the coil Trigger."""


@dataclass(frozen=True, slots=True)
class Control:
    """What the PLC writes to the station."""

    trigger_enable: bool = False
    trigger: bool = False
    results_ack: bool = False
    buffer_enable: bool = False
    clear_exposure_complete: bool = False
    latch_part_id: bool = False
    execute: bool = False
    clear_error: bool = False
    challenge_mode: bool = False
    heartbeat: int = 0
    command: int = 0
    command_argument: int = 0
    batch_name: str = ""
    part_id: int = 0
    encoder: int = 0
    encoder_now: int = 0
    reject_confirmed: bool = False
    part_at_ejector: bool = False
    bin_full: bool = False


@dataclass(frozen=True, slots=True)
class StationStatus:
    """What the PLC reads: the bits it uses and the result block, in which everything belongs to one result."""

    trigger_ready: bool = False
    trigger_ack: bool = False
    exposure_complete: bool = False
    results_valid: bool = False
    pass_: bool = False
    reject: bool = True
    fault: bool = False
    part_id_ack: bool = False
    command_completed: bool = False
    command_failed: bool = False
    challenge_running: bool = False
    ejector1: bool = False
    line_stop: bool = False
    heartbeat: int = 0
    acquisition_id: int = 0
    inspection_id: int = 0
    part_id: int = 0
    encoder: int = 0
    result: int = 0
    reason_code: int = 0
    recipe: int = 0
    command_result: int = 0
    written: Control = Control()
    """The control block that the station had when this was read: the network is slower than the scan."""

    @property
    def command(self) -> CommandStatus:
        return CommandStatus(
            self.command_completed, self.command_failed, self.recipe, self.written.execute, self.command_result
        )


@dataclass(frozen=True, slots=True)
class FieldInputs:
    """The sensors along the belt. Each edge comes with the encoder count that the counter card latched at it."""

    encoder: int = 0
    entries: tuple[int, ...] = ()
    barriers: tuple[int, ...] = ()
    reject_confirmed: bool = False
    part_at_ejector: bool = False
    bin_full: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the PLC did with a part at the ejector."""

    part_id: int
    passed: bool
    why: str
    """Why it was pushed off; empty for a PASS."""
    result: Result
    result_after_s: float | None
    """From the light barrier to the result, as the PLC saw both."""
    at_barrier_s: float | None
    """When it passed the light barrier, on the monotonic clock; None: it never came there."""
    id_given: bool
    """LatchPartId rose for it, so the station may know its id, acknowledged in time or not."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of one scan."""

    control: Control
    ejector: bool
    belt_runs: bool
    judgements: tuple[Judgement, ...]
