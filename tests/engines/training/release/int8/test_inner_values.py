"""Values inside a graph: the same from wherever they are computed, and starts through which everything passes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.training.release.int8 import inner_values
from engines.training.release.int8.inner_values import IMAGE, InnerValues, starts

IMAGES = [np.full((2, 2, 3), value, np.uint8) for value in (3, 50)]


def graph() -> onnx.ModelProto:
    """A skip connection (f + h), then a second branch (k) that starts at the image again."""
    node = helper.make_node
    nodes = [
        node("Cast", [IMAGE], ["f"], to=TensorProto.FLOAT),
        node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        node("Mul", ["f", "two"], ["g"]),
        node("Sqrt", ["g"], ["h"]),
        node("Add", ["f", "h"], ["i"]),
        node("Mul", ["i", "three"], ["j"]),
        node("Cast", [IMAGE], ["k"], to=TensorProto.FLOAT),
        node("Neg", ["k"], ["l"]),
        node("Add", ["l", "j"], ["out"]),
    ]
    shape = [None, 2, 2, 3]
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.float32(3), "three")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def of(values: InnerValues, name: str) -> list[float]:
    return [float(value.flat[0]) for (value,) in values.at(graph(), [name])]


EXPECTED = {
    "h": [np.sqrt(6), 10],
    "i": [3 + np.sqrt(6), 60],
    "j": [9 + 3 * np.sqrt(6), 180],
    "l": [-3, -50],
    "out": [6 + 3 * np.sqrt(6), 130],
}


@pytest.mark.parametrize("start", [IMAGE, "f", "i", "j", "out"])
def test_the_values_do_not_depend_on_the_start(start: str) -> None:
    values = InnerValues(IMAGES, threads=1)
    values.start_at(graph(), start)
    for name, expected in EXPECTED.items():
        assert of(values, name) == pytest.approx(expected), name


def test_several_values_at_once() -> None:
    (first, _) = InnerValues(IMAGES, threads=1).at(graph(), ["l", "f"])
    assert [float(value.flat[0]) for value in first] == [-3, 3]


def test_a_kept_value_is_not_computed_again() -> None:
    values, other = InnerValues(IMAGES, threads=1), graph()
    values.start_at(graph(), "i")
    other.graph.node[3].op_type = "Neg"  # before it; behind it the same
    assert [float(value.flat[0]) for (value,) in values.at(other, ["j"])] == pytest.approx(EXPECTED["j"])


def test_what_is_too_much_to_keep_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner_values, "MAX_KEPT_BYTES", 2 * 12 * 4 - 1)
    values, other = InnerValues(IMAGES, threads=1), graph()
    values.start_at(graph(), "i")
    other.graph.node[3].op_type = "Neg"
    assert [float(value.flat[0]) for (value,) in values.at(other, ["j"])] == [-9, -150]


def test_starts_are_where_everything_passes() -> None:
    # g and h lie beside the skip connection; l is another branch, for which nothing of the first one helps.
    assert starts(graph(), ["g", "h", "i", "j"]) == {IMAGE: IMAGE, "g": "f", "h": "f", "i": "i", "j": "i"}
    found = starts(graph(), ["j", "l"])
    assert (found["j"], found["l"]) == ("i", "k")
