"""Float32 matrix products of an exported graph, said with operators that every builder has for every GPU.

The flow state and distances stay in float32, and TensorRT for RTX has no float32 matrix product for Turing (SM75); its
convolutions and reductions it has. The values are the same up to the order of additions:

* one matrix for all places, from the left or the right: a convolution of 1 x 1 over the contracted axis;
* a matrix for every place: products and a sum, which is no slower there, as each matrix is used once per image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.errors import ExportError
from engines.training.release.graph_constants import drop_unused_constants


def without_float32_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without products of a float32 constant and a value of rank 4.

    Raises:
        ExportError: a float32 product has a constant of another shape.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for node in graph.node:  # the exporter says equal constants once, and Identity for the others
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        found = [constants.get(value) for value in node.input] if node.op_type == "MatMul" else []
        if not any(found):
            nodes.append(node)
            continue
        left, right = found
        tensor = left if left is not None else right
        assert tensor is not None
        matrix: NDArray[np.float32] = numpy_helper.to_array(tensor)
        if matrix.ndim == 2:
            added, weights = _as_convolution(node, matrix, from_left=left is not None)
        elif matrix.ndim == 4 and right is not None:
            added, weights = _as_sum(node, matrix)
        else:
            raise ExportError(f"{node.name} multiplies by a float32 constant of shape {matrix.shape}: not known here")
        nodes += added
        graph.initializer.extend(weights)
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused_constants(graph)
    return changed


def _as_convolution(
    node: onnx.NodeProto, matrix: NDArray[np.float32], *, from_left: bool
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """x (n, a, b, w) @ matrix (w, v), or matrix (v, w) @ x (n, a, w, b): the contracted axis becomes the channels."""
    there, back = ([0, 2, 1, 3], [0, 2, 1, 3]) if from_left else ([0, 3, 1, 2], [0, 2, 3, 1])
    kernel = (matrix if from_left else matrix.T)[:, :, np.newaxis, np.newaxis]
    name = node.name
    nodes = [
        helper.make_node("Transpose", [node.input[int(from_left)]], [f"{name}.in"], f"{name}/In", perm=there),
        helper.make_node("Conv", [f"{name}.in", f"{name}.kernel"], [f"{name}.out"], f"{name}/Conv"),
        helper.make_node("Transpose", [f"{name}.out"], list(node.output), f"{name}/Out", perm=back),
    ]
    return nodes, [numpy_helper.from_array(np.ascontiguousarray(kernel), f"{name}.kernel")]


def _as_sum(node: onnx.NodeProto, matrices: NDArray[np.float32]) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """x (h, w, n, d) @ matrices (h, w, d, e): (h, w, n, d, 1) * (h, w, 1, d, e), summed over d."""
    name = node.name
    nodes = [
        helper.make_node("Unsqueeze", [node.input[0], f"{name}.last"], [f"{name}.in"], f"{name}/In"),
        helper.make_node("Mul", [f"{name}.in", f"{name}.matrices"], [f"{name}.products"], f"{name}/Mul"),
        helper.make_node(
            "ReduceSum", [f"{name}.products", f"{name}.contracted"], list(node.output), f"{name}/Sum", keepdims=0
        ),
    ]
    constants: dict[str, NDArray[Any]] = {
        "last": np.array([-1], np.int64),
        "matrices": np.ascontiguousarray(matrices[:, :, np.newaxis]),
        "contracted": np.array([-2], np.int64),
    }
    return nodes, [numpy_helper.from_array(value, f"{name}.{key}") for key, value in constants.items()]
