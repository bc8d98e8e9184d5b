"""The commands of a PLC step by step, as docs/plc.md describes them."""

from __future__ import annotations

import dataclasses

import pytest

from station.command_results import CommandResult
from station.line.handshake.messages import (
    Command,
    CommandRefused,
    CommandRequested,
    GoOffline,
    GoOnline,
    HandshakeRequest,
    PlcHeartbeatLost,
    ResetCounters,
    SoftwareTriggerTest,
)
from tests.line.handshake.handshake_bench import OFFLINE, ONLINE, Bench, S


def command_bits(bench: Bench) -> list[str]:
    """Those that are 1, by name."""
    return [name for name in ("executing", "command_completed", "command_failed") if getattr(bench.out, name)]


@pytest.mark.parametrize(
    ("command", "request_"),
    [(Command.SOFTWARE_TRIGGER_TEST, SoftwareTriggerTest()), (Command.RESET_COUNTERS, ResetCounters())],
)
def test_commands_that_are_done_at_once(bench: Bench, command: Command, request_: HandshakeRequest) -> None:
    assert bench.write(command=command, execute=True) == [request_]
    assert command_bits(bench) == ["command_completed"]
    bench.write(execute=False)
    assert command_bits(bench) == []


def test_going_offline_and_online_completes_when_it_is_so(bench: Bench) -> None:
    assert bench.write(command=Command.GO_OFFLINE, execute=True) == [GoOffline()]
    assert command_bits(bench) == ["executing"]
    bench.handshake.station_changed(ONLINE, bench.now)
    assert command_bits(bench) == ["executing"]
    bench.handshake.station_changed(OFFLINE, bench.now)
    assert command_bits(bench) == ["command_completed"]
    bench.write(execute=False)
    assert bench.write(command=Command.GO_ONLINE, execute=True) == [GoOnline()]
    assert bench.pass_time(9.9) == [PlcHeartbeatLost()]
    assert command_bits(bench) == ["executing"]
    bench.pass_time(0.1)
    assert command_bits(bench) == ["command_failed"], "not online in time"


@pytest.mark.parametrize("command", [1, 6, 7, 8])
def test_commands_that_others_carry_out_end_when_they_say_so(bench: Bench, command: int) -> None:
    (request,) = bench.write(command=command, command_argument=7, execute=True)
    assert request == CommandRequested(Command(command), 7, serial=1)
    assert command_bits(bench) == ["executing"]
    bench.handshake.command_finished(1, True, bench.now)
    assert command_bits(bench) == ["command_completed"]
    bench.write(execute=False)
    assert bench.write(execute=True) == [CommandRequested(Command(command), 7, serial=2)]
    bench.handshake.command_finished(1, True, bench.now)
    assert command_bits(bench) == ["executing"], "an answer to the command before is none to this one"
    bench.handshake.command_finished(2, False, bench.now)
    assert command_bits(bench) == ["command_failed"]


def test_a_command_that_loads_an_engine_may_take_longer(bench: Bench) -> None:
    bench.write(command=Command.SELECT_RECIPE, execute=True)
    bench.pass_time(74.9)
    assert command_bits(bench) == ["executing"]
    bench.pass_time(0.1)
    assert command_bits(bench) == ["command_failed"]
    bench.write(execute=False)
    bench.write(command=Command.START_CHALLENGE_TEST, execute=True)
    bench.pass_time(10)
    assert command_bits(bench) == ["command_failed"]


@pytest.mark.parametrize("command", [0, 11, 65535])
def test_other_commands_fail(bench: Bench, command: int) -> None:
    assert bench.write(command=command, execute=True) == [CommandRefused(command, "not a command of this version")]
    assert command_bits(bench) == ["command_failed"]
    assert bench.handshake.next_wakeup_ns() == S
    bench.pass_time(9.9)
    assert command_bits(bench) == ["command_failed"]
    bench.pass_time(0.1)
    assert command_bits(bench) == [], "clears by itself after 10 s"
    assert bench.write(execute=True) == []
    bench.write(execute=False)
    assert len(bench.write(execute=True)) == 1


def test_commands_that_are_not_possible_now_fail(bench: Bench) -> None:
    assert bench.write(set_offline=True) == [GoOffline()]
    bench.handshake.station_changed(OFFLINE, bench.now)
    refused = bench.write(command=Command.GO_ONLINE, execute=True)
    assert refused == [CommandRefused(Command.GO_ONLINE, "SetOffline is 1")]
    bench.write(execute=False)
    refused = bench.write(command=Command.SOFTWARE_TRIGGER_TEST, execute=True)
    assert refused == [CommandRefused(Command.SOFTWARE_TRIGGER_TEST, "TriggerReady is 0")]
    assert bench.write(set_offline=False, execute=False) == [GoOnline()]


def test_no_software_trigger_while_the_camera_waits_for_its_line(bench: Bench) -> None:
    bench.handshake.station_changed(dataclasses.replace(ONLINE, software_trigger=False), bench.now)
    assert bench.out.trigger_ready
    refused = bench.write(command=Command.SOFTWARE_TRIGGER_TEST, execute=True)
    assert refused == [CommandRefused(Command.SOFTWARE_TRIGGER_TEST, "the camera waits for its line")]
    assert bench.out.command_failed


def test_a_command_asked_for_while_another_runs_fails_when_that_has_ended(bench: Bench) -> None:
    bench.write(command=Command.GO_OFFLINE, execute=True)
    bench.write(execute=False)
    assert command_bits(bench) == ["executing"], "it runs on"
    refused = bench.write(command=Command.RESET_COUNTERS, execute=True)
    assert refused == [CommandRefused(Command.RESET_COUNTERS, "another command is still being executed")]
    bench.handshake.station_changed(OFFLINE, bench.now)
    assert command_bits(bench) == ["command_failed"]


def test_a_command_nobody_waits_for_ends_quietly(bench: Bench) -> None:
    bench.write(command=Command.GO_OFFLINE, execute=True)
    bench.write(execute=False)
    bench.handshake.station_changed(OFFLINE, bench.now)
    assert command_bits(bench) == []
    bench.handshake.command_finished(1, True, bench.now)
    assert command_bits(bench) == []


def test_batches_are_begun_by_name_where_the_plc_may() -> None:
    bench = Bench(batches=True)
    assert bench.out.map_version == 3
    (request,) = bench.write(command=Command.BEGIN_BATCH, batch_name="8812", execute=True)
    assert request == CommandRequested(Command.BEGIN_BATCH, 0, serial=1, text="8812")
    bench.handshake.command_finished(1, False, bench.now, CommandResult.BATCH_OF_A_PERSON)
    assert (command_bits(bench), bench.out.command_result) == (["command_failed"], 13)
    bench.write(execute=False)
    assert bench.out.command_result == 13, "stands until the next command"
    bench.write(execute=True)
    assert (command_bits(bench), bench.out.command_result) == (["executing"], 0)
    bench.handshake.station_changed(dataclasses.replace(ONLINE, batch=7), bench.now)
    bench.handshake.command_finished(2, True, bench.now)
    assert (command_bits(bench), bench.out.batch_number, bench.out.command_result) == (["command_completed"], 7, 0)


def test_every_other_failure_has_its_code() -> None:
    bench = Bench(batches=True)
    bench.write(command=999, execute=True)
    assert bench.out.command_result == CommandResult.UNKNOWN
    bench.write(execute=False)
    bench.write(command=Command.SOFTWARE_TRIGGER_TEST, execute=True)
    assert bench.out.command_result == CommandResult.NOT_NOW
    bench.write(execute=False)
    bench.write(command=Command.END_BATCH, execute=True)
    bench.pass_time(10)
    assert bench.out.command_result == CommandResult.TIMED_OUT
    bench.write(execute=False)
    bench.write(execute=True)
    bench.write(execute=False)
    bench.write(execute=True)
    bench.handshake.command_finished(4, True, bench.now)
    assert (command_bits(bench), bench.out.command_result) == (["command_failed"], CommandResult.SUPERSEDED)


def test_a_program_of_version_2_sees_nothing_of_batches(bench: Bench) -> None:
    (refused,) = bench.write(command=Command.BEGIN_BATCH, batch_name="8812", execute=True)
    assert refused == CommandRefused(9, "the PLC begins no batches: [plc] batches = false")
    bench.handshake.station_changed(dataclasses.replace(ONLINE, batch=7), bench.now)
    out = bench.out
    assert (out.map_version, out.command_result, out.batch_number, out.command_failed) == (2, 0, 0, True)
