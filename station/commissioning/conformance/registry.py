"""The rules as data: what each says, what PLC is played, what it needs, and the function that checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from station.commissioning.conformance.plc import Plc


class Violation(Exception):
    """The station breaks the rule; the text says how."""


class NotChecked(Exception):
    """The rule cannot be checked here and now; the text says why. Never counts as passed."""


class Need(Enum):
    """What a rule cannot be checked without."""

    PART = "a part"
    """Any way to have one inspected: Trigger, command 4, or parts on the line."""
    PLC_TRIGGER = "a part that Trigger brings"
    SERVER = "a station in server role"
    """The rule is about requests of a Modbus client. In client role it does not apply."""
    TCP = "a station in server role on TCP"
    HEARTBEAT = "a supervised PlcHeartbeat"


Check = Callable[["Plc"], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of docs/plc.md."""

    id: str
    plays: str
    """The PLC that is played."""
    text: str
    """The rule."""
    needs: tuple[Need, ...]
    check: Check
    """Raises Violation or NotChecked."""


RULES: dict[str, Rule] = {}
"""By id, in the order in which they are checked."""

CORRECT = "a correct PLC"


def rule(rule_id: str, text: str, *needs: Need, plays: str = CORRECT) -> Callable[[Check], Check]:
    """Registers the function as the check of a rule."""

    def register(check: Check) -> Check:
        if rule_id in RULES:
            raise ValueError(f"two rules are called {rule_id}")
        RULES[rule_id] = Rule(rule_id, plays, text, needs, check)
        return check

    return register


def require(holds: bool, violation: str) -> None:
    """Raises Violation unless it holds."""
    if not holds:
        raise Violation(violation)
