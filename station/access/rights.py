"""Which role a request of the control socket needs: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def needed(request: Mapping[str, Any]) -> Role:
    """The role that a request needs; what stands in no table needs the highest."""
    command, action = request.get("command"), request.get("action")
    if not isinstance(command, str):
        return Role.MAINTAIN
    of_action = ACTIONS.get((command, action)) if isinstance(action, str) else None
    return of_action or COMMANDS.get(command, Role.MAINTAIN)
