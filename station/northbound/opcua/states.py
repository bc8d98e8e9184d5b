"""The vision state machine: which state a station is in, how it gets there, what a client may cause. Pure.

             SelectModeAutomatic        PrepareRecipe         StartContinuous
    Preoperational ────► Operational{ Initialized ────► Ready ────► ContinuousExecution }
          ▲  Reset ▲                        ◄────               ◄──── Stop, Abort
        Halted   Error                 UnprepareRecipe

A station follows its PLC and its people, so most transitions are its own (`...Auto`). A client that is allowed commands
holds it: the station is off line by it, in the state where the client has left it, until StartContinuous, or until a
person sets it on line. Transitions and their numbers are those of the specification (`drivers/opcua/vision_machines`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from drivers.opcua.vision_machines import AUTOMATIC_MODE, STATE_MACHINE
from drivers.opcua.vision_types import TYPES
from station.codes import OfflineReason


class State(Enum):
    """As the specification spells them; those of the automatic mode are within Operational."""

    PREOPERATIONAL = "Preoperational"
    HALTED = "Halted"
    ERROR = "Error"
    INITIALIZED = "Initialized"
    READY = "Ready"
    SINGLE_EXECUTION = "SingleExecution"
    CONTINUOUS_EXECUTION = "ContinuousExecution"

    @property
    def is_operational(self) -> bool:
        return self in OPERATIONAL


OPERATIONAL = (State.INITIALIZED, State.READY, State.SINGLE_EXECUTION, State.CONTINUOUS_EXECUTION)
_OPERATIONAL = "Operational"
_SUPERSEDED = ("PreoperationalToOperational", "PreoperationalToOperationalAuto")
"""Into a mode without saying into which of its states; those to Initialized say it."""
_OF_OTHERS = ("SingleExecution", "Product")
"""A station starts no single job (its parts come when they come), and knows recipes, not products."""


@dataclass(frozen=True, slots=True)
class Transition:
    """Of the specification. `source` and `target`: names of states, `Operational` for any within."""

    id: str
    number: int
    name: str
    source: str
    target: str
    cause: str
    """Method; empty: the station does it by itself."""
    events: tuple[str, ...]
    """Types of the events that it raises."""
    of_mode: bool
    """Within the automatic mode."""

    def leads(self, source: State, target: State) -> bool:
        return self.source in _names(source) and self.target in _names(target)


def _names(state: State) -> tuple[str, ...]:
    return (state.value, _OPERATIONAL) if state.is_operational else (state.value,)


def _transitions() -> tuple[Transition, ...]:
    states = {one.id: one.name for machine in (STATE_MACHINE, AUTOMATIC_MODE) for one in machine.of("State")}
    methods = {one.id: one.name for kind in TYPES.values() for one in kind.of("Method")}
    return tuple(
        Transition(
            one.id, one.number, one.name, states[one.source], states[one.target], methods.get(one.cause, ""),
            tuple(TYPES[effect].name for effect in one.effects), machine is AUTOMATIC_MODE,
        )
        for machine in (STATE_MACHINE, AUTOMATIC_MODE)
        for one in machine.of("Transition")
    )  # fmt: skip


TRANSITIONS = _transitions()
"""All that the specification has."""
TAKEN = tuple(
    one for one in TRANSITIONS if one.name not in _SUPERSEDED and not any(word in one.name for word in _OF_OTHERS)
)
"""Those that a station takes."""


def path(source: State, target: State, method: str = "") -> tuple[Transition, ...]:
    """The shortest way of transitions that are allowed, the first one caused by `method`, all others the station's own.

    Empty where they are the same, or where `method` causes nothing in `source`.
    """
    first = [one for one in TAKEN if one.cause == method] if method else []
    ways: deque[tuple[State, tuple[Transition, ...]]] = deque([(source, ())])
    seen = set() if method else {source}
    while ways:
        at, way = ways.popleft()
        if at is target and (way or not method):
            return way
        usable = first if method and not way else [one for one in TAKEN if not one.cause]
        for one in usable:
            for after in State:
                passes = after is target or _is_passed(source, after)
                if after not in seen and passes and one.leads(at, after) and _enters(one, after, target):
                    seen.add(after)
                    ways.append((after, (*way, one)))
    return ()


def _is_passed(source: State, state: State) -> bool:
    """On a way: no station is said to have been in error, halted or in execution where it was not."""
    if state is State.PREOPERATIONAL:
        return not source.is_operational
    return state in (State.INITIALIZED, State.READY)


def _enters(one: Transition, after: State, target: State) -> bool:
    """Into Operational as a whole goes only what then is there: an error that is over leads back to where it was."""
    return one.target != _OPERATIONAL or after is target or target not in OPERATIONAL


# ---- from the station ------------------------------------------------------------------------------------------------

OF_REASON: Mapping[OfflineReason, State] = MappingProxyType(
    {
        OfflineReason.NONE: State.CONTINUOUS_EXECUTION,
        OfflineReason.STARTING: State.PREOPERATIONAL,
        OfflineReason.BY_PLC: State.INITIALIZED,
        OfflineReason.BY_OPERATOR: State.HALTED,
        OfflineReason.NO_ENGINE: State.PREOPERATIONAL,
        OfflineReason.CAMERA_DOWN: State.INITIALIZED,
        OfflineReason.FAULT: State.ERROR,
        OfflineReason.CHANGING_ENGINE: State.PREOPERATIONAL,
        OfflineReason.STOPPING: State.HALTED,
        OfflineReason.CHANGING_RECIPE: State.PREOPERATIONAL,
        OfflineReason.CHALLENGE_OVERDUE: State.INITIALIZED,
        OfflineReason.CHALLENGE_FAILED: State.INITIALIZED,
        OfflineReason.BUILDING_PLAN: State.PREOPERATIONAL,
    }
)
"""By what keeps the station from taking parts."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The station as it is."""

    reason: OfflineReason | None
    """None: the daemon does not reply."""
    enabled: bool = False
    """The PLC has set TriggerEnable; always where there is no PLC."""
    is_stopping: bool = False
    has_plc: bool = True

    @property
    def plc_in_control(self) -> bool:
        """The PLC takes parts from the station, or keeps it off line."""
        return self.has_plc and (self.enabled or self.reason is OfflineReason.BY_PLC)


def seen_of(status: Mapping[str, Any] | None, *, has_plc: bool) -> Seen:
    """From what the daemon replies to `status`; a code of another version is none that takes parts."""
    if status is None:
        return Seen(None, has_plc=has_plc)
    try:
        reason = OfflineReason(status.get("offline_code", -1))
    except ValueError:
        reason = OfflineReason.STARTING
    return Seen(reason, status.get("trigger_enable") is True, status.get("state") == "halted", has_plc)


def state_of(seen: Seen, held: State | None) -> State:
    """Where the station is. `held`: where a client has left it, see `still_held`."""
    if seen.reason is None or seen.is_stopping:
        return State.HALTED
    if held is not None and seen.reason is OfflineReason.BY_OPERATOR:
        return held
    if seen.reason is OfflineReason.NONE and not seen.enabled:
        return State.READY
    return OF_REASON[seen.reason]


def still_held(seen: Seen, held: State | None) -> State | None:
    """A hold ends when the station is on line, or was started anew: neither is off line by a person any more."""
    keeps = (OfflineReason.BY_OPERATOR, OfflineReason.BY_PLC, OfflineReason.FAULT, None)
    return held if seen.reason in keeps and not seen.is_stopping else None


# ---- what a client causes --------------------------------------------------------------------------------------------


class Refusal(Enum):
    """Why a method is not carried out: the status code of the call."""

    OFF = "Bad_NotExecutable"
    DENIED = "Bad_UserAccessDenied"
    SILENT = "Bad_NoCommunication"
    LOCKED = "Bad_Locked"
    STATE = "Bad_InvalidState"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a method does in a state."""

    after: State
    """Where the station is then."""
    commands: tuple[str, ...]
    """Of the control socket, in this order."""
    needs_hold: bool = False
    """Only where the client holds the station: what else keeps it there no client can end."""


def _effects() -> Mapping[str, Mapping[State, Effect]]:
    halt: dict[State, Effect] = {}
    reset: dict[State, Effect] = {}
    for state in State:
        clears = ("clear",) if state is State.ERROR else ()
        if state is not State.HALTED:
            halt[state] = Effect(State.HALTED, ("offline", *clears))
        reset[state] = Effect(State.PREOPERATIONAL, ("offline", "clear"))
    stop = {State.CONTINUOUS_EXECUTION: Effect(State.READY, ("offline",))}
    select = {State.PREOPERATIONAL: Effect(State.INITIALIZED, (), needs_hold=True)}
    prepare = {
        State.INITIALIZED: Effect(State.READY, ("recipe",), needs_hold=True),
        State.READY: Effect(State.READY, ("recipe",)),
    }
    return {
        "Halt": halt,
        "Reset": reset,
        "SelectModeAutomatic": select,
        "PrepareRecipe": prepare,
        "UnprepareRecipe": {State.READY: Effect(State.INITIALIZED, ("offline",))},
        "StartSingleJob": {},
        "StartContinuous": {State.READY: Effect(State.CONTINUOUS_EXECUTION, ("online",), needs_hold=True)},
        "Stop": stop,
        "Abort": stop,
    }


EFFECTS = _effects()
"""By method and state; a state that is missing: Bad_InvalidState."""
RECIPE_METHODS = frozenset({"PrepareRecipe"})
"""What `[opcua] commands = "recipe"` allows."""


def asked(method: str, seen: Seen, held: State | None, *, allowed: str) -> Effect | Refusal:
    """What a method does now. `allowed`: `none`, `recipe` or `all`. Who asks is looked at before."""
    if allowed == "none" or (allowed == "recipe" and method not in RECIPE_METHODS):
        return Refusal.OFF
    if seen.reason is None:
        return Refusal.SILENT
    if seen.plc_in_control:
        return Refusal.LOCKED
    return EFFECTS[method].get(state_of(seen, held)) or Refusal.STATE
