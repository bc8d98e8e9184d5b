"""The state machine as clients see it: follows the station, carries out what a client may cause.

One lock: the connector's thread follows, threads of calls cause. What is shown always went there by transitions of the
specification, each with its event.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from drivers.opcua.instance import MACHINE, MODE
from drivers.opcua.server import Reply, Said
from drivers.opcua.sessions import Caller
from drivers.opcua.vision_machines import AUTOMATIC_MODE, STATE_MACHINE
from station.access.people import MAX_NAME, ON_BEHALF, OnBehalf
from station.codes import OFFLINE_REASONS, OfflineReason
from station.control import ControlError
from station.northbound.opcua.results import recipe_id
from station.northbound.opcua.states import (
    EFFECTS,
    Effect,
    Refusal,
    Seen,
    State,
    Transition,
    asked,
    path,
    seen_of,
    state_of,
    still_held,
)  # fmt: skip

log = structlog.get_logger()

REFUSED = -1
"""Error of a method: the station refused it, or another code than this keeps it (-100 and the reason)."""
NOT_ABLE = -100
SETTLES_S, LOOK_S = 3.0, 0.05
"""How long the station is waited for after a command, and between two looks."""
SEVERITY = 100
MAX_TEXT = 200
METHODS = frozenset(EFFECTS)
"""What a client may call, where it is allowed."""
_STATE_IDS = {one.name: one.id for machine in (STATE_MACHINE, AUTOMATIC_MODE) for one in machine.of("State")}


@dataclass(frozen=True, slots=True)
class Ways:
    """To the daemon and to the server."""

    status: Callable[[], Mapping[str, Any] | None]
    """Of the daemon; None: it is silent."""
    request: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Asks it something. Raises ControlError."""
    server: Any
    """A VisionServer."""


class Vision:
    """Owns the state that is shown, and where a client holds the station."""

    def __init__(self, ways: Ways, *, has_plc: bool, allowed: str) -> None:
        """`allowed`: `none`, `recipe` or `all`."""
        self._ways = ways
        self._has_plc, self._allowed = has_plc, allowed
        self._lock = threading.Lock()
        self._state = State.PREOPERATIONAL
        self._held: State | None = None
        self._is_shown = False
        self._job = ""

    @property
    def state(self) -> State:
        return self._state

    def follow(self, status: Mapping[str, Any] | None) -> None:
        """Shows where the station is now. Raises ServerError."""
        with self._lock:
            self._followed(status)

    def call(self, method: str, given: Mapping[str, Any], who: Caller) -> Reply:
        """A method of the state machine or of recipes that a client has called."""
        with self._lock:
            return self._called(method, given, who)

    # ---- inside --------------------------------------------------------------------------------------------------

    def _seen(self, status: Mapping[str, Any] | None) -> Seen:
        return seen_of(status, has_plc=self._has_plc)

    def _followed(self, status: Mapping[str, Any] | None) -> None:
        seen = self._seen(status)
        self._held = still_held(seen, self._held)
        if status is not None:
            self._job = str(status.get("session", ""))
        if not self._is_shown:
            self._show(None)
            self._is_shown = True
        self._go(path(self._state, state_of(seen, self._held)), state_of(seen, self._held))

    def _called(self, method: str, given: Mapping[str, Any], who: Caller) -> Reply:
        status = self._ways.status()
        self._followed(status)
        seen = self._seen(status)
        decided = asked(method, seen, self._held, allowed=self._allowed)
        if isinstance(decided, Refusal):
            return self._refused(method, who, decided)
        if not _may(who, decided):
            return self._refused(method, who, Refusal.DENIED)
        if decided.needs_hold and self._held is not self._state:
            why = seen.reason if seen.reason not in (None, OfflineReason.NONE) else OfflineReason.BY_PLC
            assert why is not None
            log.warning("opcua", method=method, who=who.name, refused=OFFLINE_REASONS[why].text)
            return self._outputs(method, NOT_ABLE - why.value)
        return self._carried_out(method, given, who, decided)

    def _carried_out(self, method: str, given: Mapping[str, Any], who: Caller, effect: Effect) -> Reply:
        recipe = None
        try:
            for command in effect.commands:
                message: dict[str, Any] = {"command": command, ON_BEHALF: _on_behalf(who)}
                if command == "recipe":
                    message["recipe"] = _recipe_of(given)
                reply = self._ways.request(message)
                if command == "recipe":
                    checksum = str(reply.get("recipe_checksum", ""))
                    recipe = recipe_id(self._ways.server, str(reply.get("recipe", "")), checksum)
        except (ControlError, ValueError) as problem:
            log.warning("opcua", method=method, who=who.name, refused=str(problem)[:MAX_TEXT])
            self._followed(self._ways.status())
            return self._outputs(method, REFUSED, recipe)
        cause = str(given.get("CauseDescription") or "")[:MAX_TEXT]
        log.info("opcua", method=method, who=who.name, address=who.address, number=given.get("Cause"), cause=cause)
        status = self._settled(effect)
        if effect.after is State.CONTINUOUS_EXECUTION:
            self._held = None
        elif "offline" in effect.commands or self._held is not None:
            self._held = effect.after
        seen = self._seen(status)
        after = state_of(seen, self._held)
        way = path(self._state, effect.after, method)
        if after is effect.after and way:
            self._go(way, after, recipe)
        else:
            if recipe is not None:
                self._ways.server.say([self._prepared(recipe)])
            self._followed(status)
        return self._outputs(method, 0, recipe)

    def _settled(self, effect: Effect) -> Mapping[str, Any] | None:
        """The status once the station has done what it was asked; commands are carried out after the reply to them."""
        ends = time.monotonic() + SETTLES_S
        wanted = OfflineReason.BY_OPERATOR
        while True:
            status = self._ways.status()
            reason = self._seen(status).reason
            goes_off, goes_on = "offline" in effect.commands, "online" in effect.commands
            done = reason is wanted if goes_off else (reason is not wanted if goes_on else True)
            if done or time.monotonic() > ends:
                return status
            time.sleep(LOOK_S)

    def _outputs(self, method: str, error: int, recipe: Any = None) -> Reply:
        """As the signature of the method has them."""
        server = self._ways.server
        internal = recipe_id(server, "", "") if recipe is None else recipe
        match method:
            case "StartContinuous" | "StartSingleJob":
                return Reply((server.structure("JobIdDataType", Id=self._job if not error else ""), error))
            case "PrepareRecipe":
                return Reply((internal, not error, error))
            case "UnprepareRecipe":
                return Reply((internal, error))
        return Reply((error,))

    def _refused(self, method: str, who: Caller, why: Refusal) -> Reply:
        log.warning("opcua", method=method, who=who.name or "nobody", address=who.address, refused=why.value)
        return Reply(status=why.value.replace("_", ""))

    def _go(self, way: tuple[Transition, ...], target: State, recipe: Any = None) -> None:
        for place, one in enumerate(way):
            self._state = _after(one, target, is_last=place == len(way) - 1)
            self._show(one)
            self._ways.server.say(list(self._events(one, recipe)))
        if not way and self._state is not target:  # none leads there: never shown silently
            log.error("opcua", detail=f"no transition from {self._state.value} to {target.value}")
            self._state = target
            self._show(None)

    def _show(self, transition: Transition | None) -> None:
        server, state = self._ways.server, self._state
        top = "Operational" if state.is_operational else state.value
        fact = STATE_MACHINE.child(top)
        self._ways.server.set(_state_values(server, MACHINE, top, fact.id, fact.number))
        if state.is_operational:
            inner = AUTOMATIC_MODE.child(state.value)
            server.set(_state_values(server, MODE, state.value, inner.id, inner.number))
        else:
            names = ("CurrentState", "CurrentState/Id", "CurrentState/Number")
            server.set(dict.fromkeys(f"{MODE}/{name}" for name in names), "BadStateNotActive")
        if transition is not None:
            machine = MODE if transition.of_mode else MACHINE
            server.set(
                {
                    f"{machine}/LastTransition": server.text(transition.name),
                    f"{machine}/LastTransition/Id": server.node_id(transition.id),
                    f"{machine}/LastTransition/Number": transition.number,
                }
            )

    def _events(self, one: Transition, recipe: Any) -> list[Said]:
        server, source = self._ways.server, MODE if one.of_mode else MACHINE
        names = (one.source, one.target)
        ids = [server.node_id(_STATE_IDS[name]) for name in names]
        job = server.structure("JobIdDataType", Id=self._job)
        transition = {
            "Transition": ("0:21", server.text(one.name)),
            "Transition/Id": ("0:17", server.node_id(one.id)),
            "Transition/Number": ("0:7", one.number),
            "FromState": ("0:21", server.text(names[0])),
            "FromState/Id": ("0:17", ids[0]),
            "ToState": ("0:21", server.text(names[1])),
            "ToState/Id": ("0:17", ids[1]),
        }
        found = []
        for kind in one.events:
            message = f"{names[0]} to {names[1]}"
            if kind in ("StateChangedEventType", "ErrorEventType", "ErrorResolvedEventType"):
                found.append(Said(kind, source, message, SEVERITY, transition))
            elif kind == "RecipePreparedEventType":
                if recipe is not None:
                    found.append(self._prepared(recipe))
            else:
                found.append(Said(kind, source, message, SEVERITY, {"JobId": ("3016", job)}))
        return found

    def _prepared(self, recipe: Any) -> Said:
        external = self._ways.server.structure("RecipeIdExternalDataType", Id=recipe.Id)
        fields = {"InternalId": ("3013", recipe), "ExternalId": ("3002", external)}
        return Said("RecipePreparedEventType", MODE, f"recipe {recipe.Id}", SEVERITY, fields)


def _after(one: Transition, target: State, *, is_last: bool) -> State:
    """Where a transition leads; into Operational as a whole: to what then is there."""
    if is_last:
        return target
    return State(one.target)


def _state_values(server: Any, machine: str, name: str, fact_id: str, number: int) -> dict[str, Any]:
    return {
        f"{machine}/CurrentState": server.text(name),
        f"{machine}/CurrentState/Id": server.node_id(fact_id),
        f"{machine}/CurrentState/Number": number,
    }


def _on_behalf(who: Caller) -> dict[str, Any]:
    """For whom a command is asked, and from where, as the audit log has it."""
    return {"name": who.name, "roles": list(who.roles), "client": f"OPC UA {who.address}"[:MAX_NAME]}


def _may(who: Caller, effect: Effect) -> bool:
    """A person with the rights to all that the method does; who may not set the station off line may no method."""
    person = OnBehalf(who.name, who.roles)
    return bool(who.name) and all(person.may({"command": one}) for one in ("offline", *effect.commands))


def _recipe_of(given: Mapping[str, Any]) -> str:
    """The name of the recipe that a client has given. Raises ValueError: none, or two."""
    names = {str(one.Id) for one in (given.get("ExternalId"), given.get("InternalIdIn")) if one is not None and one.Id}
    if len(names) != 1:
        raise ValueError(f"ExternalId and InternalIdIn name {len(names)} recipes, exactly one is needed")
    return names.pop()
