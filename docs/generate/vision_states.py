"""docs/opcua-states.md: the vision state machine and the nodes of a station, made from the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.opcua.choice import mandatory_paths
from station.codes import OFFLINE_REASONS, OfflineReason
from station.northbound.opcua.states import EFFECTS, OF_REASON, TAKEN, TRANSITIONS, Refusal, State, path

_HEAD = """# The station as a vision system: states, transitions, nodes

Generated from `station/northbound/opcua/states.py` and `drivers/opcua`; what it is for stands in
[plant.md](plant.md#opc-ua). Names and numbers are those of OPC 40100-1:2019, Part 1.

## From the station to the state

| what keeps the station from taking parts | state |
| --- | --- |
"""
_METHODS = """
## Methods

What a method does where it is called; in every other state the call ends with `Bad_InvalidState` and nothing changes.
*Commands* are those of the control socket, in the name of the person who is signed in. *Held*: only where a client has
brought the station into this state.

| method | in | leads to | transition | commands |
| --- | --- | --- | --- | --- |
"""
_REFUSALS = {
    Refusal.OFF: "`[opcua] commands` does not allow the method",
    Refusal.DENIED: "nobody is signed in, or the roles of the person do not allow the commands",
    Refusal.SILENT: "the station does not reply",
    Refusal.LOCKED: "the PLC holds control: its TriggerEnable is 1, or it has set the station off line",
    Refusal.STATE: "the method is not allowed in this state",
}
_TRANSITIONS = """
## Transitions

| number | transition | cause | events |
| --- | --- | --- | --- |
"""


def markdown() -> str:
    """The whole page."""
    return "".join((_HEAD, *_reasons(), _METHODS, *_methods(), _refusals(), _TRANSITIONS, *_transitions(), _nodes()))


def _reasons() -> Iterable[str]:
    yield "| the daemon does not reply | Halted |\n| the station is stopping | Halted |\n"
    for reason, state in OF_REASON.items():
        if reason is OfflineReason.STOPPING:
            continue
        if reason is OfflineReason.NONE:
            yield "| nothing; TriggerEnable of the PLC is 1, or there is no PLC | ContinuousExecution |\n"
            yield "| nothing; TriggerEnable of the PLC is 0 | Ready |\n"
            continue
        more = ", or where a client has left it (methods)" if reason is OfflineReason.BY_OPERATOR else ""
        yield f"| {OFFLINE_REASONS[reason].text} | {state.value}{more} |\n"


def _methods() -> Iterable[str]:
    for method, effects in EFFECTS.items():
        if not effects:
            yield f"| {method} | | never: a station starts no single part | | |\n"
        for state, effect in effects.items():
            if state is State.SINGLE_EXECUTION:
                continue
            way = path(state, effect.after, method)
            held = " (held)" if effect.needs_hold else ""
            transition = way[0].name if way else "none"
            commands = ", ".join(effect.commands) or "none"
            yield f"| {method} | {state.value}{held} | {effect.after.value} | {transition} | {commands} |\n"


def _refusals() -> str:
    rows = "".join(f"| `{one.value}` | {text} |\n" for one, text in _REFUSALS.items())
    return f"\n| status of the call | why |\n| --- | --- |\n{rows}"


def _transitions() -> Iterable[str]:
    for one in sorted(TAKEN, key=lambda one: one.number):
        events = ", ".join(name.removesuffix("EventType") for name in one.events)
        yield f"| {one.number} | {one.name} | {one.cause or 'the station'} | {events} |\n"
    rest: Sequence[str] = [one.name for one in TRANSITIONS if one not in TAKEN]
    why = "A station starts no single job, has no products, and says into which state of the mode it goes."
    yield f"\nNever taken: {', '.join(rest)}. {why}\n"


def _nodes() -> str:
    rows = "".join(f"| `{name}` | {kind} |\n" for name, kind in sorted(mandatory_paths().items()))
    head = "\n## Nodes\n\nBelow the vision system; what the specification demands of the parts that a station has.\n\n"
    return f"{head}| path | class |\n| --- | --- |\n{rows}"
