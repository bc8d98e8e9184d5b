"""A PLC that misbehaves: each fault does what it says, and no fault lets a bad part pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.simulation.plant.belt import Belt, Bin, Layout, Place
from station.simulation.plant.faults import SECOND_EDGE_S, Fault, FaultKind, Misbehaviour, parse_fault
from station.simulation.plant.plc import UNEXPECTED_EDGE, PlcProgram, PlcSettings
from station.simulation.plant.plc_signals import Control, FieldInputs, Judgement, Result, StationStatus, TriggerMode

STEP_S = 0.005


def faulty(kind: FaultKind, trigger: TriggerMode = TriggerMode.LINE) -> Misbehaviour:
    """Always: at every part."""
    return Misbehaviour([Fault(kind, 1.0)], trigger, seed=3)


def test_without_faults_everything_goes_through() -> None:
    control = Control(trigger_enable=True, trigger=True, results_ack=True, latch_part_id=True, heartbeat=4, part_id=9)
    wire = Misbehaviour([], TriggerMode.LINE, 0).alter(1.0, 1, 1, control)
    assert (wire.control, wire.connected, wire.second_edge) == (control, True, False)


def test_a_fault_that_is_asked_for_begins_once_at_the_next_scan() -> None:
    plc = Misbehaviour([], TriggerMode.LINE, 0)
    plc.ask(FaultKind.LOST_CONNECTION)
    assert not plc.alter(1.0, 0, 0, Control()).connected
    assert plc.alter(2.51, 0, 0, Control()).connected
    assert plc.begun == {FaultKind.LOST_CONNECTION: 1}


def test_late_acknowledge_comes_in_the_end() -> None:
    plc, control = faulty(FaultKind.LATE_ACK), Control(results_ack=True)
    assert not plc.alter(1.0, 1, 0, control).control.results_ack
    assert not plc.alter(1.09, 0, 0, control).control.results_ack
    assert plc.alter(2.01, 0, 0, control).control.results_ack


def test_connection_ends_for_a_while() -> None:
    plc = faulty(FaultKind.LOST_CONNECTION)
    assert not plc.alter(1.0, 1, 0, Control()).connected
    assert plc.alter(2.51, 0, 0, Control()).connected


def test_heartbeat_stands_still_longer_than_a_station_allows() -> None:
    plc = faulty(FaultKind.FROZEN_HEARTBEAT)
    assert plc.alter(0.9, 0, 0, Control(heartbeat=7)).control.heartbeat == 7
    assert plc.alter(1.0, 1, 0, Control(heartbeat=8)).control.heartbeat == 7
    assert plc.alter(4.1, 0, 0, Control(heartbeat=11)).control.heartbeat == 7
    assert plc.alter(6.1, 0, 0, Control(heartbeat=13)).control.heartbeat == 13


def test_wrong_part_id_stands_from_one_latch_to_the_next() -> None:
    plc = faulty(FaultKind.WRONG_PART_ID)
    control = Control(part_id=500, latch_part_id=True)
    wrong = plc.alter(1.0, 1, 0, control).control.part_id
    assert wrong != 500
    assert plc.alter(1.1, 0, 0, replace(control, latch_part_id=False)).control.part_id == wrong
    assert plc.alter(1.2, 0, 0, replace(control, part_id=501)).control.part_id == 501, "only one was asked for"


def test_second_edge_of_the_barrier_follows_the_first() -> None:
    plc = faulty(FaultKind.DOUBLE_TRIGGER)
    assert not plc.alter(1.0, 1, 0, Control()).second_edge
    assert not plc.alter(2.0, 0, 1, Control()).second_edge
    low, high = SECOND_EDGE_S
    assert not plc.alter(2.0 + low / 2, 0, 0, Control()).second_edge
    assert plc.alter(2.0 + high, 0, 0, Control()).second_edge
    assert not plc.alter(2.1, 0, 0, Control()).second_edge


def test_second_edge_of_trigger_follows_its_fall() -> None:
    plc = faulty(FaultKind.DOUBLE_TRIGGER, TriggerMode.PLC)
    levels = [plc.alter(1.0, 1, 0, Control()).control.trigger]
    for scan in range(20):
        levels.append(plc.alter(1.1 + scan * 0.001, 0, 0, Control(trigger=scan < 2)).control.trigger)
    levels += [plc.alter(1.2, 0, 0, Control()).control.trigger]
    edges = [after for before, after in pairwise(levels) if before != after]
    assert edges[:3] == [True, False, True]
    assert not levels[-1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("late-ack", "expected KIND:PROBABILITY"),
        ("late-ack:", "expected KIND:PROBABILITY"),
        ("late:0.1", "expected KIND:PROBABILITY with one of late-ack, lost-connection"),
        ("late-ack:2", "the probability per part must be from 0 to 1"),
        ("late-ack:-0.1", "the probability per part must be from 0 to 1"),
        ("late-ack:nan", "the probability per part must be from 0 to 1"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f'fault "{text}": {why}'):
        parse_fault(text)


def test_a_fault_is_read() -> None:
    assert parse_fault("frozen-heartbeat:0.25") == Fault(FaultKind.FROZEN_HEARTBEAT, 0.25)


# ---- the whole line in simulated time -------------------------------------------------------------------------------


@dataclass
class Camera:
    """A station after the document whose verdict is that of the part which it really saw."""

    bad: frozenset[int]
    answer_after_s: float
    status: StationStatus = field(default_factory=lambda: StationStatus(trigger_ready=True))
    latched: tuple[int, int] = (0, 0)
    pending: deque[tuple[float, StationStatus]] = field(default_factory=deque)
    triggers: int = 0
    before: Control = field(default_factory=Control)

    def trigger(self, now_s: float, seen: int) -> None:
        self.triggers += 1
        (part_id, encoder), self.latched = self.latched, (0, 0)
        self.status = replace(self.status, acquisition_id=self.triggers)
        result = Result.FAIL if seen in self.bad else Result.PASS
        shown = StationStatus(
            results_valid=True,
            pass_=result is Result.PASS,
            reject=result is not Result.PASS,
            result=int(result),
            inspection_id=self.triggers,
            part_id=part_id,
            encoder=encoder,
        )
        self.pending.append((now_s + self.answer_after_s, shown))

    def step(self, now_s: float, control: Control, seen: int) -> None:
        if control.trigger and not self.before.trigger:
            self.trigger(now_s, seen)
        if control.latch_part_id and not self.before.latch_part_id:
            self.latched = (control.part_id, control.encoder)
        now = self.status
        if now.results_valid and control.results_ack:
            now = replace(now, results_valid=False, pass_=False, reject=True, result=0)
        elif not now.results_valid and not control.results_ack and self.pending and self.pending[0][0] <= now_s:
            now = replace(self.pending.popleft()[1], acquisition_id=now.acquisition_id, trigger_ready=now.trigger_ready)
        self.before = control
        self.status = replace(
            now,
            trigger_ack=control.trigger,
            part_id_ack=control.latch_part_id,
            heartbeat=int(now_s),
            written=control,
        )


@dataclass(frozen=True)
class Line:
    """What is the same for all parts."""

    trigger: TriggerMode = TriggerMode.LINE
    rate_per_s: float = 4.0
    lag: int = 1
    """Scans from PLC to station, and back."""
    answer_after_s: float = 0.05
    seed: int = 0


def run_line(bad: frozenset[int], faults: list[Fault], line: Line) -> tuple[dict[int, Bin], dict[int, Judgement]]:
    """30 parts; where each ended, and what the PLC did with it."""
    layout = Layout.for_rate(line.rate_per_s, transit_s=1.5)
    belt, camera = Belt(layout), Camera(bad, line.answer_after_s)
    travel = (layout.barrier_counts - layout.entry_counts, layout.barrier_to_ejector_counts)
    program = PlcProgram(PlcSettings(*travel, trigger=line.trigger))
    plc = Misbehaviour(faults, line.trigger, line.seed)
    to_station: deque[tuple[Control, Control]] = deque([(Control(), Control())] * line.lag)
    to_plc: deque[StationStatus] = deque([camera.status] * line.lag)
    ends: dict[int, Bin] = {}
    judged: dict[int, Judgement] = {}
    fed, in_view, scan, fired = 0, 0, 0, False
    edges: list[int] = []
    meant, connected = Control(), True
    while len(judged) < 30 or not belt.empty:
        scan += 1
        now_s = scan * STEP_S
        encoder = int(now_s * layout.speed_counts_per_s)
        if fed < 30 and belt.has_room(encoder):
            fed += 1
            belt.put_on(fed, encoder)
        passages = belt.advance(encoder)
        entries = [passage.at_counts for passage in passages if passage.place is Place.ENTRY]
        ends.update({passage.serial: Bin.GOOD for passage in passages if passage.place is Place.PAST_EJECTOR})
        for passage in passages:
            if passage.place is Place.BARRIER:
                in_view = passage.serial
                edges.append(passage.at_counts)
                if line.trigger is TriggerMode.LINE:
                    camera.trigger(now_s, in_view)
        to_plc.append(camera.status)
        status: StationStatus | None = to_plc.popleft()
        status = replace(status, written=meant) if status is not None and connected else None
        outputs = program.scan(now_s, FieldInputs(encoder, tuple(entries), tuple(edges)), status)
        wire = plc.alter(now_s, len(entries), len(edges), outputs.control)
        edges = []
        if wire.second_edge:
            edges.append(encoder)
            camera.trigger(now_s, in_view)
        if outputs.ejector and not fired:
            ejection = belt.fire_ejector(encoder)
            assert ejection is not None, "the ejector fired at nothing"
            ends[ejection.serial] = Bin.REJECT
        fired = outputs.ejector
        for judgement in outputs.judgements:
            judged[judgement.part_id] = judgement
        connected = wire.connected
        to_station.append((outputs.control, wire.control))
        now_meant, written = to_station.popleft()
        if connected:
            meant = now_meant
            camera.step(now_s, written, in_view)
    return ends, judged


@settings(max_examples=20, deadline=None)
@given(
    bad=st.frozensets(st.integers(1, 30), max_size=15),
    kinds=st.dictionaries(st.sampled_from(FaultKind), st.sampled_from([0.05, 0.3, 1.0]), max_size=5),
    triggered=st.sampled_from([(TriggerMode.LINE, 4.0), (TriggerMode.LINE, 20.0), (TriggerMode.PLC, 4.0)]),
    lag=st.integers(1, 4),
    answer_after_s=st.sampled_from([0.01, 0.05, 0.3]),
    seed=st.integers(0, 1000),
)
def test_whatever_the_plc_does_no_bad_part_passes_and_no_other_is_pushed_off(
    bad: frozenset[int],
    kinds: dict[FaultKind, float],
    triggered: tuple[TriggerMode, float],
    **line: Any,
) -> None:
    faults = [Fault(kind, probability) for kind, probability in kinds.items()]
    ends, judged = run_line(bad, faults, Line(*triggered, **line))
    good_bin = {serial for serial, end in ends.items() if end is Bin.GOOD}
    assert set(ends) == set(judged) == set(range(1, 31))
    assert not good_bin & bad
    assert good_bin == {serial for serial, judgement in judged.items() if judgement.passed}
    if not faults and triggered[1] < 20:
        assert good_bin == set(range(1, 31)) - bad


def test_an_edge_that_no_part_explains_costs_the_next_part_its_pass() -> None:
    """The second picture of a good part takes the id of the bad one behind it: its PASS must not count."""
    always = [Fault(FaultKind.DOUBLE_TRIGGER, 1.0)]
    bad = frozenset(range(2, 31, 2))
    ends, judged = run_line(bad, always, Line(rate_per_s=20.0))
    assert not {serial for serial, end in ends.items() if end is Bin.GOOD} & bad
    assert UNEXPECTED_EDGE in {judged[serial].why for serial in bad}
