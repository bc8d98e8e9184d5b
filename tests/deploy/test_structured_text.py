"""The example program of deploy/plc, executed: on the belt, through the register map, against the real handshake."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.plc.protocol import PlcInputs
from drivers.plc.signal_map import POINTS, Area, Layout, decode_control, encode_status, points_of
from station.codes import OfflineReason, ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    HandshakeRequest,
    HandshakeSettings,
    PartIdLatched,
    PartResult,
    ResetCounters,
    StationState,
    StationStatus,
    TriggerRequested,
)
from station.line.signalling.ledger import Ledger, LedgerSettings
from station.results import Decision, Reason, Verdict
from station.simulation.plant.belt import PITCH_COUNTS, Belt, Bin, Place
from station.simulation.plant.belt import Layout as BeltLayout
from tests.bench.places import ROOT
from tests.deploy.structured_text import FunctionBlock

PROGRAM = ROOT / "deploy" / "plc" / "inspection_station.st"
CYCLE_MS = 5
BOUNCE_MS, HOLE_MS = 10, 75
"""From the edge of a part to a second one. By the latter the id of the next part has been latched."""
MS = 1_000_000
BELT = BeltLayout(4000.0, 50, 900, 6900)
"""As the constants of the program: 850 counts from entry to barrier, 6000 to the ejector."""
FAIL = Decision(Verdict.FAIL, (Reason(ReasonCode.SCORE_ABOVE_LIMIT),))
ONLINE = StationStatus(online=True, can_take_part=True, state=StationState.READY, offline_reason=OfflineReason.NONE)
OFFLINE = StationStatus()
PREFIXES = {"C": Area.COIL, "H": Area.HOLDING_REGISTER, "D": Area.DISCRETE_INPUT, "I": Area.INPUT_REGISTER}


@dataclass
class Station:
    """The real handshake and the real ledger; a verdict is that of the part which the camera saw."""

    bad: frozenset[int]
    by_plc: bool
    answer_after_ms: int = 40
    now_ms: int = 0
    seen: int = 0
    """The part in front of the camera."""
    missed: int = 0
    counters_reset: int = 0
    alive: bool = True
    inputs: PlcInputs = field(default_factory=PlcInputs)
    pending: deque[tuple[int, int, int, Decision, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.handshake = Handshake(HandshakeSettings(), 0)
        self.ledger = Ledger(LedgerSettings(), wall_offset_ns=0)
        self.handshake.station_changed(ONLINE, 0)

    def step(self, inputs: PlcInputs) -> None:
        """The PLC has written; time goes on."""
        requests = self.handshake.tick(self.now_ms * MS)
        if inputs != self.inputs:
            self.inputs = inputs
            requests += self.handshake.plc_wrote(inputs, self.now_ms * MS)
        self.take(requests)
        while self.pending and self.pending[0][0] <= self.now_ms:
            _, acquisition_id, part_id, decision, encoder = self.pending.popleft()
            self.ledger.close(acquisition_id, decision)
            result = PartResult(
                acquisition_id, part_id, decision.verdict, decision.code, 0.1, 0.5, 0, 40.0, encoder_count=encoder
            )
            self.handshake.result(result)

    def take(self, requests: Iterable[HandshakeRequest]) -> None:
        for request in requests:
            match request:
                case TriggerRequested(part_id, encoder, _):
                    part = self.ledger.open("plc", self.now_ms * MS, part_id=part_id, encoder_count=encoder)
                    self.expose(part.acquisition_id, part_id, encoder)
                case PartIdLatched(part_id, encoder, _, time_ns) if not self.by_plc:
                    self.ledger.latch(part_id, time_ns, while_ready=self.handshake.ready, encoder_count=encoder)
                case ResetCounters():
                    self.counters_reset += 1

    def light_barrier(self) -> None:
        """Wired to the camera: it takes a picture of what it sees."""
        found = self.ledger.frame(self.now_ms * MS, lost_before=0, ready=self.handshake.ready)
        self.missed += found.missed
        if found.part is not None:
            part = found.part
            self.expose(part.acquisition_id, part.part_id, part.encoder_count)

    def expose(self, acquisition_id: int, part_id: int, encoder: int) -> None:
        self.handshake.trigger_accepted(acquisition_id, self.now_ms * MS)
        self.handshake.exposure_completed(acquisition_id)
        decision = FAIL if self.seen in self.bad else Decision(Verdict.PASS)
        self.pending.append((self.now_ms + self.answer_after_ms, acquisition_id, part_id, decision, encoder))


class Line:
    """Belt, PLC and station in lockstep. The encoder of the PLC starts close to its end and wraps around."""

    ENCODER_START = 0xFFFF_FFFF - 9000

    def __init__(self, *, bad: Iterable[int] = (), by_plc: bool = False, answer_after_ms: int = 40) -> None:
        self.station = Station(frozenset(bad), by_plc, answer_after_ms)
        self.program = FunctionBlock(PROGRAM)
        self.belt = Belt(BELT)
        self.bins: dict[int, Bin] = {}
        self.errors: list[int] = []
        self.by_plc = by_plc
        self.connected = True
        self.second_edges: dict[int, int] = {}
        """Ms from the part to another edge of the light barrier."""
        self.withdraws_while_read = False
        """The next result goes between the request for the bits and that for the registers."""
        self.acknowledged_nothing: bool | None = None
        """Whether that one was acknowledged."""
        self._fed = 0
        self._ejected = False
        self._second_edge_ms = -1

    @property
    def encoder(self) -> int:
        return int(self.station.now_ms / 1000 * BELT.speed_counts_per_s)

    def run(self, parts: int) -> dict[int, Bin]:
        """Feeds parts, one pitch apart, and runs until the belt is empty."""
        last = self._fed + parts
        while self._fed < last or not self.belt.empty:
            if self._fed < last and self.program.v.xReady and self.belt.has_room(self.encoder):
                self._fed += 1
                self.belt.put_on(self._fed, self.encoder)
            self.cycle()
        return self.bins

    def cycle(self, **inputs: object) -> None:
        station, v = self.station, self.program.v
        station.now_ms += CYCLE_MS
        entered = barrier = False
        for passage in self.belt.advance(self.encoder):
            entered |= passage.place is Place.ENTRY
            if passage.place is Place.BARRIER:
                barrier, station.seen = True, passage.serial
                if passage.serial in self.second_edges:
                    self._second_edge_ms = station.now_ms + self.second_edges[passage.serial]
            elif passage.place is Place.PAST_EJECTOR:
                self.bins[passage.serial] = Bin.GOOD
        barrier |= station.now_ms == self._second_edge_ms
        if barrier and not self.by_plc:
            station.light_barrier()
        withdrawn = False
        if self.connected:
            image = encode_status(station.handshake.outputs(), Layout())
            if station.alive:
                v.axStatus[:] = image.bits[: len(v.axStatus)]
                if withdrawn := self.withdraws_while_read and station.handshake.outputs().results_valid:
                    self.withdraws_while_read = False
                    station.handshake.station_changed(OFFLINE, station.now_ms * MS)
                    image = encode_status(station.handshake.outputs(), Layout())
                    station.handshake.station_changed(ONLINE, station.now_ms * MS)
                v.awStatus[:] = image.registers[: len(v.awStatus)]
        self.program.scan(
            station.now_ms,
            xEnable=True,
            xConnected=self.connected,
            xPartEntered=entered,
            xPartAtBarrier=barrier,
            udiEncoder=self.ENCODER_START + self.encoder,
            xPlcTriggers=self.by_plc,
            **inputs,
        )
        if withdrawn:
            self.acknowledged_nothing = bool(v.axControl[2])
        if self.connected:
            station.step(decode_control(v.axControl, v.awControl, Layout()))
        if v.xEject and not self._ejected:
            ejection = self.belt.fire_ejector(self.encoder)
            assert ejection is not None, "the ejector fired at nothing"
            self.bins[ejection.serial] = Bin.REJECT
            self.errors.append(ejection.error_counts)
        self._ejected = v.xEject


def good_bin(bins: dict[int, Bin]) -> set[int]:
    return {serial for serial, end in bins.items() if end is Bin.GOOD}


def test_addresses_and_sizes_are_those_of_the_map() -> None:
    text = PROGRAM.read_text()
    points = {(point.area, point.name): point.address for point in POINTS}
    constants = re.findall(r"^    ([CHDI])_(\w+) : INT := (\d+);", text, re.MULTILINE)
    assert len(constants) > 25
    for prefix, name, address in constants:
        assert points[PREFIXES[prefix], name] == int(address), name
    for area, array in ((Area.DISCRETE_INPUT, "axStatus"), (Area.INPUT_REGISTER, "awStatus"),
                        (Area.COIL, "axControl"), (Area.HOLDING_REGISTER, "awControl")):  # fmt: skip
        last = max(point.address + point.type.size for point in points_of(area)) - 1
        assert f"{array} : ARRAY[0..{last}] OF" in text
        assert f"0..{last} " in text.split("*)")[0], "the comment on top says the same"


@pytest.mark.parametrize("by_plc", [False, True])
def test_verdicts_sort_the_parts(by_plc: bool) -> None:
    line = Line(bad=[3, 5, 6], by_plc=by_plc)
    assert good_bin(line.run(12)) == set(range(1, 13)) - {3, 5, 6}
    v = line.program.v
    assert (v.udiPassed, v.udiEjected, v.udiUnmatched, v.iParts) == (9, 3, 0, 0)
    assert line.station.missed == 0
    assert all(0 <= error <= 2 * CYCLE_MS * 4 for error in line.errors)


@pytest.mark.parametrize("by_plc", [False, True])
def test_results_that_come_after_the_ejector_save_nobody(by_plc: bool) -> None:
    assert good_bin(Line(by_plc=by_plc, answer_after_ms=1600).run(4)) == set()


def test_a_result_that_is_withdrawn_between_two_requests_is_not_acknowledged() -> None:
    """An acknowledgement would take off the one that is shown next, which nobody has read."""
    line = Line()
    line.withdraws_while_read = True
    assert good_bin(line.run(3)) == {2, 3}
    assert line.acknowledged_nothing is False


def test_a_second_edge_before_the_next_id_is_latched_costs_nothing() -> None:
    line = Line(bad=range(2, 13, 2))
    line.second_edges = dict.fromkeys(range(1, 13), BOUNCE_MS)
    assert good_bin(line.run(12)) == set(range(1, 13, 2))
    assert line.program.v.udiUnmatched > 0, "results of second pictures belong to nobody"


def test_a_second_edge_after_the_next_id_is_latched_spoils_that_id() -> None:
    """The picture of a good part takes the id of the bad one behind it, and its PASS comes when that is expected."""
    line = Line(bad=range(2, 7, 2), answer_after_ms=300)
    line.second_edges = dict.fromkeys(range(1, 7), HOLE_MS)
    assert good_bin(line.run(6)) == {1}


def test_a_station_that_is_gone_lets_nothing_pass_and_is_reset_when_it_is_back() -> None:
    line = Line()
    line.run(2)
    line.connected = False
    for _ in range(100):
        line.cycle()
    assert not line.program.v.xReady
    assert not line.program.v.axControl[0], "TriggerEnable"
    line.connected = True
    assert good_bin(line.run(2)) == {1, 2, 3, 4}


def test_a_station_whose_heartbeat_stands_still_lets_nothing_pass() -> None:
    line = Line()
    line.run(1)
    line.station.alive = False
    line.belt.put_on(99, line.encoder)
    while not line.belt.empty or line.program.v.iParts:
        line.cycle()
    for _ in range(700):
        line.cycle()
    assert line.bins[99] is Bin.REJECT
    assert not line.program.v.xStationAlive


def test_a_part_taken_off_before_the_camera_leaves_the_shift_register() -> None:
    line = Line(bad=[4])
    line.run(1)
    line.belt.put_on(2, line.encoder)
    for _ in range(20):
        line.cycle()
    line.belt._parts.clear()
    line._fed = 2
    for _ in range(PITCH_COUNTS * 1000 // 4000 // CYCLE_MS * 2):
        line.cycle()
    assert good_bin(line.run(3)) == {1, 3, 5}
    assert line.program.v.iParts == 0


@pytest.mark.parametrize(("command", "done"), [(5, True), (99, False)])
def test_commands_are_carried_out_once(command: int, done: bool) -> None:
    line = Line()
    line.run(1)
    outcomes = []
    for _ in range(20):
        line.cycle(uiCommand=command)
        outcomes.append((line.program.v.xCommandDone, line.program.v.xCommandFailed))
    assert outcomes[-1] == (done, not done)
    line.cycle(uiCommand=0)
    line.cycle(uiCommand=0)
    line.cycle(uiCommand=0)
    assert (line.program.v.xCommandDone, line.program.v.xCommandFailed) == (False, False)
    assert line.station.counters_reset == done


@settings(max_examples=6, deadline=None)
@given(
    bad=st.frozensets(st.integers(1, 10)),
    by_plc=st.booleans(),
    answer_after_ms=st.sampled_from([5, 40, 300, 1400, 1600]),
    second_edges=st.dictionaries(st.integers(1, 10), st.sampled_from([BOUNCE_MS, HOLE_MS]), max_size=4),
    gone=st.frozensets(st.integers(0, 500), max_size=3),
)
def test_no_bad_part_ever_passes(
    bad: frozenset[int], by_plc: bool, answer_after_ms: int, second_edges: dict[int, int], gone: frozenset[int]
) -> None:
    line = Line(bad=bad, by_plc=by_plc, answer_after_ms=answer_after_ms)
    line.second_edges = second_edges
    cycles = 0
    cycle = line.cycle

    def with_interruptions() -> None:
        nonlocal cycles
        cycles += 1
        line.connected = not any(start <= cycles < start + 40 for start in gone)
        cycle()

    line.cycle = with_interruptions  # type: ignore[method-assign, assignment]
    bins = line.run(10)
    assert set(bins) == set(range(1, 11))
    assert not good_bin(bins) & bad
