"""A payload of Sparkplug B as bytes, and back.

The message types are declared here by their field numbers (Eclipse Sparkplug 3.0, 6.4): protobuf needs no schema file
for that. Fields that a station neither sends nor reads (data sets, templates, properties) are left out; protobuf skips
them in what it reads.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from drivers.mqtt.messages import DataType, Metric, Payload, PayloadError, Value

MAX_BYTES = 64 * 1024
"""Of what others send; a command has a few metrics."""
MAX_METRICS = 512

_Field = descriptor_pb2.FieldDescriptorProto
_METRIC_FIELDS = (
    ("name", 1, _Field.TYPE_STRING),
    ("alias", 2, _Field.TYPE_UINT64),
    ("timestamp", 3, _Field.TYPE_UINT64),
    ("datatype", 4, _Field.TYPE_UINT32),
    ("is_historical", 5, _Field.TYPE_BOOL),
    ("is_null", 7, _Field.TYPE_BOOL),
)
_VALUE_FIELDS = (
    ("int_value", 10, _Field.TYPE_UINT32),
    ("long_value", 11, _Field.TYPE_UINT64),
    ("float_value", 12, _Field.TYPE_FLOAT),
    ("double_value", 13, _Field.TYPE_DOUBLE),
    ("boolean_value", 14, _Field.TYPE_BOOL),
    ("string_value", 15, _Field.TYPE_STRING),
)
_FIELD_OF = {
    DataType.INT32: "int_value",
    DataType.INT64: "long_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    DataType.STRING: "string_value",
}
_BITS = {"int_value": 32, "long_value": 64}


def _declared() -> type[Any]:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="station.sparkplug", syntax="proto2")
    payload = file.message_type.add(name="Payload")
    metric = payload.nested_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for name, number, kind in _METRIC_FIELDS:
        metric.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
    for name, number, kind in _VALUE_FIELDS:
        metric.field.add(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL, oneof_index=0)
    payload.field.add(name="timestamp", number=1, type=_Field.TYPE_UINT64, label=_Field.LABEL_OPTIONAL)
    payload.field.add(
        name="metrics", number=2, type=_Field.TYPE_MESSAGE, label=_Field.LABEL_REPEATED,
        type_name=".station.sparkplug.Payload.Metric",
    )  # fmt: skip
    payload.field.add(name="seq", number=3, type=_Field.TYPE_UINT64, label=_Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName("station.sparkplug.Payload"))
    return message


_Payload = _declared()


def encode(payload: Payload, types: dict[int, DataType]) -> bytes:
    """The bytes of a message. `types`: of the metrics by alias, for data, which do not repeat what the birth said.

    Raises ValueError for a value that its type cannot hold, KeyError for an alias without a type.
    """
    message = _Payload()
    if payload.time_ms is not None:
        message.timestamp = payload.time_ms
    if payload.seq is not None:
        message.seq = payload.seq
    for metric in payload.metrics:
        _put(message.metrics.add(), metric, types)
    return bytes(message.SerializeToString())


def decode(data: bytes) -> Payload:
    """What somebody else sent. Raises PayloadError."""
    if len(data) > MAX_BYTES:
        raise PayloadError(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    message = _Payload()
    try:
        message.ParseFromString(data)
    except DecodeError as problem:
        raise PayloadError(f"no payload of Sparkplug B: {problem}") from problem
    if len(message.metrics) > MAX_METRICS:
        raise PayloadError(f"{len(message.metrics)} metrics, at most {MAX_METRICS} are read")
    return Payload(
        message.timestamp if message.HasField("timestamp") else None,
        tuple(_taken(metric) for metric in message.metrics),
        message.seq if message.HasField("seq") else None,
    )


def _put(message: Any, metric: Metric, types: dict[int, DataType]) -> None:
    if metric.name is not None:
        message.name = metric.name
    if metric.alias is not None:
        message.alias = metric.alias
    if metric.time_ms is not None:
        message.timestamp = metric.time_ms
    if metric.type is not None:
        message.datatype = int(metric.type)
    if metric.historical:
        message.is_historical = True
    if metric.value is None:
        message.is_null = True
        return
    kind = metric.type if metric.type is not None or metric.alias is None else types[metric.alias]
    if kind is None:
        raise ValueError(f"metric {metric.name}: a value without a type")
    _put_value(message, kind, metric.value)


def _put_value(message: Any, kind: DataType, value: Value) -> None:
    field = _FIELD_OF[kind]
    bits = _BITS.get(field)
    if bits is None:
        setattr(message, field, value)
        return
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number, as {kind.name} needs")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"{value} does not fit into {kind.name}")
    setattr(message, field, value & ((1 << bits) - 1))  # the field has no sign: two's complement


def _taken(message: Any) -> Metric:
    kind = DataType(message.datatype) if message.datatype in list(DataType) else None
    field = message.WhichOneof("value")
    value: Value = None if field is None or message.is_null else getattr(message, field)
    bits = None if kind is None else _BITS.get(_FIELD_OF[kind])
    if bits is not None and isinstance(value, int) and not isinstance(value, bool) and value >> (bits - 1):
        value -= 1 << bits
    return Metric(
        message.name if message.HasField("name") else None,
        message.alias if message.HasField("alias") else None,
        message.timestamp if message.HasField("timestamp") else None,
        kind,
        value,
        message.is_historical,
    )
