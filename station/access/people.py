"""What the daemon lets the pages ask on behalf of a person: role of the person to command. The daemon's own table.

The pages look up their own table first (`station/hmi/rights.py`). The daemon believes them in who asks, not in what he
may: a page that forgets its guard is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ON_BEHALF = "on_behalf"
"""Key of a request: `{"name": "anna", "roles": ["operator"]}`, and `"client": "OPC UA 10.0.7.9"` of a remote client."""
MAX_NAME = 64

_AT_THE_LINE = frozenset({"operator", "quality", "integrator", "maintenance"})
_MAINTENANCE = frozenset({"maintenance"})
COMMANDS: Mapping[str, frozenset[str]] = {
    "status": _AT_THE_LINE | {"viewer", "admin"},
    "online": _AT_THE_LINE,
    "offline": _AT_THE_LINE,
    "recipe": _AT_THE_LINE,
    "batch": _AT_THE_LINE,
    "challenge": _AT_THE_LINE,
    "clear": _AT_THE_LINE - {"quality"},
    "reload": frozenset({"integrator", "maintenance"}),
    "settings": frozenset({"integrator"}),
    "trigger": frozenset({"integrator"}),
    "points": _AT_THE_LINE - {"operator"},
    "teach": _MAINTENANCE,
    "monitoring": _MAINTENANCE,
    "engine": _MAINTENANCE,
    "shadow": _MAINTENANCE,
    "refresh": _MAINTENANCE,
    "quarantine": frozenset({"quality"}),
    "second": frozenset({"quality", "integrator", "maintenance"}),
}
ACTIONS: Mapping[tuple[str, str], frozenset[str]] = {("challenge", "reset"): _MAINTENANCE}
"""Actions of a command that fewer may than the command."""


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """The person for whom the pages, or the plant process, ask."""

    name: str
    roles: tuple[str, ...]
    client: str = ""
    """The way on which he asks and from where; empty: the pages."""

    @property
    def on_record(self) -> str:
        """Who asked, in the audit log."""
        return f"{self.name} ({self.client})" if self.client else self.name

    def may(self, request: Mapping[str, Any]) -> bool:
        """Whether one of the roles may ask this; what stands in no table nobody may."""
        command, action = request.get("command"), request.get("action")
        if not isinstance(command, str):
            return False
        allowed = ACTIONS.get((command, action)) if isinstance(action, str) else None
        return not (allowed or COMMANDS.get(command, frozenset())).isdisjoint(self.roles)


def on_behalf_of(request: Mapping[str, Any]) -> OnBehalf | None:
    """The person of a request; None: it has none. Raises ValueError: what stands there is no person."""
    given = request.get(ON_BEHALF)
    if given is None:
        return None
    name, roles = (given.get("name"), given.get("roles")) if isinstance(given, Mapping) else (None, None)
    if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()):
        raise ValueError(f"{ON_BEHALF}: a name of 1 to {MAX_NAME} letters and a list of roles")
    if not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
        raise ValueError(f"{ON_BEHALF}: a name of 1 to {MAX_NAME} letters and a list of roles")
    client = given.get("client", "")
    if not (isinstance(client, str) and len(client) <= MAX_NAME and (client.isprintable() or not client)):
        raise ValueError(f"{ON_BEHALF}: client is a text of at most {MAX_NAME} letters")
    return OnBehalf(name, tuple(roles), client)
