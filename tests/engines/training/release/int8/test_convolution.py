"""A convolution read from a graph is the matrix product that it says it is; its replacement is nearly the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.training.release.int8.convolution import Convolution, Places

CASES: dict[str, dict[str, Any]] = {
    "pointwise": {"kernel_shape": [1, 1]},
    "padded": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "more at the end": {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "strides": [2, 2]},
    "wide": {"kernel_shape": [5, 3], "pads": [2, 1, 2, 1], "strides": [1, 2]},
    "dilated": {"kernel_shape": [3, 3], "dilations": [2, 3]},
    "grouped": {"kernel_shape": [3, 3], "group": 2, "pads": [1, 1, 1, 1]},
}
CHANNELS, OUTPUTS = 8, 6
VALUES = np.random.default_rng(1).normal(size=(4, CHANNELS, 13, 11)).astype(np.float32)


def model(options: dict[str, Any], weights: TensorProto | None = None) -> onnx.ModelProto:
    shape = OUTPUTS, CHANNELS // options.get("group", 1), *options["kernel_shape"]
    constants = [
        weights or numpy_helper.from_array(np.random.default_rng(0).normal(size=shape).astype(np.float32), "w"),
        numpy_helper.from_array(np.arange(OUTPUTS, dtype=np.float32), "b"),
    ]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"], **options)],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, CHANNELS, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def read(of: onnx.ModelProto) -> Convolution | None:
    return Convolution.of(of.graph.node[0], {tensor.name: tensor for tensor in of.graph.initializer})


def output(of: onnx.ModelProto) -> NDArray[np.float32]:
    session = ort.InferenceSession(of.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": VALUES})[0])


def every_place(of: NDArray[np.float32]) -> Places:
    image, row, column = (each.ravel() for each in np.indices((len(of), *of.shape[2:])))
    return image, row, column


@pytest.mark.parametrize("case", CASES)
def test_its_columns_times_its_weights_are_its_output(case: str) -> None:
    convolution, expected = read(model(CASES[case])), output(model(CASES[case]))
    assert convolution is not None
    image, row, column = places = every_place(expected)
    columns = convolution.columns(VALUES, places)
    by_group = convolution.weights.reshape(convolution.groups, OUTPUTS // convolution.groups, -1)
    found = np.concatenate([columns[:, group] @ weights.T for group, weights in enumerate(by_group)], axis=1)
    np.testing.assert_allclose(found + np.arange(OUTPUTS), expected[image, :, row, column], atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_in_8_bits_it_computes_nearly_the_same(case: str) -> None:
    changed, expected = model(CASES[case]), output(model(CASES[case]))
    convolution = read(changed)
    assert convolution is not None
    image, row, column = places = every_place(expected)
    convolution.put_in_8_bits(
        changed.graph,
        largest=float(np.abs(VALUES).max()),
        inputs=convolution.columns(VALUES, places),
        wanted=expected[image, :, row, column],
    )
    onnx.checker.check_model(changed, full_check=True)
    assert [node.op_type for node in changed.graph.node] == [
        "QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "Conv"
    ]  # fmt: skip
    difference = output(changed) - expected
    assert 0 < np.abs(difference).max() < 0.05 * np.abs(expected).max()
    assert np.abs(difference.mean(axis=(0, 2, 3))).max() < 0.01


def test_what_it_cannot_take_over_is_left_alone() -> None:
    options = CASES["pointwise"]
    assert read(model({**options, "auto_pad": "SAME_UPPER"})) is None
    half = numpy_helper.from_array(np.zeros((OUTPUTS, CHANNELS, 1, 1), np.float16), "w")
    assert read(model(options, half)) is None
    assert Convolution.of(model(options).graph.node[0], {}) is None  # the weights are computed
    assert Convolution.of(helper.make_node("Clip", ["x", "w"], ["y"]), {"w": half}) is None


def test_depthwise_ones_and_colours_are_not_dense() -> None:
    dense = read(model(CASES["padded"]))
    depthwise = read(model({**CASES["padded"], "group": CHANNELS}))
    assert dense is not None
    assert depthwise is not None
    assert dense.is_dense
    assert not depthwise.is_dense
