"""The PLC program with the belt, against a small station that follows the handshake document, in simulated time.

`Station` below is written from the document alone. Its answers can be late, missing, wrong or for another part; the
one thing that must hold whatever it does: only a part with its own PASS reaches the good bin.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.simulation.plant import plc
from station.simulation.plant.belt import PITCH_COUNTS, Belt, Bin, Layout, Place
from station.simulation.plant.plc import PlcProgram, PlcSettings
from station.simulation.plant.plc_signals import Control, FieldInputs, Judgement, Result, StationStatus, TriggerMode

STEP_S = 0.005
RATE = 4.0
LAYOUT = Layout.for_rate(RATE, transit_s=1.5)


@dataclass(frozen=True)
class Answer:
    """What the station says of one part."""

    result: Result = Result.PASS
    after_s: float = 0.1
    part_id_offset: int = 0
    """Other than 0: the result carries the id of another part."""
    bits_agree: bool = True
    """False: Result says PASS and the bit Reject stands."""


@dataclass
class Station:
    """Ids latched, triggers in, results out one at a time with ResultsValid and ResultsAck."""

    answers: dict[int, Answer] = field(default_factory=dict)
    """By part id; parts without an entry pass after 0.1 s, those in `silent` never get an answer."""
    silent: set[int] = field(default_factory=set)
    deaf_to: set[int] = field(default_factory=set)
    """Part ids whose latch is not acknowledged."""
    status: StationStatus = field(default_factory=lambda: StationStatus(trigger_ready=True))
    frozen: bool = False
    pending: list[tuple[float, int, int, int, Answer]] = field(default_factory=list)
    """When, AcquisitionId, part id, encoder count, answer."""
    latched: tuple[int, int] = (0, 0)
    before: Control = field(default_factory=Control)
    triggers: int = 0

    def trigger(self, now_s: float) -> None:
        self.triggers += 1
        (part_id, encoder), self.latched = self.latched, (0, 0)
        self.status = replace(self.status, acquisition_id=self.triggers)
        if part_id and part_id not in self.silent:
            answer = self.answers.get(part_id, Answer())
            due_s = now_s + answer.after_s
            self.pending.append((due_s, self.triggers, part_id + answer.part_id_offset, encoder, answer))
            self.pending.sort(key=lambda entry: entry[0])

    def step(self, now_s: float, control: Control) -> None:
        """One turn after the PLC has written `control`."""
        if control.trigger and not self.before.trigger:
            self.trigger(now_s)
            self.status = replace(self.status, trigger_ack=True)
        now = self.status
        if control.latch_part_id and not self.before.latch_part_id and control.part_id not in self.deaf_to:
            self.latched = (control.part_id, control.encoder)
            now = replace(now, part_id_ack=True)
        if not control.latch_part_id:
            now = replace(now, part_id_ack=False)
        if not control.trigger:
            now = replace(now, trigger_ack=False)
        if now.results_valid and control.results_ack:
            now = replace(now, results_valid=False, pass_=False, reject=True)
        elif not now.results_valid and not control.results_ack and self.pending and self.pending[0][0] <= now_s:
            _, acquisition_id, part_id, encoder, answer = self.pending.pop(0)
            passed = answer.result is Result.PASS
            now = replace(
                now,
                results_valid=True,
                pass_=passed,
                reject=not (passed and answer.bits_agree),
                result=int(answer.result),
                inspection_id=acquisition_id,
                part_id=part_id,
                encoder=encoder,
                reason_code=0 if passed else 10,
            )
        if not self.frozen:
            now = replace(now, heartbeat=int(now_s))
        self.before = control
        self.status = replace(now, written=control)


@dataclass
class Simulation:
    """Belt, PLC and station in lockstep; the network is `lag` scans slow."""

    station: Station = field(default_factory=Station)
    trigger: TriggerMode = TriggerMode.LINE
    lag: int = 2
    connected: bool = True
    taken_off: dict[int, Place] = field(default_factory=dict)
    """Parts that somebody takes off the belt when they come to a place."""
    now_s: float = 0.0
    ends: dict[int, Bin] = field(default_factory=dict)
    judgements: dict[int, Judgement] = field(default_factory=dict)
    errors_counts: list[int] = field(default_factory=list)
    misfires: int = 0

    def __post_init__(self) -> None:
        self.belt = Belt(LAYOUT)
        self.program = PlcProgram(
            PlcSettings(
                LAYOUT.barrier_counts - LAYOUT.entry_counts, LAYOUT.barrier_to_ejector_counts, trigger=self.trigger
            )
        )
        self.to_station: deque[Control] = deque([Control()] * self.lag)
        self.to_plc: deque[StationStatus] = deque([self.station.status] * self.lag)
        self.ejector = False

    def run(self, parts: int) -> None:
        """Feeds `parts` one pitch apart and runs until the belt is empty."""
        fed = 0
        while fed < parts or not self.belt.empty:
            encoder = int(self.now_s * LAYOUT.speed_counts_per_s)
            if fed < parts and self.belt.has_room(encoder):
                fed += 1
                self.belt.put_on(fed, encoder)
            self.scan(encoder)
            self.now_s += STEP_S
        end_s = self.now_s + LAYOUT.barrier_to_ejector_counts / LAYOUT.speed_counts_per_s
        while self.now_s < end_s:  # parts that were taken off are still in the PLC's register
            self.scan(int(self.now_s * LAYOUT.speed_counts_per_s))
            self.now_s += STEP_S

    def scan(self, encoder: int) -> None:
        entries, barriers = [], []
        for passage in self.belt.advance(encoder):
            if self.taken_off.get(passage.serial) is passage.place:
                self.belt._parts = [part for part in self.belt._parts if part.serial != passage.serial]
            elif passage.place is Place.ENTRY:
                entries.append(passage.at_counts)
            elif passage.place is Place.BARRIER:
                barriers.append(passage.at_counts)
                if self.trigger is TriggerMode.LINE:
                    self.station.trigger(self.now_s)
            elif passage.place is Place.PAST_EJECTOR:
                self.ends[passage.serial] = Bin.GOOD
        self.to_plc.append(self.station.status)
        status = self.to_plc.popleft()
        outputs = self.program.scan(
            self.now_s, FieldInputs(encoder, tuple(entries), tuple(barriers)), status if self.connected else None
        )
        if outputs.ejector and not self.ejector:
            ejection = self.belt.fire_ejector(encoder)
            if ejection is None:
                self.misfires += 1
            else:
                self.ends[ejection.serial] = Bin.REJECT
                self.errors_counts.append(ejection.error_counts)
        self.ejector = outputs.ejector
        for judgement in outputs.judgements:
            assert judgement.part_id not in self.judgements, "judged twice"
            self.judgements[judgement.part_id] = judgement
        self.to_station.append(outputs.control)
        control = self.to_station.popleft()
        if self.connected:
            self.station.step(self.now_s, control)

    @property
    def rejected(self) -> set[int]:
        return {serial for serial, end in self.ends.items() if end is Bin.REJECT}


@pytest.mark.parametrize("trigger", TriggerMode)
def test_verdicts_sort_the_parts(trigger: TriggerMode) -> None:
    answers = {3: Answer(Result.FAIL), 5: Answer(Result.REVIEW), 8: Answer(Result.ERROR)}
    simulation = Simulation(Station(answers), trigger)
    simulation.run(10)
    assert simulation.rejected == {3, 5, 8}
    assert len(simulation.ends) == 10
    assert simulation.station.triggers == 10
    assert simulation.program.unmatched_results == 0
    assert simulation.judgements[5].why == "REVIEW, reason 10"
    assert all(0 <= error <= 2 * STEP_S * LAYOUT.speed_counts_per_s for error in simulation.errors_counts)


def test_results_out_of_order_go_to_their_own_parts() -> None:
    answers = {1: Answer(Result.FAIL, after_s=0.9), 2: Answer(Result.PASS, after_s=0.1)}
    simulation = Simulation(Station(answers))
    simulation.run(4)
    assert simulation.rejected == {1}


@pytest.mark.parametrize(
    ("station", "why"),
    [
        (Station(silent={2}), plc.NO_RESULT),
        (Station({2: Answer(after_s=2.0)}), plc.NO_RESULT),
        (Station({2: Answer(part_id_offset=1000)}), plc.NO_RESULT),
        (Station({2: Answer(bits_agree=False)}), "PASS"),
        (Station(deaf_to={2}), plc.ID_NOT_ACKNOWLEDGED),
    ],
)
def test_part_without_its_own_valid_pass_is_pushed_off(station: Station, why: str) -> None:
    simulation = Simulation(station)
    simulation.run(4)
    assert simulation.rejected == {2}
    assert simulation.judgements[2].why == why
    assert simulation.judgements[2].id_given, "also where nobody acknowledged it: the station may know it"


def test_a_station_that_shows_no_result_behind_results_valid_lets_nothing_pass() -> None:
    """Until the bit falls there is nothing to acknowledge: part 2 and all behind it are pushed off."""
    simulation = Simulation(Station({2: Answer(Result.NONE)}))
    simulation.run(4)
    assert simulation.rejected == {2, 3, 4}


def test_a_pass_with_the_id_of_the_part_before_does_not_save_a_part() -> None:
    """Part 2 gets an answer with the id of part 1, which has its own: neither id is taken twice."""
    simulation = Simulation(Station({1: Answer(Result.FAIL), 2: Answer(part_id_offset=-1)}))
    simulation.run(3)
    assert simulation.rejected == {1, 2}
    assert simulation.program.unmatched_results == 1


def test_not_connected_rejects_everything() -> None:
    simulation = Simulation(connected=False)
    simulation.run(3)
    assert simulation.rejected == {1, 2, 3}
    assert {judgement.why for judgement in simulation.judgements.values()} == {plc.ID_NOT_ACKNOWLEDGED}
    assert not any(judgement.id_given for judgement in simulation.judgements.values())


def test_frozen_heartbeat_voids_a_pass() -> None:
    simulation = Simulation(Station(frozen=True))
    simulation.run(20)  # 5 s: the heartbeat may stand still for 3 s
    assert simulation.judgements[1].passed
    assert not simulation.judgements[20].passed
    assert simulation.judgements[20].why == plc.HEARTBEAT_FROZEN
    assert 20 in simulation.rejected


def test_not_ready_leaves_the_part_untriggered_and_rejected() -> None:
    simulation = Simulation(Station(status=StationStatus(trigger_ready=False)), TriggerMode.PLC)
    simulation.run(3)
    assert simulation.rejected == {1, 2, 3}
    assert simulation.station.triggers == 0
    assert simulation.judgements[2].why == plc.NOT_READY


@pytest.mark.parametrize("place", [Place.BARRIER, Place.OUT_OF_VIEW])
def test_part_taken_off_by_hand_shifts_nobody(place: Place) -> None:
    simulation = Simulation(Station({2: Answer(Result.FAIL), 4: Answer(Result.FAIL)}), taken_off={3: place})
    simulation.run(6)
    assert simulation.ends == {1: Bin.GOOD, 2: Bin.REJECT, 4: Bin.REJECT, 5: Bin.GOOD, 6: Bin.GOOD}


def test_a_result_withdrawn_between_two_requests_is_neither_taken_nor_acknowledged() -> None:
    """The bits still say ResultsValid, the registers hold nothing any more."""
    program = PlcProgram(PlcSettings(100, 1000))
    gone = StationStatus(results_valid=True, pass_=True, reject=False, result=0)
    assert not program.scan(0.0, FieldInputs(), gone).control.results_ack
    shown = StationStatus(results_valid=True, result=2, inspection_id=7, part_id=7)
    assert program.scan(0.1, FieldInputs(), shown).control.results_ack
    assert (program.withdrawn_while_read, program.results_read) == (1, {Result.FAIL: 1})
    assert program.scan(0.2, FieldInputs(), gone).control.results_ack, "held until ResultsValid has fallen"
    assert not program.scan(0.3, FieldInputs(), StationStatus()).control.results_ack
    assert program.withdrawn_while_read == 1


def test_connection_lost_and_back() -> None:
    simulation = Simulation()
    simulation.run(2)
    simulation.connected = False
    simulation.ends.clear()
    before = simulation.program._last_id
    for _ in range(200):
        simulation.scan(int(simulation.now_s * LAYOUT.speed_counts_per_s))
        simulation.now_s += STEP_S
    simulation.connected = True
    serial = 100
    start = int(simulation.now_s * LAYOUT.speed_counts_per_s) + PITCH_COUNTS
    while simulation.now_s * LAYOUT.speed_counts_per_s < start + 2 * LAYOUT.ejector_counts:
        encoder = int(simulation.now_s * LAYOUT.speed_counts_per_s)
        if serial < 103 and encoder >= start and simulation.belt.has_room(encoder):
            simulation.belt.put_on(serial, encoder)
            serial += 1
        simulation.scan(encoder)
        simulation.now_s += STEP_S
    assert simulation.program._last_id == before + 3
    assert simulation.ends == {100: Bin.GOOD, 101: Bin.GOOD, 102: Bin.GOOD}


def test_a_fault_is_cleared_when_somebody_has_mended_it() -> None:
    program = PlcProgram(PlcSettings(850, 6000, clear_fault_after_s=2.0))
    fault = StationStatus(fault=True)

    def clears(now_s: float, status: StationStatus | None) -> bool:
        return program.scan(now_s, FieldInputs(), status).control.clear_error

    assert not clears(1.0, fault)
    assert not clears(2.9, fault)
    assert clears(3.1, fault)
    assert clears(3.2, fault)
    assert not clears(3.3, StationStatus())
    assert not clears(10.0, fault), "the next one takes its time, too"
    assert clears(12.1, fault)
    assert not clears(13.1, fault), "a second edge comes when the first did not help"
    assert clears(14.1, fault)
    assert program.faults_cleared == 3
    nobody = PlcProgram(PlcSettings(850, 6000))
    assert not nobody.scan(1.0, FieldInputs(), fault).control.clear_error
    assert not nobody.scan(99.0, FieldInputs(), fault).control.clear_error


ANSWERS = st.builds(
    Answer,
    st.sampled_from([Result.PASS, Result.PASS, Result.FAIL, Result.REVIEW, Result.ERROR, Result.NONE]),
    st.floats(0.02, 2.5),
    st.sampled_from([0, 0, 0, 1, -1, 7]),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(
    station=st.builds(
        Station,
        st.dictionaries(st.integers(1, 12), ANSWERS),
        st.sets(st.integers(1, 12), max_size=3),
        st.sets(st.integers(1, 12), max_size=3),
    ),
    lag=st.integers(1, 6),
    trigger=st.sampled_from(TriggerMode),
    taken_off=st.dictionaries(st.integers(1, 12), st.sampled_from([Place.BARRIER, Place.OUT_OF_VIEW]), max_size=2),
)
def test_only_parts_with_a_pass_of_their_own_reach_the_good_bin(
    station: Station, lag: int, trigger: TriggerMode, taken_off: dict[int, Place]
) -> None:
    simulation = Simulation(station, trigger, lag, taken_off=taken_off)
    simulation.run(12)
    assert set(simulation.ends) == set(range(1, 13)) - set(taken_off)
    answers = {part_id: station.answers.get(part_id, Answer()) for part_id in range(1, 13)}
    said_pass = {part_id + answer.part_id_offset for part_id, answer in answers.items() if answer.result is Result.PASS}
    in_good_bin = {serial for serial, end in simulation.ends.items() if end is Bin.GOOD}
    assert in_good_bin <= said_pass - station.deaf_to
    assert set(simulation.judgements) == set(range(1, 13))


def belt_before_the_camera(station: StationStatus | None, *, acknowledges: bool) -> list[bool]:
    """Whether a belt that may wait 1 s runs, in scans of 0.1 s, with a part just before the light barrier."""
    program = PlcProgram(PlcSettings(850, 6000, holds_belt_s=1.0))
    ready = StationStatus(trigger_ready=True)
    latching = program.scan(0.0, FieldInputs(0, entries=(0,)), ready).control
    assert latching.latch_part_id
    program.scan(0.1, FieldInputs(10), replace(ready, part_id_ack=acknowledges, written=latching))
    seen = station and replace(station, written=latching)
    return [program.scan(0.2 + number / 10, FieldInputs(600), seen).belt_runs for number in range(20)]


def test_a_fast_belt_waits_for_id_and_station_but_not_forever() -> None:
    ready, not_ready = StationStatus(trigger_ready=True), StationStatus(trigger_ready=False)
    assert belt_before_the_camera(ready, acknowledges=True) == [True] * 20
    for runs in (
        belt_before_the_camera(ready, acknowledges=False),
        belt_before_the_camera(not_ready, acknowledges=True),
    ):
        assert runs[:8] == [False] * 8
        assert runs[-8:] == [True] * 8
    assert belt_before_the_camera(None, acknowledges=True) == [True] * 20, "nobody is there to wait for"


def test_a_usual_belt_waits_for_nobody() -> None:
    program = PlcProgram(PlcSettings(850, 6000))
    station = StationStatus(trigger_ready=False)
    program.scan(0.0, FieldInputs(0, entries=(0,)), station)
    assert all(program.scan(0.1 * turn, FieldInputs(60 * turn), station).belt_runs for turn in range(1, 14))
