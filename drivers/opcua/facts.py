"""Facts of a companion specification: which nodes a type has, under which numbers. Loads no library.

A line a node. An indented line is a child of the type above it; numbers are node ids of the namespace of the
specification, `0:` stands before those of OPC UA itself. The rule is M (mandatory), O (optional), P (placeholder) or -
(of the type alone). A type has its own base, an object the type it is of, a method the nodes of its arguments.

    ObjectType ID NAME BASE [abstract]
      State ID NAME NUMBER ID_OF_NUMBER RULE
      Transition ID NAME NUMBER ID_OF_NUMBER FROM TO CAUSE EFFECT...
      Method ID NAME RULE ID_OF_INPUTS ID_OF_OUTPUTS
      Object ID NAME RULE TYPE
      Variable | Property ID NAME RULE DATA_TYPE[[]] [TYPE]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NAMESPACE = "http://opcfoundation.org/UA/MachineVision"
VERSION, PUBLISHED = "1.0.0", "2019-07-11"
NONE = "-"


@dataclass(frozen=True, slots=True)
class Child:
    """A node below a type."""

    kind: str
    """State, Transition, Method, Object, Variable or Property."""
    id: str
    name: str
    rule: str
    type: str = NONE
    """Of an object; of a variable where it is not BaseDataVariableType or PropertyType."""
    data_type: str = NONE
    is_array: bool = False
    number: int = 0
    """Of a state or a transition."""
    number_id: str = NONE
    inputs_id: str = NONE
    outputs_id: str = NONE
    source: str = NONE
    """State from which a transition goes."""
    target: str = NONE
    cause: str = NONE
    """Method that causes the transition; NONE: the system does it by itself."""
    effects: tuple[str, ...] = ()
    """Types of the events of a transition."""

    @property
    def is_mandatory(self) -> bool:
        return self.rule == "M"


@dataclass(frozen=True, slots=True)
class Type:
    """A type with its own children; those of its base come before."""

    kind: str
    """ObjectType or VariableType."""
    id: str
    name: str
    base: str
    data_type: str = NONE
    is_abstract: bool = False
    children: tuple[Child, ...] = ()

    def child(self, name: str) -> Child:
        """Raises KeyError."""
        for one in self.children:
            if one.name == name:
                return one
        raise KeyError(f"{self.name} has no {name}")

    def of(self, kind: str) -> tuple[Child, ...]:
        return tuple(one for one in self.children if one.kind == kind)


def types_of(text: str) -> Iterator[Type]:
    """Reads a table. Raises ValueError for a line that is none."""
    head: list[str] = []
    children: list[Child] = []
    for line in filter(str.strip, text.splitlines()):
        if line.startswith(" "):
            children.append(_child(line.split()))
            continue
        if head:
            yield _type(head, children)
        head, children = line.split(), []
    if head:
        yield _type(head, children)


def _type(words: list[str], children: list[Child]) -> Type:
    kind, number, name, base, *more = words
    if kind not in ("ObjectType", "VariableType"):
        raise ValueError(f"{words}: no type")
    data_type = next((word for word in more if word != "abstract"), NONE)
    return Type(kind, number, name, base, data_type, "abstract" in more, tuple(children))


def _child(words: list[str]) -> Child:
    match words:
        case ["State", number, name, value, number_id, rule]:
            return Child("State", number, name, rule, "0:2307", number=int(value), number_id=number_id)
        case ["Transition", number, name, value, number_id, source, target, cause, *effects]:
            return Child(
                "Transition", number, name, NONE, "0:2310", number=int(value), number_id=number_id,
                source=source, target=target, cause=cause, effects=tuple(effects),
            )  # fmt: skip
        case ["Method", number, name, rule, inputs, outputs]:
            return Child("Method", number, name, rule, inputs_id=inputs, outputs_id=outputs)
        case ["Object", number, name, rule, kind]:
            return Child("Object", number, name, rule, kind)
        case ["Variable" | "Property" as kind, number, name, rule, data_type, *of]:
            default = "0:68" if kind == "Property" else "0:63"
            is_array = data_type.endswith("[]")
            return Child(
                kind, number, name, rule, of[0] if of else default, data_type.removesuffix("[]"), is_array=is_array
            )
    raise ValueError(f"{words}: no node")
