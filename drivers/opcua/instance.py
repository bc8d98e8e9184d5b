"""The one vision system of a server: an instance of VisionSystemType, and beside it the station's own plain variables.

Every node has its path as its id (`ns=3;s=VisionSystem/VisionStateMachine/Halt`), so a client may write ids down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from drivers.opcua.building import Nodes, variant_type
from drivers.opcua.choice import STATE_MACHINE_TYPE, is_there
from drivers.opcua.facts import NONE, Child
from drivers.opcua.vision_data import Structure
from drivers.opcua.vision_types import STATES_OF_SYSTEM, TYPES

SYSTEM = "VisionSystem"
MACHINE = f"{SYSTEM}/VisionStateMachine"
MODE = f"{MACHINE}/AutomaticModeStateMachine"
RESULTS = f"{SYSTEM}/ResultManagement"
LATEST = f"{RESULTS}/Results/Latest"
"""The last part, an instance of ResultType: as a structure, and its components as variables of their own."""
CONFIGURATIONS = f"{SYSTEM}/ConfigurationManagement"
ACTIVE = f"{CONFIGURATIONS}/ActiveConfiguration"


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain variable of the station, for clients that read no structures."""

    path: str
    """Below the system: `Line/Ready`."""
    data_type: str
    """As in the facts: `0:1`."""


class Instance:
    """Makes the system. `commands`: names of the methods that may be called; all others say that they may not."""

    def __init__(self, nodes: Nodes, name: str, commands: frozenset[str]) -> None:
        self._nodes = nodes
        self._name = name
        self._commands = commands
        self.methods: dict[str, str] = {}
        """Path of each method: its name."""
        self.kinds: dict[str, str] = {}
        """Path of each variable: its data type in the facts."""

    def build(self, plain: Sequence[Plain], structures: Sequence[Structure]) -> None:
        nodes, system = self._nodes, self._nodes.own_id(SYSTEM)
        for structure in structures:
            node, encoding = nodes.id_of(structure.id), nodes.id_of(structure.encoding_id)
            nodes.structure(structure, node, encoding, nodes.own)
        name = ua.QualifiedName(self._name, nodes.own)
        nodes.object(system, ua.NodeId(85), name, nodes.id_of("1003"), reference=35, notifies=True)
        self._children(SYSTEM, "1003")
        for child in STATES_OF_SYSTEM.children:
            self._child(MACHINE, child)
        self._variable(LATEST, f"{RESULTS}/Results", ua.QualifiedName("Latest", nodes.own), "3006", "2002")
        self._children(LATEST, "2002")
        for one in plain:
            self._plain(one)
        self._notifiers(system)

    def _children(self, path: str, kind: str) -> None:
        of = TYPES[kind]
        if of.base == STATE_MACHINE_TYPE:
            self._machine_variables(path)
        elif of.base in TYPES:
            self._children(path, of.base)
        for child in of.children:
            if is_there(child):
                self._child(path, child)

    def _child(self, parent: str, child: Child) -> None:
        nodes, path = self._nodes, f"{parent}/{child.name}"
        node, above = nodes.own_id(path), nodes.own_id(parent)
        name = ua.QualifiedName(child.name, nodes.vision)
        match child.kind:
            case "Method":
                arguments = (nodes.own_id(f"{path}/InputArguments"), nodes.own_id(f"{path}/OutputArguments"))
                may = child.name in self._commands
                nodes.method(node, above, child.name, arguments=arguments, fact_id=child.id, executable=may)
                self.methods[path] = child.name
            case "Object":
                nodes.object(node, above, name, nodes.id_of(child.type), notifies=True)
                self._children(path, child.type)
            case "State":
                nodes.object(node, above, name, nodes.id_of(child.type))
                nodes.number(nodes.own_id(f"{path}/StateNumber"), node, "StateNumber", child.number)
            case _:
                self._variable(
                    path, parent, name, child.data_type, child.type, is_property=child.kind == "Property",
                    is_array=child.is_array,
                )  # fmt: skip

    def _variable(
        self, path: str, parent: str, name: ua.QualifiedName, data_type: str, type_id: str, *,
        is_property: bool = False, is_array: bool = False,
    ) -> None:  # fmt: skip
        nodes = self._nodes
        empty = ua.Variant([] if is_array else None, variant_type(data_type) if is_array else ua.VariantType.Null)
        nodes.variable(
            nodes.own_id(path), nodes.own_id(parent), name, data_type=nodes.id_of(data_type), value=empty,
            is_property=is_property,
            type_id=nodes.id_of(type_id), is_array=is_array,
        )  # fmt: skip
        self.kinds[path] = data_type

    def _machine_variables(self, path: str) -> None:
        """Which state, and which transition led there."""
        for name, kind, number in (("CurrentState", "0:2760", "Number"), ("LastTransition", "0:2767", "Number")):
            self._variable(f"{path}/{name}", path, ua.QualifiedName(name, 0), "0:21", kind)
            for part, data_type in (("Id", "0:17"), (number, "0:7")):
                self._variable(
                    f"{path}/{name}/{part}", f"{path}/{name}", ua.QualifiedName(part, 0), data_type, "0:68",
                    is_property=True,
                )  # fmt: skip

    def _plain(self, one: Plain) -> None:
        nodes = self._nodes
        group, name = one.path.split("/")
        folder = f"{SYSTEM}/{group}"
        if folder not in self.kinds:
            nodes.object(nodes.own_id(folder), nodes.own_id(SYSTEM), ua.QualifiedName(group, nodes.own), ua.NodeId(61))
            self.kinds[folder] = NONE
        self._variable(f"{SYSTEM}/{one.path}", folder, ua.QualifiedName(name, nodes.own), one.data_type, "0:63")

    def _notifiers(self, system: ua.NodeId) -> None:
        """How events rise: from the machines over the system to the server."""
        nodes = self._nodes
        nodes.refer(ua.NodeId(2253), 48, system, ua.NodeClass.Object)
        for path in (MACHINE, MODE, RESULTS, f"{SYSTEM}/RecipeManagement"):
            nodes.refer(system, 48, nodes.own_id(path), ua.NodeClass.Object)
