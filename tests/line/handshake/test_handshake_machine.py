"""The handshake against a PLC that does anything at any time: hypothesis chooses, the model checks."""

from __future__ import annotations

import dataclasses
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from benchmarks.handshake_steps import walk
from drivers.plc.protocol import PlcOutputs
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import HandshakeSettings
from station.results import Verdict
from tests.line.handshake.handshake_model import COILS, ONLINE, PAUSES_MS, HandshakeModel

coil_changes = st.dictionaries(st.sampled_from(COILS), st.booleans(), min_size=1, max_size=3)
verdicts = st.sampled_from(list(Verdict))


class AnyPlc(RuleBasedStateMachine):
    """A PLC without manners."""

    def __init__(self) -> None:
        super().__init__()
        self.model = HandshakeModel()

    @rule(changes=coil_changes)
    def plc_writes_coils(self, changes: dict[str, bool]) -> None:
        self.model.write(**changes)

    @rule(acknowledge=st.booleans(), buffer=st.booleans())
    def plc_behaves(self, acknowledge: bool, buffer: bool) -> None:
        self.model.behave(acknowledge=acknowledge, buffer=buffer)

    @rule(part_id=st.integers(1, 0xFFFF_FFFF))
    def plc_latches_a_part_id(self, part_id: int) -> None:
        self.model.latch(part_id)

    @rule(number=st.integers(0, 9))
    def plc_commands(self, number: int) -> None:
        self.model.command(number)

    @rule(serial=st.integers(1, 9), succeeded=st.booleans())
    def a_command_ends(self, serial: int, succeeded: bool) -> None:
        self.model.command_ends(serial, succeeded)

    @rule(online=st.booleans(), can=st.booleans(), fault=st.booleans())
    def station_changes(self, online: bool, can: bool, fault: bool) -> None:
        self.model.change(online=online, can=can, fault=fault)

    @rule()
    def station_is_well(self) -> None:
        self.model.set_status(ONLINE)

    @rule()
    def line_triggers(self) -> None:
        self.model.line_trigger()

    @precondition(lambda self: self.model.exposing)
    @rule(data=st.data())
    def exposure_ends(self, data: st.DataObject) -> None:
        self.model.expose(data.draw(st.integers(0, len(self.model.exposing) - 1)))

    @precondition(lambda self: self.model.in_flight)
    @rule(data=st.data(), verdict=verdicts)
    def part_gets_its_result(self, data: st.DataObject, verdict: Verdict) -> None:
        self.model.decide(data.draw(st.sampled_from(self.model.in_flight)), verdict)

    @precondition(lambda self: self.model.results)
    @rule(data=st.data())
    def a_second_result_is_never_a_pass(self, data: st.DataObject) -> None:
        self.model.second_pass(data.draw(st.sampled_from(sorted(self.model.results))))

    @rule(ms=st.sampled_from(PAUSES_MS))
    def time_passes(self, ms: int) -> None:
        self.model.pause(ms)

    @rule(verdict=verdicts)
    def the_reset_sequence_clears_whatever_happened(self, verdict: Verdict) -> None:
        self.model.reset_sequence(verdict)

    @invariant()
    def all_that_must_hold(self) -> None:
        self.model.check()


AnyPlc.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyPlc = AnyPlc.TestCase


def test_a_random_walk_goes_through_every_action() -> None:
    """The long run of benchmarks/handshake_steps.py, short."""
    taken = walk(random.Random(1), 5000)
    assert sum(taken.values()) == 5000
    assert min(taken.values()) > 50


def test_default_outputs_of_a_new_handshake_are_those_of_the_map() -> None:
    assert Handshake(HandshakeSettings(), 0).outputs() == dataclasses.replace(
        PlcOutputs(), offline_reason=1, free_result_slots=8
    )
