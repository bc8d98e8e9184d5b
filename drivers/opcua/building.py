"""Makes the types of OPC 40100-1 in the address space of a server, from the facts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from asyncua import ua
from asyncua.common.structures104 import make_structure
from asyncua.server.address_space import AttributeValue
from asyncua.server.internal_server import InternalServer

from drivers.opcua.facts import NAMESPACE, NONE, PUBLISHED, VERSION, Child, Type
from drivers.opcua.vision_data import SIMPLE, STRUCTURES, TRI_STATE, Field, Structure, signature_of
from drivers.opcua.vision_types import STATES_OF_SYSTEM, TYPES

_RULES = {"M": 78, "O": 80, "P": 11508}
_REFERENCES = {"Property": 46, "Variable": 47, "Object": 47, "State": 47, "Transition": 47, "Method": 47}
_SUB_MACHINE, _FROM, _TO, _CAUSE, _EFFECT, _ENCODING, _SUBTYPE, _RULE = 117, 51, 52, 53, 54, 38, 45, 37
_OPERATIONAL = "5031"
"""The state of which the automatic mode is the inner machine."""

VARIANTS: dict[str, ua.VariantType] = {
    "0:1": ua.VariantType.Boolean,
    "0:5": ua.VariantType.UInt16,
    "0:6": ua.VariantType.Int32,
    "0:7": ua.VariantType.UInt32,
    "0:8": ua.VariantType.Int64,
    "0:9": ua.VariantType.UInt64,
    "0:11": ua.VariantType.Double,
    "0:12": ua.VariantType.String,
    "0:13": ua.VariantType.DateTime,
    "0:15": ua.VariantType.ByteString,
    "0:17": ua.VariantType.NodeId,
    "0:21": ua.VariantType.LocalizedText,
    "0:24": ua.VariantType.Variant,
    "0:290": ua.VariantType.Double,
    "0:294": ua.VariantType.DateTime,
    "3009": ua.VariantType.Int32,
    "3014": ua.VariantType.Int32,
    "3017": ua.VariantType.String,
    "3018": ua.VariantType.UInt32,
}
"""How a value of a data type travels; all others are structures."""


class AddressSpaceError(Exception):
    """A node cannot be made; the message says which."""


def variant_type(data_type: str) -> ua.VariantType:
    return VARIANTS.get(data_type, ua.VariantType.ExtensionObject)


class Nodes:
    """Makes nodes in one server. `vision`, `own`: indices of the namespaces of the specification and of the station."""

    def __init__(self, server: InternalServer, vision: int, own: int) -> None:
        self._server = server
        self.vision, self.own = vision, own
        self.structures: dict[str, type[Any]] = {}
        """Classes of the structures, by name."""

    def id_of(self, fact: str) -> ua.NodeId:
        """`0:58` of OPC UA itself, `own:Name` of the station, else a number of the specification."""
        if fact.startswith("0:"):
            return ua.NodeId(int(fact[2:]), 0)
        if fact.startswith("own:"):
            return self.own_id(fact[4:])
        return ua.NodeId(int(fact), self.vision)

    def own_id(self, path: str) -> ua.NodeId:
        """A node of this station, by its path."""
        return ua.NodeId(path, self.own)

    def add(
        self, node: ua.NodeId, parent: ua.NodeId, reference: int, name: ua.QualifiedName, kind: ua.NodeClass, *,
        attributes: Any, type_id: ua.NodeId | None = None,
    ) -> None:  # fmt: skip
        """Raises AddressSpaceError."""
        item = ua.AddNodesItem()
        item.RequestedNewNodeId, item.ParentNodeId, item.ReferenceTypeId = node, parent, ua.NodeId(reference)
        item.BrowseName, item.NodeClass = name, kind
        if type_id is not None:
            item.TypeDefinition = type_id
        attributes.DisplayName = ua.LocalizedText(name.Name)
        item.NodeAttributes = attributes
        result = self._server.node_mgt_service.add_nodes([item])[0]
        if not result.StatusCode.is_good():
            raise AddressSpaceError(f"{name.Name} ({node}): {result.StatusCode.name}")

    def refer(self, source: ua.NodeId, reference: int, target: ua.NodeId, kind: ua.NodeClass) -> None:
        """Both ways. Raises AddressSpaceError."""
        for start, end, forward in ((source, target, True), (target, source, False)):
            item = ua.AddReferencesItem()
            item.SourceNodeId, item.TargetNodeId, item.IsForward = start, end, forward
            item.ReferenceTypeId, item.TargetNodeClass = ua.NodeId(reference), kind
            status = self._server.node_mgt_service.add_references([item])[0]
            if not status.is_good():
                raise AddressSpaceError(f"{start} -> {end}: {status.name}")

    def rule(self, node: ua.NodeId, rule: str) -> None:
        if rule in _RULES:
            item = ua.AddReferencesItem()
            item.SourceNodeId, item.TargetNodeId, item.IsForward = node, ua.NodeId(_RULES[rule]), True
            item.ReferenceTypeId, item.TargetNodeClass = ua.NodeId(_RULE), ua.NodeClass.Object
            self._server.node_mgt_service.add_references([item])

    def variable(
        self, node: ua.NodeId, parent: ua.NodeId, name: ua.QualifiedName, *, data_type: ua.NodeId, value: ua.Variant,
        is_property: bool = False, type_id: ua.NodeId | None = None, is_array: bool = False,
    ) -> None:  # fmt: skip
        """Clients read it, none writes it."""
        attributes = ua.VariableAttributes()
        attributes.DataType, attributes.Value = data_type, value
        attributes.ValueRank = ua.ValueRank.OneDimension if is_array else ua.ValueRank.Scalar
        attributes.ArrayDimensions = [0] if is_array else None
        attributes.AccessLevel = attributes.UserAccessLevel = ua.AccessLevel.CurrentRead.mask
        attributes.Historizing = False
        reference, default = (46, ua.NodeId(68)) if is_property else (47, ua.NodeId(63))
        self.add(
            node, parent, reference, name, ua.NodeClass.Variable, attributes=attributes, type_id=type_id or default
        )

    def object(self, node: ua.NodeId, parent: ua.NodeId, name: ua.QualifiedName, type_id: ua.NodeId, *,
               reference: int = 47, notifies: bool = False) -> None:  # fmt: skip
        attributes = ua.ObjectAttributes()
        attributes.EventNotifier = 1 if notifies else 0
        self.add(node, parent, reference, name, ua.NodeClass.Object, attributes=attributes, type_id=type_id)

    def method(
        self, node: ua.NodeId, parent: ua.NodeId, name: str, *, arguments: tuple[ua.NodeId, ua.NodeId], fact_id: str,
        executable: bool,
    ) -> None:  # fmt: skip
        """With its arguments under these ids."""
        attributes = ua.MethodAttributes()
        attributes.Executable = attributes.UserExecutable = executable
        self.add(node, parent, 47, ua.QualifiedName(name, self.vision), ua.NodeClass.Method, attributes=attributes)
        for fields, place, argument in zip(
            signature_of(name, fact_id), arguments, ("InputArguments", "OutputArguments"), strict=True
        ):
            if fields:
                value = ua.Variant([self._argument(one) for one in fields], ua.VariantType.ExtensionObject)
                self.variable(
                    place,
                    node,
                    ua.QualifiedName(argument, 0),
                    data_type=ua.NodeId(296),
                    value=value,
                    is_property=True,
                    is_array=True,
                )

    def _argument(self, field: Field) -> ua.Argument:
        rank = 1 if field.is_array else -1
        return ua.Argument(field.name, self.id_of(field.type), rank, [0] if field.is_array else [])

    # ---- types ---------------------------------------------------------------------------------------------------

    def build_types(self) -> None:
        """All types of the specification that a station has."""
        self._data_types()
        for kind in _in_order():
            self._type(kind)
        for kind in TYPES.values():
            for child in kind.children:
                self._child(kind, child)
        for child in STATES_OF_SYSTEM.children:
            self._child(STATES_OF_SYSTEM, child)
        for kind in TYPES.values():
            for one in kind.of("Transition"):
                self._transition(one)
        self.refer(self.id_of(_OPERATIONAL), _SUB_MACHINE, self.id_of("5024"), ua.NodeClass.Object)
        self._metadata()

    def _type(self, kind: Type) -> None:
        name = ua.QualifiedName(kind.name, self.vision)
        node, base = self.id_of(kind.id), self.id_of(kind.base)
        if kind.kind == "ObjectType":
            attributes: Any = ua.ObjectTypeAttributes()
            attributes.IsAbstract = kind.is_abstract
            self.add(node, base, _SUBTYPE, name, ua.NodeClass.ObjectType, attributes=attributes)
            return
        attributes = ua.VariableTypeAttributes()
        attributes.IsAbstract = kind.is_abstract
        attributes.DataType, attributes.ValueRank = self.id_of(kind.data_type), ua.ValueRank.Scalar
        self.add(node, base, _SUBTYPE, name, ua.NodeClass.VariableType, attributes=attributes)

    def _child(self, kind: Type, child: Child) -> None:
        node, parent = self.id_of(child.id), self.id_of(kind.id)
        name = ua.QualifiedName(child.name, self.vision)
        match child.kind:
            case "Method":
                arguments = [self.id_of("0:0") if one == NONE else self.id_of(one) for one in
                             (child.inputs_id, child.outputs_id)]  # fmt: skip
                self.method(
                    node, parent, child.name, arguments=(arguments[0], arguments[1]), fact_id=child.id, executable=True
                )
            case "State" | "Transition":
                self.object(node, parent, name, self.id_of(child.type))
                number = "StateNumber" if child.kind == "State" else "TransitionNumber"
                self.number(self.id_of(child.number_id), node, number, child.number)
            case "Object":
                self.object(node, parent, name, self.id_of(child.type))
            case _:
                value = ua.Variant(None, ua.VariantType.Null)
                self.variable(
                    node, parent, name, data_type=self.id_of(child.data_type), value=value,
                    type_id=self.id_of(child.type),
                    is_property=child.kind == "Property", is_array=child.is_array,
                )  # fmt: skip
        self.rule(node, child.rule)

    def number(self, node: ua.NodeId, parent: ua.NodeId, name: str, value: int) -> None:
        """Of a state or a transition."""
        variant = ua.Variant(value, ua.VariantType.UInt32)
        self.variable(node, parent, ua.QualifiedName(name, 0), data_type=ua.NodeId(7), value=variant, is_property=True)
        self.rule(node, "M")

    def _transition(self, one: Child) -> None:
        node = self.id_of(one.id)
        self.refer(node, _FROM, self.id_of(one.source), ua.NodeClass.Object)
        self.refer(node, _TO, self.id_of(one.target), ua.NodeClass.Object)
        if one.cause != NONE:
            self.refer(node, _CAUSE, self.id_of(one.cause), ua.NodeClass.Method)
        for effect in one.effects:
            self.refer(node, _EFFECT, self.id_of(effect), ua.NodeClass.ObjectType)

    # ---- data types ----------------------------------------------------------------------------------------------

    def _data_types(self) -> None:
        for number, name, base in SIMPLE:
            self._data_type(number, name, base, is_abstract=False)
            ua.basetype_by_datatype[self.id_of(number)] = variant_type(number).name
        number, name, values_id, names = TRI_STATE
        self._data_type(number, name, "0:29", is_abstract=False)
        definition = ua.EnumDefinition()
        definition.Fields = [
            ua.EnumField(Value=value, DisplayName=ua.LocalizedText(text), Name=f"{text}_{value}")
            for value, text in enumerate(names)
        ]
        self._define(number, definition)
        values = [
            ua.EnumValueType(value, ua.LocalizedText(f"{text}_{value}"), ua.LocalizedText())
            for value, text in enumerate(names)
        ]
        variant = ua.Variant(values, ua.VariantType.ExtensionObject)
        self.variable(
            self.id_of(values_id), self.id_of(number), ua.QualifiedName("EnumValues", 0), data_type=ua.NodeId(7594),
            value=variant,
            is_property=True, is_array=True,
        )  # fmt: skip
        for structure in STRUCTURES.values():
            self.structure(structure, self.id_of(structure.id), self.id_of(structure.encoding_id), self.vision)

    def structure(self, of: Structure, node: ua.NodeId, encoding: ua.NodeId, namespace: int) -> None:
        """A data type, its binary encoding, and the class that carries its values."""
        attributes = ua.DataTypeAttributes()
        attributes.IsAbstract = of.is_abstract
        name = ua.QualifiedName(of.name, namespace)
        self.add(node, self.id_of(of.base), _SUBTYPE, name, ua.NodeClass.DataType, attributes=attributes)
        self.object(encoding, node, ua.QualifiedName("Default Binary", 0), ua.NodeId(76), reference=_ENCODING)
        definition = ua.StructureDefinition()
        definition.BaseDataType, definition.DefaultEncodingId = self.id_of(of.base), encoding
        definition.StructureType = (
            ua.StructureType.StructureWithOptionalFields if of.has_optional_fields else ua.StructureType.Structure
        )
        definition.Fields = [
            ua.StructureField(
                Name=one.name, DataType=self.id_of(one.type), ValueRank=1 if one.is_array else -1,
                ArrayDimensions=[0] if one.is_array else [], IsOptional=one.is_optional,
            )
            for one in of.fields
        ]  # fmt: skip
        self._define_node(node, definition)
        made = make_structure(node, of.name, definition)[of.name]
        ua.register_extension_object(of.name, encoding, made, node)
        self.structures[of.name] = made

    def _data_type(self, number: str, name: str, base: str, *, is_abstract: bool) -> None:
        attributes = ua.DataTypeAttributes()
        attributes.IsAbstract = is_abstract
        browse_name = ua.QualifiedName(name, self.vision)
        self.add(
            self.id_of(number), self.id_of(base), _SUBTYPE, browse_name, ua.NodeClass.DataType, attributes=attributes
        )

    def _define(self, number: str, definition: Any) -> None:
        self._define_node(self.id_of(number), definition)

    def _define_node(self, node: ua.NodeId, definition: Any) -> None:
        value = ua.DataValue(ua.Variant(definition, ua.VariantType.ExtensionObject))
        self._server.aspace[node].attributes[ua.AttributeIds.DataTypeDefinition] = AttributeValue(value)

    def _metadata(self) -> None:
        """What the server says of the namespace: the version, and that it has not all of it."""
        published = datetime.fromisoformat(f"{PUBLISHED}T10:18:27").replace(tzinfo=timezone.utc)
        node = self.id_of("5009")
        self.object(node, ua.NodeId(11715), ua.QualifiedName(NAMESPACE, self.vision), ua.NodeId(11616))
        for number, name, kind, value in (
            ("6549", "IsNamespaceSubset", "0:1", True),
            ("6552", "NamespacePublicationDate", "0:13", published),
            ("6553", "NamespaceUri", "0:12", NAMESPACE),
            ("6554", "NamespaceVersion", "0:12", VERSION),
        ):
            variant = ua.Variant(value, variant_type(kind))
            self.variable(
                self.id_of(number),
                node,
                ua.QualifiedName(name, 0),
                data_type=self.id_of(kind),
                value=variant,
                is_property=True,
            )


def _in_order() -> list[Type]:
    """A base before what is derived from it."""
    done: list[Type] = []
    waiting = list(TYPES.values())
    while waiting:
        known = {one.id for one in done}
        now = [one for one in waiting if one.base.startswith("0:") or one.base in known]
        if not now:
            raise AddressSpaceError(f"{', '.join(one.name for one in waiting)}: bases that do not exist")
        done += now
        waiting = [one for one in waiting if one not in now]
    return done
