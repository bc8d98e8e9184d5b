"""The PLC that the rules play: its scan, its heartbeat, and the steps of the handshake, each with a time limit.

One thread. Every scan reads the whole status block, keeps the heartbeat alive and shows the block to the observers, so
that what must hold always is checked during all rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import CONTROL, STATUS, Area
from station.commissioning.conformance.links import COILS, CONTROL_REGISTERS, Image, Link, StationAsServer
from station.commissioning.conformance.registry import NotChecked, Violation
from station.commissioning.plc_client import ModbusClient, Order, decode, encode

U32 = 0x1_0000_0000
PASS, FAIL, REVIEW, ERROR = 1, 2, 3, 4
NO_FRAME = 30
SOFTWARE_TRIGGER_TEST = 4
MOST_TRIES = 5
FIRST_PART_ID = 0x0102_0304
"""Its four bytes differ: words or bytes in the wrong order show."""

SCAN_PAUSE_S = 0.002
"""Between two scans: a PLC has other things to do, too."""

MECHANISM = (
    "trigger_ready",
    "trigger_ack",
    "busy",
    "exposure_complete",
    "inspection_completed",
    "results_valid",
    "pass_",
    "review",
    "overrun",
    "missed_trigger",
    "part_id_ack",
)
"""What the reset brings to 0."""

Condition = Callable[[PlcOutputs], bool]
Observer = Callable[[PlcInputs, PlcOutputs, float], None]


@dataclass(frozen=True, slots=True)
class Times:
    """How long the station may take, in seconds."""

    answer_s: float = 5.0
    """For a step of the handshake, a part's inspection included."""
    settle_s: float = 0.3
    """How long to watch for what must not happen."""
    heartbeat_timeout_s: float = 3.0
    """As configured in the station; 0: not supervised."""
    line_part_s: float = 10.0
    """For the next part, when the parts come by themselves."""
    beat_s: float = 0.25
    """From one change of PlcHeartbeat to the next."""


class Source(Enum):
    """What brings a part."""

    TRIGGER = "Trigger"
    COMMAND = "command 4"
    LINE = "the line"
    NONE = "nothing"


class Plc:
    """The played PLC."""

    def __init__(self, link: Link, times: Times, order: Order) -> None:
        self.link = link
        self.times = times
        self.order = order
        self.control = PlcInputs()
        self.status = PlcOutputs()
        self.observers: list[Observer] = []
        self.beating = True
        self.source = Source.NONE
        self.why_no_source = ""
        self._next_beat_s = 0.0
        self._part_id = FIRST_PART_ID

    # ---- one scan -----------------------------------------------------------------------------------------------

    def scan(self) -> PlcOutputs:
        """Reads the status block, beats, shows what was read to the observers."""
        now_s = time.monotonic()
        if self.beating and now_s >= self._next_beat_s:
            self._next_beat_s = now_s + self.times.beat_s
            self.set(plc_heartbeat=(self.control.plc_heartbeat + 1) & 0xFFFF)
        self.status = self.decode(self.link.read())
        for observe in self.observers:
            observe(self.control, self.status, now_s)
        return self.status

    def decode(self, image: Image) -> PlcOutputs:
        """The status block as values."""
        values = {
            point.attribute: decode(
                point, image.bits if point.area is Area.DISCRETE_INPUT else image.registers, self.order
            )
            for point in STATUS
        }
        return PlcOutputs(**values)  # type: ignore[arg-type]

    def set(self, **changes: bool | int | str) -> None:
        """Writes points of the control block."""
        self.control = replace(self.control, **changes)  # type: ignore[arg-type]
        self.write()

    def write(self) -> None:
        """Writes the control block as it is meant to be."""
        coils, registers = [False] * COILS, [0] * CONTROL_REGISTERS
        for point in CONTROL:
            value = getattr(self.control, point.attribute)
            if point.area is Area.COIL:
                coils[point.address] = value
            else:
                registers[point.address : point.address + point.type.size] = encode(point, value, self.order)
        self.link.write(tuple(coils), tuple(registers))

    def wait(self, holds: Condition, what: str, timeout_s: float | None = None) -> PlcOutputs:
        """Scans until it holds; the block that holds. Raises Violation."""
        timeout_s = self.times.answer_s if timeout_s is None else timeout_s
        end = time.monotonic() + timeout_s
        while not holds(self.scan()):
            if time.monotonic() > end:
                raise Violation(f"waited {timeout_s:g} s for {what}; {self.seen()}")
            time.sleep(SCAN_PAUSE_S)
        return self.status

    def stays(self, holds: Condition, what: str, seconds: float | None = None) -> None:
        """Scans for a while. Raises Violation unless it holds in every scan."""
        end = time.monotonic() + (self.times.settle_s if seconds is None else seconds)
        while True:
            if not holds(self.scan()):
                raise Violation(f"{what}; {self.seen()}")
            if time.monotonic() > end:
                return
            time.sleep(SCAN_PAUSE_S)

    def seen(self) -> str:
        """The status of the last scan in a few words."""
        status = self.status
        ones = [p.name for p in STATUS if p.area is Area.DISCRETE_INPUT and getattr(status, p.attribute)]
        codes = ("offline_reason", "error_code", "warning_code", "acquisition_id", "inspection_id", "result")
        shown = [f"{p.name} {getattr(status, p.attribute)}" for p in STATUS if p.attribute in codes]
        return f"at 1: {', '.join(ones)}; {', '.join(shown)}"

    # ---- the steps of the handshake -----------------------------------------------------------------------------

    def reset(self) -> None:
        """All coils 0, until all bits of the mechanism are 0. Raises Violation when one stays."""
        self.control = PlcInputs(plc_heartbeat=self.control.plc_heartbeat)
        self.write()
        self.wait(lambda status: not standing_bits(status), "all bits of the mechanism to be 0 after TriggerEnable 0")

    def begin(self, *, buffer: bool = True) -> None:
        """From wherever the rule before left off to TriggerReady. Raises Violation when the way there is blocked."""
        self.beating = True
        self.reset()
        self.set(clear_error=True, set_offline=not self.status.online)
        self.set(clear_error=False, set_offline=False)
        self.wait(lambda status: status.online and not status.fault, "Online")
        self.set(trigger_enable=True, buffer_enable=buffer)
        self.ready()

    def ready(self) -> None:
        """Waits until a part may come."""
        self.wait(lambda status: status.trigger_ready, "TriggerReady")

    def new_part_id(self) -> int:
        self._part_id += 1
        return self._part_id

    def announce(self, *, part_id: int = 0, encoder_count: int = 0, deadline_ms: int = 0) -> None:
        """The next part: LatchPartId, PartIdAck, and both back to 0."""
        self.set(part_id=part_id, encoder_count=encoder_count, deadline_ms=deadline_ms)
        self.set(latch_part_id=True)
        self.wait(lambda status: status.part_id_ack, "PartIdAck")
        self.set(latch_part_id=False)
        self.wait(lambda status: not status.part_id_ack, "PartIdAck to fall with LatchPartId")
        self.set(part_id=0, encoder_count=0, deadline_ms=0)

    def trigger(self) -> int:
        """Trigger, TriggerAck, and both back to 0; the AcquisitionId."""
        self.set(trigger=True)
        acquisition_id = self.wait(lambda status: status.trigger_ack, "TriggerAck").acquisition_id
        self.set(trigger=False)
        self.wait(lambda status: not status.trigger_ack, "TriggerAck to fall with Trigger")
        return acquisition_id

    def acquire(self) -> int:
        """A part is taken, whatever brings it; its AcquisitionId."""
        if self.source is Source.TRIGGER:
            self.ready()
            return self.trigger()
        before = self.status.acquisition_id
        if self.source is Source.COMMAND:
            self.ready()
            outcome = self.command(SOFTWARE_TRIGGER_TEST)
            if not outcome.command_completed:
                raise Violation(f"command 4 failed while TriggerReady was 1; {self.seen()}")
            return self.wait(lambda status: status.acquisition_id != before, "AcquisitionId to go on").acquisition_id
        try:
            return self.wait(
                lambda status: status.acquisition_id != before, "a part on the line", self.times.line_part_s
            ).acquisition_id
        except Violation as nothing:
            raise NotChecked(str(nothing)) from nothing

    def result(self) -> PlcOutputs:
        """Waits for a result; it stands."""
        return self.wait(lambda status: status.results_valid, "ResultsValid")

    def acknowledge(self) -> None:
        """Takes the standing result off."""
        self.set(results_ack=True)
        self.wait(lambda status: not status.results_valid, "ResultsValid to fall with ResultsAck")
        self.set(results_ack=False)

    def part(self) -> PlcOutputs:
        """One part from trigger to acknowledge; its result."""
        self.acquire()
        result = self.result()
        self.acknowledge()
        return result

    def standing_pass(self) -> PlcOutputs:
        """A result that passes, not acknowledged. Raises NotChecked when the parts do not pass."""
        for _ in range(MOST_TRIES):
            self.acquire()
            if (result := self.result()).result == PASS:
                return result
            self.acknowledge()
        raise NotChecked(f"none of {MOST_TRIES} parts passed; put a good part before the camera")

    def command(self, number: int, argument: int = 0) -> PlcOutputs:
        """Execute until CommandCompleted or CommandFailed, and back; the status at the outcome."""
        self.set(command=number, command_argument=argument)
        self.set(execute=True)
        outcome = self.wait(ended, f"CommandCompleted or CommandFailed of command {number}", 11.0)
        self.set(execute=False)
        self.wait(lambda status: not ended(status), "the outcome of the command to fall with Execute")
        return outcome

    # ---- what only some stations have ---------------------------------------------------------------------------

    @property
    def server(self) -> StationAsServer:
        """The link to a station in server role. Raises NotChecked in client role."""
        if not isinstance(self.link, StationAsServer):
            raise NotChecked("the station is in client role")
        return self.link

    @property
    def modbus(self) -> ModbusClient:
        """For requests that no PLC should make."""
        return self.server.client

    def find_source(self) -> None:
        """Finds out what brings a part: Trigger, command 4, or the line. Raises LinkError."""
        try:
            self.begin()
        except Violation as problem:
            self.why_no_source = f"the station takes no parts: {problem}"
            return
        before = self.status.acquisition_id
        if self._command_fails():
            self.why_no_source = f"the camera waits for its line, and no part came in {self.times.line_part_s:g} s"
            if self._comes(lambda status: status.acquisition_id != before, self.times.line_part_s):
                self.source = Source.LINE
            return
        self.why_no_source = "Trigger and command 4 gave no picture"
        by_command = self._has_picture()
        self._comes(lambda status: not status.busy, self.times.answer_s)
        if self._trigger_works():
            self.source = Source.TRIGGER
        elif by_command:
            self.source = Source.COMMAND

    def _command_fails(self) -> bool:
        """Whether command 4 fails though TriggerReady is 1: there is no software trigger in this station."""
        self.set(command=SOFTWARE_TRIGGER_TEST)
        self.set(execute=True)
        self._comes(ended, self.times.answer_s)
        failed = self.status.command_failed
        self.set(execute=False)
        return failed

    def _trigger_works(self) -> bool:
        """A station that answers Trigger with anything but "no picture" has parts by Trigger, right or wrong."""
        self.set(results_ack=True)
        self._comes(lambda status: not status.results_valid and status.trigger_ready, self.times.answer_s)
        self.set(results_ack=False, trigger=True)
        has_picture = self._comes(lambda status: status.trigger_ack, self.times.answer_s) and self._has_picture()
        self.set(trigger=False)
        return has_picture

    def _has_picture(self) -> bool:
        self._comes(lambda status: status.results_valid, self.times.answer_s)
        return self.status.reason_code != NO_FRAME

    def _comes(self, holds: Condition, timeout_s: float) -> bool:
        try:
            self.wait(holds, "", timeout_s)
        except Violation:
            return False
        return True


def ended(status: PlcOutputs) -> bool:
    """The command has an outcome."""
    return status.command_completed or status.command_failed


def standing_bits(status: PlcOutputs) -> list[str]:
    """Names of the bits that keep the reset from being complete."""
    return [point.name for point in STATUS if point.attribute in MECHANISM and getattr(status, point.attribute)]
