"""Which role a request of the control socket needs: the one table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from station.access.people import ON_BEHALF
from station.access.roles import Role

COMMANDS: Mapping[str, Role] = {
    "status": Role.LOOK,
    "online": Role.OPERATE,
    "offline": Role.OPERATE,
    "clear": Role.OPERATE,
    "recipe": Role.OPERATE,
    "batch": Role.OPERATE,
    "challenge": Role.OPERATE,
    "reload": Role.MAINTAIN,
    "settings": Role.MAINTAIN,
    "trigger": Role.MAINTAIN,
    "points": Role.LOOK,
    "teach": Role.MAINTAIN,
    "monitoring": Role.MAINTAIN,
    "engine": Role.MAINTAIN,
    "shadow": Role.MAINTAIN,
    "refresh": Role.MAINTAIN,
    "quarantine": Role.MAINTAIN,
    "second": Role.LOOK,
}
ACTIONS: Mapping[tuple[str, str], Role] = {("challenge", "reset"): Role.MAINTAIN}
"""Actions of a command that need more than the command."""
OF_PLANT: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "recipe": frozenset({"recipe"}),
    "all": frozenset({"recipe", "online", "offline", "clear"}),
}
"""What the plant process may ask on behalf of a person, by `[opcua] commands`."""
_OF_PLANT_ALONE = frozenset({"status"})
_KEYS_OF_PLANT = frozenset({"command", "recipe", ON_BEHALF})


def needed(request: Mapping[str, Any]) -> Role:
    """The role that a request needs; what stands in no table needs the highest."""
    command, action = request.get("command"), request.get("action")
    if not isinstance(command, str):
        return Role.MAINTAIN
    of_action = ACTIONS.get((command, action)) if isinstance(action, str) else None
    return of_action or COMMANDS.get(command, Role.MAINTAIN)


def refused_to_plant(request: Mapping[str, Any], commands: Collection[str]) -> str:
    """Why the plant process may not ask this; empty: it may. `commands`: what it may ask on behalf of a person."""
    command = request.get("command")
    if request.get(ON_BEHALF) is None:
        if command in _OF_PLANT_ALONE:
            return ""
        return f'by itself the plant process may ask "{", ".join(sorted(_OF_PLANT_ALONE))}" alone'
    if command not in commands:
        allowed = ", ".join(sorted(commands)) or "nothing"
        return f"on behalf of a person the plant process may ask {allowed} ([opcua] commands, taken up by a restart)"
    if more := sorted(set(map(str, request)) - _KEYS_OF_PLANT):
        return f"the plant process may not ask it with {', '.join(more)}"
    return ""
