"""Which of the optional nodes a station has, and which nodes it must have then. Facts alone, see `facts`."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.opcua.facts import NONE, Child
from drivers.opcua.vision_types import NAMED, STATES_OF_SYSTEM, TYPES

CHOSEN = frozenset(
    {
        "AutomaticModeStateMachine", "SelectModeAutomatic", "RecipeManagement", "ResultManagement",
        "ConfigurationManagement", "Results", "PartId", "ExternalRecipeId", "IsSimulated", "ProcessingTimes",
        "ResultContent",
    }
)  # fmt: skip
"""Of what is optional: this."""
STATE_MACHINE_TYPE = "0:2771"
_PLACEHOLDER = "P"


def is_there(child: Child) -> bool:
    """The vision system of a station has it."""
    return child.is_mandatory or (child.name in CHOSEN and child.rule not in (NONE, _PLACEHOLDER))


def mandatory_paths() -> Mapping[str, str]:
    """Every node that the specification demands of the parts that a station has: path below the system, node class."""
    found: dict[str, str] = {}
    _demanded("", "1003", found)
    for child in STATES_OF_SYSTEM.children:
        found[f"VisionStateMachine/{child.name}"] = "Object"
        found[f"VisionStateMachine/{child.name}/StateNumber"] = "Variable"
    return found


def _demanded(path: str, kind: str, found: dict[str, str]) -> None:
    of = TYPES[kind]
    if of.base == STATE_MACHINE_TYPE:
        found[f"{path}CurrentState"] = found[f"{path}CurrentState/Id"] = "Variable"
    for child in of.children:
        if not is_there(child):
            continue
        here = f"{path}{child.name}"
        found[here] = child.kind if child.kind in ("Method", "Object") else "Variable"
        if child.kind == "Method":
            if child.inputs_id != NONE:
                found[f"{here}/InputArguments"] = "Variable"
            if child.outputs_id != NONE:
                found[f"{here}/OutputArguments"] = "Variable"
        elif child.kind == "Object":
            _demanded(f"{here}/", child.type, found)


def result_components() -> Mapping[str, str]:
    """What a result consists of: data type by name, as the event of a result has it."""
    return {one.name: one.data_type for one in NAMED["ResultReadyEventType"].children}
