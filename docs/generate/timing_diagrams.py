"""The timing diagrams of docs/plc.md.

Each one is a short script of what PLC and parts do, played through the real handshake in simulated time; what is drawn
is what the handshake returned. Times are examples, order and levels are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from docs.generate.timing_drawing import Diagram, Mark, Track
from docs.generate.timing_tracking import tracking
from drivers.plc.protocol import PlcInputs
from station.codes import OfflineReason, ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    GoOffline,
    GoOnline,
    HandshakeRequest,
    HandshakeSettings,
    PartResult,
    StationState,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.line.signalling.ledger import Counters
from station.results import Verdict

NS_PER_MS = 1_000_000
SCAN_MS, REACTION_MS = 5.0, 1.0
"""The PLC of these pictures sees and writes every 5 ms, the station responds after 1 ms."""
READY = StationStatus(
    online=True, can_take_part=True, state=StationState.READY, offline_reason=OfflineReason.NONE, threshold=0.5
)


@dataclass
class Player:
    """Station and PLC in one script; every call happens at `now_ms`, `wait` moves on."""

    names: tuple[str, ...]
    """Attributes of PlcInputs and PlcOutputs, in the order they are drawn."""
    enabled: bool = True
    """TriggerEnable and BufferEnable stand from the beginning."""
    obeys: bool = True
    """The station goes on and off line at once when it is asked to."""
    now_ms: float = 0.0
    status: StationStatus = READY
    inputs: PlcInputs = field(default_factory=PlcInputs)
    counters: Counters = field(default_factory=Counters)
    acquisitions: int = 0
    marks: list[Mark] = field(default_factory=list)
    _changes: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._handshake = Handshake(HandshakeSettings(), 0)
        self._take(self._handshake.station_changed(self.status, 0))
        if self.enabled:
            self.inputs = PlcInputs(trigger_enable=True, buffer_enable=True)
            self._take(self._handshake.plc_wrote(self.inputs, 0))
        self.wait(SCAN_MS)

    def wait(self, ms: float) -> None:
        """Time passes, and the handshake does what time alone brings."""
        end_ms = self.now_ms + ms
        while (wakeup_ms := self._handshake.next_wakeup_ns() / NS_PER_MS) < end_ms:
            self.now_ms = max(self.now_ms, wakeup_ms)
            self._take(self._handshake.tick(self._now_ns))
        self.now_ms = end_ms
        self._take(self._handshake.tick(self._now_ns))

    def plc(self, **changes: object) -> None:
        """The PLC writes, the station responds, then the PLC's next scan comes."""
        self.inputs = replace(self.inputs, **changes)  # type: ignore[arg-type]
        self._look()
        self.wait(REACTION_MS)
        self._take(self._handshake.plc_wrote(self.inputs, self._now_ns))
        self.wait(SCAN_MS - REACTION_MS)

    def mark(self, text: str) -> None:
        """Explains what happens now."""
        self.marks.append(Mark(self.now_ms, text))

    def exposed(self) -> None:
        self._handshake.exposure_completed(self.acquisitions)
        self._look()

    def result(self, verdict: Verdict, *, acquisition_id: int | None = None, part_id: int = 0) -> None:
        """A part has its verdict."""
        number = self.acquisitions if acquisition_id is None else acquisition_id
        reason = ReasonCode.NONE if verdict is Verdict.PASS else ReasonCode.SCORE_ABOVE_LIMIT
        self._handshake.result(PartResult(number, part_id, verdict, reason, 0.1, 0.5, 0, 30.0))
        self._look()

    def changed(self, **changes: object) -> None:
        """The station's own state changes."""
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        self._take(self._handshake.station_changed(self.status, self._now_ns))

    def diagram(self, title: str) -> Diagram:
        """What happened, up to now."""
        tracks = tuple(Track.of(name, tuple(self._changes[name])) for name in self.names)
        return Diagram(title, tracks, tuple(self.marks), self.now_ms)

    @property
    def _now_ns(self) -> int:
        return round(self.now_ms * NS_PER_MS)

    def _take(self, requests: Iterable[HandshakeRequest]) -> None:
        for request in requests:
            match request:
                case TriggerRequested():
                    self.acquisitions += 1
                    self._handshake.trigger_accepted(self.acquisitions, self._now_ns)
                    self.counters = replace(self.counters, triggers=self.counters.triggers + 1)
                case TriggerMissed():
                    self.counters = replace(self.counters, missed=self.counters.missed + 1)
                case GoOffline() if self.obeys:
                    self.changed(online=False, can_take_part=False, offline_reason=OfflineReason.BY_PLC)
                case GoOnline() if self.obeys:
                    self.changed(online=True, can_take_part=True, offline_reason=OfflineReason.NONE)
        self._handshake.counted(self.counters)
        self._look()

    def _look(self) -> None:
        outputs = self._handshake.outputs()
        for name in self.names:
            source = self.inputs if hasattr(self.inputs, name) else outputs
            value = float(getattr(source, name))
            changes = self._changes.setdefault(name, [])
            if not self.now_ms:
                changes[:] = [(0.0, value)]
            elif changes[-1][1] != value:
                changes.append((self.now_ms, value))


def one_part() -> Diagram:
    trigger = ("trigger_enable", "latch_part_id", "part_id_ack", "trigger", "trigger_ready", "trigger_ack")
    camera = ("acquisition_id", "exposure_complete", "busy")
    result = ("inspection_id", "inspection_completed", "results_valid", "pass_", "reject", "results_ack")
    play = Player((*trigger, *camera, *result), enabled=False)
    play.mark("TriggerEnable: the PLC takes part, TriggerReady follows")
    play.plc(trigger_enable=True, buffer_enable=True, part_id=4711)
    play.wait(5)
    play.mark("PartId stands, LatchPartId rises: the station takes the id")
    play.plc(latch_part_id=True)
    play.plc(latch_part_id=False)
    play.wait(5)
    play.mark("Trigger rises while TriggerReady is 1; with TriggerAck AcquisitionId is valid")
    play.plc(trigger=True)
    play.plc(trigger=False)
    play.wait(5)
    play.mark("the exposure ends: the part may move, the next one may come")
    play.exposed()
    play.wait(20)
    play.mark("registers, bits and toggle of the result change in one step; Reject falls only for a pass")
    play.result(Verdict.PASS, part_id=4711)
    play.wait(10)
    play.mark("ResultsAck: the PLC has read PartId, InspectionId and Result; all of it falls")
    play.plc(results_ack=True)
    play.plc(results_ack=False)
    play.wait(10)
    return play.diagram("One part, triggered by the PLC")


def buffer_overrun() -> Diagram:
    names = ("trigger", "trigger_ready", "trigger_ack", "free_result_slots", "results_valid", "inspection_id")
    play = Player((*names, "results_ack", "missed_trigger", "overrun", "count_missed", "clear_error"))
    play.mark("the PLC acknowledges no result: 8 parts fill the buffer")
    for _ in range(8):
        play.plc(trigger=True)
        play.exposed()
        play.result(Verdict.FAIL)
        play.plc(trigger=False)
    play.mark("no free slot: TriggerReady stays 0")
    play.wait(5)
    play.mark("a trigger all the same is missed: its part is Reject, and Overrun says why")
    play.plc(trigger=True)
    play.plc(trigger=False)
    play.mark("each ResultsAck makes room; results come in their order")
    for _ in range(3):
        play.plc(results_ack=True)
        play.plc(results_ack=False)
    play.mark("ClearError clears MissedTrigger and Overrun")
    play.plc(clear_error=True)
    play.plc(clear_error=False)
    return play.diagram("Result buffer and overrun")


def command() -> Diagram:
    names = ("command", "execute", "executing", "command_completed", "command_failed", "online")
    play = Player(names, obeys=False)
    play.plc(command=3)
    play.mark("Execute rises: command 3, go offline")
    play.plc(execute=True)
    play.wait(5)
    play.changed(online=False, can_take_part=False)
    play.wait(10)
    play.mark("CommandCompleted clears with Execute, at the latest after 10 s")
    play.plc(execute=False)
    play.plc(command=99)
    play.mark("a command that does not exist fails")
    play.plc(execute=True)
    play.wait(5)
    play.plc(execute=False)
    play.wait(5)
    return play.diagram("Commands")


def missed_trigger() -> Diagram:
    names = ("trigger", "trigger_ready", "trigger_ack", "busy", "missed_trigger", "count_triggers", "count_missed")
    play = Player((*names, "clear_error"))
    play.plc(trigger=True)
    play.plc(trigger=False)
    play.wait(5)
    play.mark("Trigger rises during the exposure, TriggerReady is 0: missed. No TriggerAck comes; its part is Reject")
    play.plc(trigger=True)
    play.wait(5)
    play.plc(trigger=False)
    play.exposed()
    play.wait(10)
    play.result(Verdict.PASS)
    play.wait(5)
    play.mark("MissedTrigger stands until ClearError or the reset")
    play.plc(clear_error=True)
    play.plc(clear_error=False)
    return play.diagram("A missed trigger")


def heartbeat_loss() -> Diagram:
    play = Player(("plc_heartbeat", "heartbeat", "trigger_ready", "results_valid", "pass_", "reject", "warning"))
    for beat in (1, 2):
        play.plc(plc_heartbeat=beat)
        play.wait(1000 - SCAN_MS)
    play.plc(plc_heartbeat=3)
    play.mark("the PLC's heartbeat stands still from here on, a pass is not acknowledged")
    play.plc(trigger=True)
    play.exposed()
    play.plc(trigger=False)
    play.result(Verdict.PASS)
    play.wait(2000)
    play.wait(1000 - 2 * SCAN_MS)
    play.mark("after plc.heartbeat_timeout_s: TriggerReady 0, Warning, and the pass is withdrawn for good")
    play.wait(1500)
    play.mark("the heartbeat moves: TriggerReady comes back, the pass does not")
    play.plc(plc_heartbeat=4)
    play.wait(1000)
    return play.diagram("The PLC's heartbeat stands still")


def offline() -> Diagram:
    names = ("set_offline", "online", "trigger_ready", "inspection_id", "results_valid", "pass_", "reject")
    play = Player((*names, "results_ack"))
    for verdict in (Verdict.PASS, Verdict.FAIL):
        play.plc(trigger=True)
        play.exposed()
        play.plc(trigger=False)
        play.result(verdict)
    play.wait(10)
    play.mark("SetOffline: the pass that was not acknowledged is withdrawn, the fail behind it is shown")
    play.plc(set_offline=True)
    play.wait(10)
    play.plc(results_ack=True)
    play.plc(results_ack=False)
    play.wait(5)
    play.mark("on line again: TriggerReady, and the pass stays withdrawn")
    play.plc(set_offline=False)
    play.wait(10)
    return play.diagram("Off line with a pass not acknowledged")


def reset() -> Diagram:
    names = ("trigger_enable", "trigger", "trigger_ready", "trigger_ack", "exposure_complete", "busy")
    play = Player((*names, "results_valid", "missed_trigger", "reject"))
    for _ in range(2):
        play.plc(trigger=True)
        play.exposed()
        play.plc(trigger=False)
    play.result(Verdict.PASS, acquisition_id=1)
    play.wait(5)
    play.mark("TriggerEnable falls: every bit of trigger and result falls at once, a part is still in flight")
    play.plc(trigger_enable=False)
    play.wait(15)
    play.mark("its result is not shown; Busy falls, all bits are 0: TriggerEnable may rise")
    play.result(Verdict.PASS)
    play.wait(5)
    play.plc(trigger_enable=True)
    play.wait(5)
    return play.diagram("Reset")


SCENARIOS: dict[str, Callable[[], Diagram]] = {
    "plc-one-part": one_part,
    "plc-buffer-overrun": buffer_overrun,
    "plc-command": command,
    "plc-missed-trigger": missed_trigger,
    "plc-heartbeat-loss": heartbeat_loss,
    "plc-offline": offline,
    "plc-reset": reset,
    "plc-tracking": tracking,
}
