"""Execute, Executing, CommandCompleted, CommandFailed, and what the commands do."""

from __future__ import annotations

import time

from drivers.plc.protocol import PlcOutputs
from station.commissioning.conformance.plc import SOFTWARE_TRIGGER_TEST, Plc, ended
from station.commissioning.conformance.registry import Need, require, rule
from station.commissioning.conformance.rules.fail_safe import DEADLINE_MS, bring_into_fault

SELECT_RECIPE, GO_ONLINE, GO_OFFLINE, RESET_COUNTERS = 1, 2, 3, 5
UNKNOWN = 999
RELEASE_S = 10.0
NO_RECIPE = 0xFFFF


def failed(plc: Plc, number: int, argument: int, what: str) -> None:
    outcome = plc.command(number, argument)
    require(outcome.command_failed, f"{what}: CommandCompleted")


@rule("command-completes", "A command ends with CommandCompleted, which falls with Execute.")
def completes(plc: Plc) -> None:
    plc.reset()
    plc.set(command=RESET_COUNTERS)
    plc.set(execute=True)
    outcome = plc.wait(ended, "CommandCompleted")
    require(outcome.command_completed, "CommandFailed for command 5, reset counters")
    plc.stays(lambda status: status.command_completed, "CommandCompleted fell before Execute", 0.1)
    plc.set(execute=False)
    plc.wait(lambda status: not ended(status), "CommandCompleted to fall with Execute")


@rule("command-reset-counters", "Command 5 brings all counters to 0.", Need.PLC_TRIGGER)
def reset_counters(plc: Plc) -> None:
    plc.begin()
    plc.part()
    plc.command(RESET_COUNTERS)
    counts = ("triggers", "pass", "fail", "review", "error", "missed")
    status = plc.scan()
    left = [f"Count{name.title()} {n}" for name in counts if (n := getattr(status, f"count_{name}"))]
    require(not left, f"after command 5: {', '.join(left)}")


@rule("command-unknown", "A command that there is not fails.", plays="asks for a command that there is not")
def unknown(plc: Plc) -> None:
    plc.reset()
    for number in (UNKNOWN, 0):
        failed(plc, number, 0, f"command {number}")


@rule(
    "command-unknown-recipe",
    "Command 1 with the number of no recipe fails, and the active recipe stays.",
    plays="selects a recipe that there is not",
)
def unknown_recipe(plc: Plc) -> None:
    plc.reset()
    before = (plc.status.recipe, plc.status.engine_id)
    failed(plc, SELECT_RECIPE, NO_RECIPE, f"command 1 with argument {NO_RECIPE}")
    after = (plc.scan().recipe, plc.status.engine_id)
    require(after == before, f"Recipe and EngineId went from {before} to {after}")


@rule(
    "command-edges-only",
    "Only the rising edge of Execute counts: another number while it stays up starts nothing.",
    plays="changes Command while Execute stays up",
)
def edges_only(plc: Plc) -> None:
    plc.reset()
    plc.set(command=RESET_COUNTERS)
    plc.set(execute=True)
    plc.wait(ended, "CommandCompleted")
    plc.set(command=GO_OFFLINE)
    plc.stays(lambda status: status.online, "command 3 was carried out without an edge of Execute")
    plc.set(execute=False)


@rule("command-online-offline", "Command 3 takes the station off line, command 2 on line; both complete when it is so.")
def online_offline(plc: Plc) -> None:
    plc.reset()
    require(plc.command(GO_OFFLINE).command_completed, "command 3 failed")
    require(not plc.scan().online, "Online is 1 after command 3")
    require(plc.command(GO_ONLINE).command_completed, "command 2 failed")
    require(plc.scan().online, "Online is 0 after command 2")


@rule(
    "command-online-against-switch",
    "Command 2 fails while SetOffline is 1.",
    plays="goes on line by command with SetOffline still 1",
)
def online_against_switch(plc: Plc) -> None:
    plc.reset()
    plc.set(set_offline=True)
    plc.wait(lambda status: not status.online, "Online to fall")
    failed(plc, GO_ONLINE, 0, "command 2 while SetOffline is 1")
    require(not plc.scan().online, "command 2 took the station on line against SetOffline")
    plc.set(set_offline=False)
    plc.wait(lambda status: status.online, "Online to rise with SetOffline back at 0")


@rule(
    "command-test-not-ready",
    "Command 4, software trigger test, fails while TriggerReady is 0.",
    plays="tests the trigger while the station is off line",
)
def trigger_test_not_ready(plc: Plc) -> None:
    plc.reset()
    before = plc.status.acquisition_id
    failed(plc, SOFTWARE_TRIGGER_TEST, 0, "command 4 while TriggerReady is 0")
    require(plc.scan().acquisition_id == before, "command 4 made a part while TriggerReady was 0")


@rule("command-trigger-test", "Command 4 makes one part, which has a result.", Need.PLC_TRIGGER)
def trigger_test(plc: Plc) -> None:
    plc.begin()
    before = plc.status.acquisition_id
    require(plc.command(SOFTWARE_TRIGGER_TEST).command_completed, "command 4 failed while TriggerReady was 1")
    result = plc.result()
    require(result.inspection_id == before + 1, f"InspectionId {result.inspection_id}, expected {before + 1}")
    plc.acknowledge()


@rule(
    "command-released",
    f"CommandCompleted and CommandFailed clear by themselves after {RELEASE_S:g} s.",
    plays="never drops Execute",
)
def released(plc: Plc) -> None:
    plc.reset()
    plc.set(command=RESET_COUNTERS)
    plc.set(execute=True)
    plc.wait(ended, "CommandCompleted")
    start_s = time.monotonic()
    plc.wait(lambda status: not ended(status), "CommandCompleted to clear by itself", RELEASE_S + 2)
    seconds = time.monotonic() - start_s
    require(seconds > RELEASE_S - 1, f"CommandCompleted cleared by itself after {seconds:.1f} s already")
    plc.stays(lambda status: not ended(status) and not status.executing, "the command started again by itself", 0.1)
    plc.set(execute=False)


@rule(
    "command-while-executing",
    "A command asked for while another is being executed is not carried out; the outcome is CommandFailed.",
    Need.PLC_TRIGGER,
    plays="asks for a second command before the first has ended",
)
def while_executing(plc: Plc) -> None:
    triggers = _executing(plc).count_triggers
    plc.set(execute=False, command=RESET_COUNTERS)
    plc.set(execute=True)
    plc.stays(lambda status: status.executing, "Executing fell when a second command was asked for", 0.1)
    plc.set(clear_error=True)
    outcome = plc.wait(ended, "an outcome")
    require(outcome.command_failed, "CommandCompleted, though the second command was not carried out")
    require(plc.scan().count_triggers == triggers, "the second command was carried out: CountTriggers changed")
    plc.set(execute=False, clear_error=False)


@rule(
    "command-given-up",
    "Execute that falls while the command is being executed: no outcome is shown when it ends.",
    Need.PLC_TRIGGER,
    plays="drops Execute before the command has ended",
)
def given_up(plc: Plc) -> None:
    _executing(plc)
    plc.set(execute=False)
    plc.set(clear_error=True)
    plc.wait(lambda status: not status.executing, "Executing to fall")
    plc.stays(lambda status: not ended(status), "an outcome is shown that nobody waits for")
    plc.set(clear_error=False)


def _executing(plc: Plc) -> PlcOutputs:
    """Go online while a fault stands: the one command that can be made to take its time."""
    plc.begin()
    bring_into_fault(plc, DEADLINE_MS)
    plc.set(command=GO_ONLINE)
    plc.set(execute=True)
    plc.wait(lambda status: status.executing, "Executing while the fault keeps the station off line")
    return plc.status
