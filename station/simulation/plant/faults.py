"""A PLC that misbehaves on request: stands between the outputs of the PLC program and the wire.

Pure: `alter` gets what the program of a scan wants to write and returns what is written instead, and what happens to
the connection and to the light barrier. The program itself, which decides over the parts, knows nothing of it: so it is
the station and the handshake that are put to the test. All follows from the seed and the sequence of scans.

    late-ack           ResultsAck comes up to 1 s late: results queue up, and the buffer overruns
    lost-connection    the connection ends, for up to 1.5 s
    double-trigger     a second edge soon after the first: of the light barrier, or of Trigger when the PLC triggers
    frozen-heartbeat   PlcHeartbeat stands still longer than the station allows
    wrong-part-id      PartId of another part: of the one before, of the next one, or any
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from station.simulation.plant.plc_signals import Control, TriggerMode

SECOND_EDGE_S = (0.005, 0.015)
"""From the first edge, or from the fall of Trigger, to the second."""
SECOND_PULSE_S = 0.010


class FaultKind(str, Enum):
    """What the PLC does wrong."""

    LATE_ACK = "late-ack"
    LOST_CONNECTION = "lost-connection"
    DOUBLE_TRIGGER = "double-trigger"
    FROZEN_HEARTBEAT = "frozen-heartbeat"
    WRONG_PART_ID = "wrong-part-id"


class CameraFault(str, Enum):
    """What goes wrong with the software camera."""

    INCOMPLETE = "incomplete"
    DROPPED = "dropped"
    LATE = "late"
    CRASH = "crash"
    """The process that has it open ends within the driver."""
    UNPLUGGED = "unplugged"
    PLUGGED = "plugged"
    """In again."""


_LASTS_S = {
    FaultKind.LATE_ACK: (0.1, 1.0),
    FaultKind.LOST_CONNECTION: (0.05, 1.5),
    FaultKind.FROZEN_HEARTBEAT: (3.2, 5.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault and how often it begins."""

    kind: FaultKind
    probability: float
    """Per part."""


def parse_fault(text: str) -> Fault:
    """`late-ack:0.01`. Raises ValueError with what is allowed."""
    name, _, share = text.partition(":")
    kinds = ", ".join(kind.value for kind in FaultKind)
    try:
        fault = Fault(FaultKind(name), float(share))
    except ValueError:
        raise ValueError(f'fault "{text}": expected KIND:PROBABILITY with one of {kinds}') from None
    if not 0 <= fault.probability <= 1:
        raise ValueError(f'fault "{text}": the probability per part must be from 0 to 1')
    return fault


@dataclass(frozen=True, slots=True)
class Wire:
    """What reaches the station, and the sensors, in place of what the program wanted."""

    control: Control
    connected: bool = True
    second_edge: bool = False
    """The light barrier gives one more edge now."""


class Misbehaviour:
    """Call `alter` once per scan."""

    def __init__(self, faults: Sequence[Fault], trigger: TriggerMode, seed: int) -> None:
        self._faults = tuple(faults)
        self._trigger = trigger
        self._random = random.Random(seed)
        self.begun: Counter[FaultKind] = Counter()
        self._asked: deque[FaultKind] = deque()
        self._until_s: dict[FaultKind, float] = {}
        self._wrong_ids_due = 0
        self._second_edges_due = 0
        self._before = Control()
        self._heartbeat = 0
        self._part_id: int | None = None
        """Written in place of the program's, until the next latch."""
        self._second_edge_s = math.inf

    def alter(self, now_s: float, entries: int, barriers: int, control: Control) -> Wire:
        """`entries` and `barriers`: edges of the two sensors in this scan."""
        while self._asked:
            self._begin(self._asked.popleft(), now_s)
        for _ in range(entries):
            self._draw(now_s)
        second_edge = self._second_barrier_edge(now_s, barriers)
        wire = replace(
            control,
            results_ack=control.results_ack and not self._lasts(FaultKind.LATE_ACK, now_s),
            heartbeat=self._beat(now_s, control),
            part_id=self._id(control),
            trigger=control.trigger or self._second_trigger(now_s, control),
        )
        self._before = control
        return Wire(wire, not self._lasts(FaultKind.LOST_CONNECTION, now_s), second_edge)

    def ask(self, kind: FaultKind) -> None:
        """Begins at the next `alter`. Any thread."""
        self._asked.append(kind)

    def _draw(self, now_s: float) -> None:
        for fault in self._faults:
            if self._random.random() < fault.probability:
                self._begin(fault.kind, now_s)

    def _begin(self, kind: FaultKind, now_s: float) -> None:
        self.begun[kind] += 1
        if kind is FaultKind.WRONG_PART_ID:
            self._wrong_ids_due += 1
        elif kind is FaultKind.DOUBLE_TRIGGER:
            self._second_edges_due += 1
        else:
            self._until_s[kind] = now_s + self._random.uniform(*_LASTS_S[kind])

    def _lasts(self, kind: FaultKind, now_s: float) -> bool:
        return now_s < self._until_s.get(kind, -math.inf)

    def _beat(self, now_s: float, control: Control) -> int:
        if not self._lasts(FaultKind.FROZEN_HEARTBEAT, now_s):
            self._heartbeat = control.heartbeat
        return self._heartbeat

    def _id(self, control: Control) -> int:
        if control.latch_part_id and not self._before.latch_part_id:
            self._part_id = None
            if self._wrong_ids_due:
                self._wrong_ids_due -= 1
                any_id = self._random.randrange(1 << 32)
                self._part_id = self._random.choice((control.part_id - 1, control.part_id + 1, any_id, 0))
        return control.part_id if self._part_id is None else self._part_id % (1 << 32)

    def _second_barrier_edge(self, now_s: float, barriers: int) -> bool:
        if self._trigger is not TriggerMode.LINE:
            return False
        if barriers and self._second_edges_due:
            self._second_edges_due -= 1
            self._second_edge_s = now_s + self._random.uniform(*SECOND_EDGE_S)
        if now_s < self._second_edge_s:
            return False
        self._second_edge_s = math.inf
        return True

    def _second_trigger(self, now_s: float, control: Control) -> bool:
        """The level of the pulse that follows the fall of Trigger."""
        if self._trigger is not TriggerMode.PLC:
            return False
        if self._before.trigger and not control.trigger and self._second_edges_due:
            self._second_edges_due -= 1
            self._second_edge_s = now_s + self._random.uniform(*SECOND_EDGE_S)
        return self._second_edge_s <= now_s < self._second_edge_s + SECOND_PULSE_S
