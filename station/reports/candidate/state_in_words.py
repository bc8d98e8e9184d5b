"""What a running station says of its shadow, in one line. Imports nothing: every short command pays for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def state_of(state: Mapping[str, Any]) -> str:
    """What the running station says of its shadow, in one line."""
    match state["state"]:
        case "off":
            return "no engine is in the shadow"
        case "failed":
            return f"the shadow failed and is off: {state['problem']}"
        case "waits":
            return f"{state['version']} waits: its product is not the active one"
        case "loads":
            return f"{state['version']} is being loaded into the shadow"
    share = state["seen_share"]
    seen = "no part yet" if share is None else f"sees {share:.1%} of the parts"
    return f"{state['version']} is in the shadow ({state['purpose']}), {seen}, {state['differ']} differ since the start"
