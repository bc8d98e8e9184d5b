"""Whether an ONNX graph brings all its weights with it.

A tensor of ONNX may name a file beside the model, or anywhere on the computer, that holds its values ("external data").
No manifest has the hash of that file, so it could decide later what passes; runtimes up to ONNX Runtime 1.23 read any
path. An engine is one file a graph: every such tensor is refused, in every graph, subgraph and function.

The daemon does not load the package `onnx`, and to find these tensors takes only the frame of the protocol buffer:
https://protobuf.dev/programming-guides/encoding, field numbers from onnx.proto (IR version 13). A test compares the
table below with the descriptors of the installed package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engines.errors import BundleError

MAX_FIELDS = 2_000_000
"""Graphs of engines have some thousands; what has more would only keep us busy."""

MESSAGES: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        **{5: "TensorProto", 10: "TensorProto", 22: "SparseTensorProto", 23: "SparseTensorProto"},
        **{6: "GraphProto", 11: "GraphProto"},
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
"""Message -> its fields that lead to a tensor, with their messages."""
NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14
"""Fields of a TensorProto. Without the second the third is 0, and values are inside."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ORT_FORMAT = b"ORTM"
"""At byte 4 of the other format that ONNX Runtime takes, of which nothing here knows."""


class _Malformed(Exception):
    pass


def check_self_contained(model: bytes, where: str) -> None:
    """Pass a serialised ONNX model whose tensors all have their values inside.

    Raises:
        BundleError: a tensor has them outside, or this is no ONNX model; `where` begins the message.
    """
    if model[4:8] == _ORT_FORMAT:
        raise BundleError(f"{where}: in ONNX Runtime's own format; only ONNX is allowed, teach the engine again")
    view = memoryview(model)
    todo = [("ModelProto", 0, len(model))]
    left = MAX_FIELDS
    try:
        while todo:
            message, start, end = todo.pop()
            fields = MESSAGES[message]
            for number, kind, begin, stop in _fields(view, start, end):
                left -= 1
                if left < 0:
                    raise _Malformed(f"more than {MAX_FIELDS} fields")
                if number in fields:
                    if kind != _BYTES:
                        raise _Malformed(f"field {number} of {message} is no message")
                    todo.append((fields[number], begin, stop))
                elif message == "TensorProto" and (
                    number == EXTERNAL_DATA or (number == DATA_LOCATION and bytes(view[begin:stop]).strip(b"\x80\0"))
                ):
                    raise BundleError(
                        f'{where}: tensor "{_name(view, start, end)}" has its values in another file, which no hash '
                        "covers; save the model with its weights inside"
                    )
    except _Malformed as problem:
        raise BundleError(f"{where}: not an ONNX model ({problem}); teach the engine again or restore it") from problem


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, begin, end) of each field of the message in view[start:end]."""
    position = start
    while position < end:
        tag, begin = _varint(view, position, end)
        kind = tag & 7
        if kind == _BYTES:
            length, begin = _varint(view, begin, end)
            position = begin + length
        elif kind == _VARINT:
            _, position = _varint(view, begin, end)
        elif kind in (_FIXED64, _FIXED32):
            position = begin + (8 if kind == _FIXED64 else 4)
        else:
            raise _Malformed(f"wire type {kind} at byte {begin}")
        if position > end:
            raise _Malformed(f"cut off at byte {end}")
        yield tag >> 3, kind, begin, position


def _varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = 0
    for count, byte in enumerate(view[position : min(end, position + 10)]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise _Malformed(f"no number at byte {position}")


def _name(view: memoryview, start: int, end: int) -> str:
    names = (bytes(view[begin:stop]) for number, kind, begin, stop in _fields(view, start, end) if number == NAME)
    return ascii(next(names, b"")[:60].decode("utf-8", "replace"))[1:-1]
