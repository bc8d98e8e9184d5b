"""The part of an engine's graph that suggests kinds of defects, read and written without PyTorch.

An exported graph of the default detector has, inside, the whitened features of each stream and the map that the score
follows from. From these two the same formulas as in `engines.detectors.kinds` give what the hottest cells look like,
and from that the output `kinds`:

    image ─► ... ─► whitened features ─┬─► ... ─► map ─┬─► image_score, anomaly_map        copied byte for byte
                                       └──► look ◄─────┘
                                             └─► cosines with the means ─► kinds           written here

So a graph gets kinds whether it had some before or not, in every precision: whitened features, maps and scores are
float32 in all of them. Sums stand in place of products, as in the graph of a teaching: TensorRT for RTX has no float32
matrix product for Turing.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.bundle.manifest import MapSpec
from engines.detectors.without_torch import HOTTEST_SHARE, STRETCH, TINY
from engines.errors import ExportError
from engines.runtimes.signature import KINDS, OUTPUTS

PREFIX = "kinds."
"""Of the names of all values that are written here."""
LOOK = f"{PREFIX}look"
"""(n, dim): what the hottest cells look like."""
_MEAN = re.compile(r"detector\.whitenings\.(?P<stream>.+)\.mean")
_CELLS_FIRST = [2, 0, 1, 3]
"""The transposition that ends a whitening: (rows, columns, n, dim) to (n, rows, columns, dim)."""
_LONGEST_WAY = 12
"""Nodes between two values that belong together."""


@dataclass(frozen=True)
class _Stream:
    """A whitened feature map of the graph."""

    features: str
    """(n, rows, columns, dim), before it is whitened."""
    whitened: str
    rows: int
    columns: int
    dim: int

    @property
    def size(self) -> int:
        return self.rows * self.columns * self.dim


def with_kinds(model: bytes, common: NDArray[np.float32], means: NDArray[np.float32], size: MapSpec) -> bytes:
    """The graph with these kinds in place of those that it has, if any.

    Args:
        model: exported by a teaching, or made here.
        common: (dim,).
        means: (kinds, dim).
        size: of its map.

    Raises:
        ExportError: there are no whitened features inside it, or the result is not valid or scores in another way.
    """
    changed = scoring_part(onnx.load_from_string(model))
    before = _sha256(changed)
    writer = _Writer(changed.graph)
    look = _write_look(changed.graph, writer, size)
    off = writer.node("Sub", [look, writer.constant("common", common)])
    unit = writer.node("Unsqueeze", [writer.node("Div", [off, _length(writer, off)]), writer.whole("one", [1])])
    products = writer.node("Mul", [unit, writer.constant("means", means)])
    writer.node("ReduceSum", [products, writer.whole("last", [-1])], named=KINDS, keepdims=0)
    changed.graph.output.append(helper.make_tensor_value_info(KINDS, TensorProto.FLOAT, ["n", len(means)]))
    made = _checked(changed)
    if scoring_sha256(made) != before:
        raise ExportError("the graph with other kinds scores in another way; nothing was written, report this")
    return made


def with_looks(model: bytes, size: MapSpec) -> tuple[bytes, str]:
    """A graph that gives `LOOK` alone and, under the returned name, its coarsest features (n, rows, columns, dim).

    These are what images are compared with as a whole. Raises ExportError, see `with_kinds`.
    """
    changed = scoring_part(onnx.load_from_string(model))
    graph = changed.graph
    streams = _streams(graph)
    _write_look(graph, _Writer(graph), size)
    coarsest = min(streams, key=lambda stream: stream.size)
    del graph.output[:]
    dim = sum(stream.dim for stream in streams)
    shape: list[str | int | None] = ["n", coarsest.rows, coarsest.columns, coarsest.dim]
    graph.output.append(helper.make_tensor_value_info(LOOK, TensorProto.FLOAT, ["n", dim]))
    graph.output.append(helper.make_tensor_value_info(coarsest.features, TensorProto.FLOAT, shape))
    return _checked(changed), coarsest.features


def scoring_sha256(model: bytes) -> str:
    """Over everything in a graph that scores and maps come from, to the byte: two graphs with the same judge alike."""
    return _sha256(scoring_part(onnx.load_from_string(model)))


def _sha256(part: onnx.ModelProto) -> str:
    return hashlib.sha256(part.SerializeToString(deterministic=True)).hexdigest()


def scoring_part(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without what only `kinds` comes from."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    needed, nodes = set(OUTPUTS), list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(_reads(node))
    kept = [
        (graph.node, nodes[::-1]),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed]),
        (graph.value_info, [value for value in graph.value_info if value.name in needed]),
        (graph.output, [value for value in graph.output if value.name in OUTPUTS]),
    ]
    for field, values in kept:
        del field[:]
        field.extend(values)
    return part


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, also inside its subgraphs."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)


def _streams(graph: onnx.GraphProto) -> list[_Stream]:
    """The whitened feature maps, in their order. Raises ExportError: there are none."""
    means = {tensor.name: tensor for tensor in graph.initializer if _MEAN.fullmatch(tensor.name)}
    found = []
    for node in graph.node:
        mean = means.get(node.input[1]) if node.op_type == "Sub" and len(node.input) == 2 else None
        if mean is not None and len(mean.dims) == 3:
            found.append(_Stream(node.input[0], _whitened(graph, node), *mean.dims))
    if not found:
        raise ExportError(
            "its graph has no whitened features of cells, so nothing in it says what a place looks like: detectors "
            "memory and differnet, and engines of other software, learn no kinds; teach one with --detector spatial"
        )
    return found


def _whitened(graph: onnx.GraphProto, residual: onnx.NodeProto) -> str:
    """What becomes of the residual of a stream: product with the whitening, then images first again."""
    value = residual.output[0]
    for _ in range(_LONGEST_WAY):
        readers = [node for node in graph.node if value in node.input]
        ends = [node for node in readers if node.op_type == "Transpose" and _perm(node) == _CELLS_FIRST]
        if ends:
            return str(ends[0].output[0])
        if len(readers) != 1:
            break
        value = readers[0].output[0]
    raise ExportError(f"its graph whitens {residual.name} in a way that is not known here; teach the engine anew")


def _perm(node: onnx.NodeProto) -> list[int]:
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), [])


def _cells_of_map(graph: onnx.GraphProto) -> str:
    """(n, cells): the map that the score follows from, of whose hottest cells it is made. Raises ExportError."""
    made_by = {name: node for node in graph.node for name in node.output}
    value = OUTPUTS[0]
    for _ in range(_LONGEST_WAY):
        node = made_by.get(value)
        if node is None or not node.input:
            break
        value = node.input[0]
        if node.op_type == "TopK":
            return str(value)
    raise ExportError("its image score does not follow from its map, so no cells stand for a defect; teach it anew")


def _write_look(graph: onnx.GraphProto, writer: _Writer, size: MapSpec) -> str:
    """Adds what the hottest cells look like; see `engines.detectors.kinds.look`. Raises ExportError."""
    streams = _streams(graph)
    cells, dim = size.height * size.width, sum(stream.dim for stream in streams)
    on_map = [_on_map(writer, stream, size) for stream in streams]
    joined = on_map[0] if len(on_map) == 1 else writer.node("Concat", on_map, axis=3)
    z = writer.node("Reshape", [joined, writer.whole("cells", [-1, cells, dim])])
    length = _length(writer, z)
    per_root = writer.node("Div", [length, writer.constant("root", np.float32(math.sqrt(dim)))])
    log = writer.node("Log", [writer.node("Add", [per_root, writer.constant("unit", np.float32(1))])])
    stretched = writer.node("Mul", [log, writer.constant("stretch", np.float32(STRETCH))])
    compression = writer.node("Div", [stretched, length])

    flat = _cells_of_map(graph)
    count = math.ceil(cells * HOTTEST_SHARE)
    hottest = writer.node("TopK", [flat, writer.whole("hottest", [count])], outputs=2, axis=1)
    bounds = [writer.whole(name, [value]) for name, value in (("from", count - 1), ("to", count), ("axis", 1))]
    coldest = writer.node("Slice", [hottest, *bounds])
    among = writer.node("Cast", [writer.node("GreaterOrEqual", [flat, coldest])], to=TensorProto.FLOAT)
    total = writer.node("ReduceSum", [among, writer.whole("one", [1])], keepdims=1)
    share = writer.node("Unsqueeze", [writer.node("Div", [among, total]), writer.whole("last", [-1])])
    weighed = writer.node("Mul", [z, writer.node("Mul", [share, compression])])
    return writer.node("ReduceSum", [weighed, writer.whole("one", [1])], named=LOOK, keepdims=0)


def _length(writer: _Writer, vectors: str) -> str:
    """Of the vectors along the last axis, which stays with size 1."""
    squares = writer.node("Mul", [vectors, vectors])
    total = writer.node("ReduceSum", [squares, writer.whole("last", [-1])], keepdims=1)
    return writer.node("Sqrt", [writer.node("Max", [total, writer.constant("tiny", np.float32(TINY))])])


def _on_map(writer: _Writer, stream: _Stream, size: MapSpec) -> str:
    """The whitened features of a stream at the size of the map, interpolated as the detector does."""
    if (stream.rows, stream.columns) == (size.height, size.width):
        return stream.whitened
    channels = writer.node("Transpose", [stream.whitened], perm=[0, 3, 1, 2])
    bounds = [writer.whole(name, [value]) for name, value in (("first", 0), ("two", 2), ("first", 0))]
    kept = writer.node("Slice", [writer.node("Shape", [channels]), *bounds])
    shape = writer.node("Concat", [kept, writer.whole("size", [size.height, size.width])], axis=0)
    resized = writer.node(
        "Resize", [channels, "", "", shape], mode="linear", coordinate_transformation_mode="half_pixel"
    )
    return writer.node("Transpose", [resized], perm=[0, 2, 3, 1])


class _Writer:
    """Adds nodes and constants to a graph, under names of its own; a constant of the same name once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants: set[str] = set()
        self._nodes = 0

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """The value under this name."""
        full = f"{PREFIX}{name}"
        if full not in self._constants:
            self._constants.add(full)
            self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), full))
        return full

    def whole(self, name: str, values: Sequence[int]) -> str:
        """Whole numbers under this name: axes, bounds, shapes."""
        return self.constant(f"{name}_", np.array(values, np.int64))

    def node(self, operation: str, inputs: Sequence[str], *, named: str = "", outputs: int = 1, **how: Any) -> str:
        """The first output of a new node."""
        self._nodes += 1
        first = named or f"{PREFIX}{operation}_{self._nodes}"
        names = [first, *(f"{first}_{number}" for number in range(1, outputs))]
        self._graph.node.append(helper.make_node(operation, inputs, names, f"/kinds/{operation}_{self._nodes}", **how))
        return first


def _checked(model: onnx.ModelProto) -> bytes:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph with other kinds is not valid: {error}") from error
    return bytes(model.SerializeToString())
