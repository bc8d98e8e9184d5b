"""Our facts of OPC 40100-1 against the Foundation's own nodeset, which the npm package node-opcua-nodesets ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from drivers.opcua.choice import mandatory_paths
from drivers.opcua.facts import NAMESPACE, NONE, VERSION, Child, Type
from drivers.opcua.vision_data import SIMPLE, STRUCTURES, TRI_STATE, signature_of
from drivers.opcua.vision_types import STATES_OF_SYSTEM, TYPES
from tests.northbound.opcua.client import packages

_SET = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
_TYPES = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"
_RULES = {"0:78": "M", "0:80": "O", "0:11508": "P"}
_RULE, _TYPE, _SUBTYPE, _ENCODING, _FROM, _TO, _CAUSE, _EFFECT = (f"0:{n}" for n in (37, 40, 45, 38, 51, 52, 53, 54))


@dataclass
class Node:
    """Of the nodeset."""

    kind: str
    name: str
    data_type: str
    rank: str
    is_abstract: bool
    element: ElementTree.Element
    references: list[tuple[str, bool, str]] = field(default_factory=list)

    def forward(self, kind: str) -> list[str]:
        return [target for reference, forward, target in self.references if reference == kind and forward]

    def text(self) -> str:
        value = self.element.find(f"{_SET}Value")
        return "" if value is None else "".join(value.itertext()).strip()


class Nodeset:
    """By our way to write node ids."""

    def __init__(self, file: Path) -> None:
        root = ElementTree.parse(file).getroot()
        aliases = root.find(f"{_SET}Aliases")
        assert aliases is not None
        self._aliases = {one.get("Alias", ""): one.text or "" for one in aliases}
        self.nodes = {self._id(one.get("NodeId", "")): self._node(one) for one in root if one.get("NodeId")}

    def _id(self, text: str) -> str:
        text = self._aliases.get(text, text)
        return text.removeprefix("ns=1;i=") if text.startswith("ns=1") else text.replace("i=", "0:")

    def _node(self, one: ElementTree.Element) -> Node:
        references = [
            (self._id(each.get("ReferenceType", "")), each.get("IsForward") != "false", self._id(each.text or ""))
            for each in one.iter(f"{_SET}Reference")
        ]
        return Node(
            one.tag.removeprefix(f"{_SET}UA"), one.get("BrowseName", "").split(":")[-1],
            self._id(one.get("DataType") or "i=24"), one.get("ValueRank") or "-1", one.get("IsAbstract") == "true", one,
            references,
        )  # fmt: skip

    def arguments(self, number: str) -> list[tuple[str, str, bool]]:
        if number == NONE:
            return []
        found = []
        for one in self.nodes[number].element.iter(f"{_TYPES}Argument"):
            texts = [next("".join(each.itertext()).strip() for each in one.iter(f"{_TYPES}{name}"))
                     for name in ("Name", "DataType", "ValueRank")]  # fmt: skip
            found.append((texts[0], self._id(texts[1]), texts[2] == "1"))
        return found

    def fields(self, number: str) -> list[tuple[str, str, bool, bool]]:
        by_name = {node.name: one for one, node in self.nodes.items() if node.kind == "DataType"}
        definition = self.nodes[number].element.find(f"{_SET}Definition")
        found = []
        for one in [] if definition is None else definition:
            kind = one.get("DataType") or "i=24"
            is_array = one.get("ValueRank") == "1"
            found.append((one.get("Name", ""), by_name.get(kind) or self._id(kind), is_array,
                          one.get("IsOptional") == "true"))  # fmt: skip
        return found


@pytest.fixture(scope="module")
def nodeset(tmp_path_factory: pytest.TempPathFactory) -> Nodeset:
    folder = packages(tmp_path_factory) / "node-opcua-nodesets" / "nodesets"
    return Nodeset(folder / "Opc.Ua.MachineVision.NodeSet2.xml")


def children() -> Iterator[tuple[Type, Child]]:
    for one in (*TYPES.values(), STATES_OF_SYSTEM):
        yield from ((one, child) for child in one.children)


@pytest.mark.system
def test_every_type_is_the_foundations(nodeset: Nodeset) -> None:
    assert NAMESPACE in {node.text() for node in nodeset.nodes.values()}
    assert VERSION in {node.text() for node in nodeset.nodes.values()}
    for one in TYPES.values():
        node = nodeset.nodes[one.id]
        base = next(target for kind, forward, target in node.references if kind == _SUBTYPE and not forward)
        assert (node.kind, node.name, base, node.is_abstract) == (one.kind, one.name, one.base, one.is_abstract)


@pytest.mark.system
def test_every_child_is_the_foundations(nodeset: Nodeset) -> None:
    for above, child in children():
        node = nodeset.nodes[child.id]
        is_below = child.id in {target for _, forward, target in nodeset.nodes[above.id].references if forward}
        is_below |= above.id in {target for _, forward, target in node.references if not forward}
        assert is_below, child
        assert node.name == child.name
        assert _RULES.get(next(iter(node.forward(_RULE)), ""), NONE) == child.rule, child
        if child.kind != "Method":
            assert node.forward(_TYPE) == [child.type], child
        if child.kind in ("Variable", "Property"):
            assert (node.data_type, node.rank == "1") == (child.data_type, child.is_array), child
        if child.number:
            assert int(nodeset.nodes[child.number_id].text()) == child.number
        if child.kind == "Transition":
            assert (node.forward(_FROM), node.forward(_TO)) == ([child.source], [child.target])
            assert node.forward(_CAUSE) == ([] if child.cause == NONE else [child.cause])
            assert sorted(node.forward(_EFFECT)) == sorted(child.effects)
        if child.kind == "Method":
            for number, fields in zip(
                (child.inputs_id, child.outputs_id), signature_of(child.name, child.id), strict=True
            ):
                assert nodeset.arguments(number) == [(one.name, one.type, one.is_array) for one in fields], child


@pytest.mark.system
def test_nothing_that_is_mandatory_is_missing(nodeset: Nodeset) -> None:
    """Of the types that a station has: what the nodeset demands stands in our tables."""
    for one in TYPES.values():
        ours = {child.id for child in one.children}
        for kind, forward, target in nodeset.nodes[one.id].references:
            node = nodeset.nodes.get(target)
            if kind in ("0:46", "0:47") and forward and node is not None and node.forward(_RULE) == ["0:78"]:
                assert target in ours, (one.name, node.name)
    assert len(mandatory_paths()) == 66


@pytest.mark.system
def test_every_data_type_is_the_foundations(nodeset: Nodeset) -> None:
    for number, name, base in SIMPLE:
        node = nodeset.nodes[number]
        assert (node.name, [one for kind, forward, one in node.references if kind == _SUBTYPE and not forward]) == (
            name, [base],
        )  # fmt: skip
    assert nodeset.nodes[TRI_STATE[0]].name == TRI_STATE[1]
    for one in STRUCTURES.values():
        node = nodeset.nodes[one.id]
        assert (node.name, node.is_abstract) == (one.name, one.is_abstract)
        assert one.encoding_id in node.forward(_ENCODING)
        assert nodeset.nodes[one.encoding_id].name == "Default Binary"
        own = nodeset.fields(one.id) or nodeset.fields(one.base)
        assert own == [(each.name, each.type, each.is_array, each.is_optional) for each in one.fields], one.name
