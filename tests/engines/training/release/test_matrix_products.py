"""Float32 products as convolutions and sums: the same values, and none of the products left."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.errors import ExportError
from engines.training.release.export import export_onnx
from engines.training.release.matrix_products import without_float32_products
from tests.engines.detectors.test_detectors import SPEC, trained

SHAPE = (2, 3, 4, 5)
"""Of the value that is multiplied."""


def graph_of(*inputs: str, constant: np.ndarray, identity: bool = False) -> onnx.ModelProto:
    nodes = [helper.make_node("MatMul", list(inputs), ["y"], "product")]
    if identity:
        nodes.insert(0, helper.make_node("Identity", ["c0"], ["c"], "same"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("abcd"))],
        [numpy_helper.from_array(constant.astype(np.float32), "c0" if identity else "c")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    (y,) = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    return np.asarray(y)


@pytest.mark.parametrize(
    ("inputs", "shape", "identity"),
    [
        (("x", "c"), (5, 7), False),
        (("c", "x"), (6, 4), False),
        (("x", "c"), (2, 3, 5, 5), False),
        (("c", "x"), (6, 4), True),
    ],
    ids=["from the right", "from the left", "one for every place", "a constant said once for two"],
)
def test_the_values_stay(inputs: tuple[str, str], shape: tuple[int, ...], identity: bool) -> None:
    rng = np.random.default_rng(0)
    model = graph_of(*inputs, constant=rng.normal(size=shape), identity=identity)
    changed = without_float32_products(model)
    onnx.checker.check_model(changed)
    assert all(node.op_type != "MatMul" for node in changed.graph.node)
    x = rng.normal(size=SHAPE).astype(np.float32)
    expected, found = run(model, x), run(changed, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ExportError, match=r"product multiplies by a float32 constant of shape \(3, 5, 5\)"):
        without_float32_products(graph_of("x", "c", constant=np.zeros((3, 5, 5))))


@pytest.mark.parametrize("name", ["memory", "spatial"])
def test_the_half_precision_graph_has_none_and_casts_first(name: str) -> None:
    graph = onnx.load_from_string(export_onnx(trained(name), SPEC, "float16")).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            assert TensorProto.FLOAT not in [types.get(value) for value in node.input], node.name
        if "image" in node.input:
            assert node.op_type in ("Cast", "Shape"), f"{node.name}: TensorRT takes 8 bits in a cast only"
