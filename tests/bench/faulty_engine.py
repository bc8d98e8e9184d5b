"""A real engine that misbehaves on some pictures: the pixel in the top left corner says how.

No part of the station is replaced: the fault happens inside ONNX Runtime, as it would with a bad model or a bad driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from tests.bench.engines.small_engine import write_small_engine

RAISES, NAN, HANGS = 1, 2, 3
ENDLESS_TURNS = 2**40
MATRIX = 512


def faulty(picture: NDArray[np.uint8], fault: int) -> NDArray[np.uint8]:
    """The picture with a fault written into its corner."""
    marked = picture.copy()
    marked[0, 0] = fault
    return marked


def write_faulty_engine(path: Path, *, width: int, height: int) -> Path:
    """The small engine, which raises, returns NaN or never returns when the corner says so."""
    plain = write_small_engine(path.with_name("plain-engine"), width=width, height=height)
    bundle = read_bundle(plain)
    model = onnx.load_from_string(bundle.model)
    _add_faults(model.graph)
    onnx.checker.check_model(model)
    write_bundle(path, draft=bundle.manifest, model=model.SerializeToString(), golden=list(bundle.golden))
    return path


def _add_faults(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.output[:] = ["plain_score" if name == "image_score" else name for name in node.output]
    constants: dict[str, NDArray[Any]] = {
        "corner_at": np.zeros(4, np.int64),
        "corner_to": np.ones(4, np.int64),
        "code_raises": np.array(RAISES, np.int64),
        "code_nan": np.array(NAN, np.int64),
        "code_hangs": np.array(HANGS, np.int64),
        "scalar": np.zeros(0, np.int64),
        "outside": np.array(10_000, np.int64),
        "zero": np.array(0, np.int64),
        "no_score": np.array(0, np.float32),
        "no_number": np.array(np.nan, np.float32),
        "table": np.zeros(1, np.float32),
        "endless_turns": np.array(ENDLESS_TURNS, np.int64),
        "go_on": np.array(True),
        "matrix": np.eye(MATRIX, dtype=np.float32),
        "last": np.array([MATRIX - 1, 0], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    turn = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "matrix"], ["after"]),
            helper.make_node("Identity", ["go_in"], ["go_out"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn_number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [MATRIX, MATRIX]),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [MATRIX, MATRIX]),
        ],
    )
    graph.node.extend(
        [
            helper.make_node("Slice", ["image", "corner_at", "corner_to"], ["corner"]),
            helper.make_node("Cast", ["corner"], ["corner_number"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["corner_number", "scalar"], ["code"]),
            *(
                helper.make_node("Equal", ["code", f"code_{fault}"], [f"is_{fault}"])
                for fault in ("raises", "nan", "hangs")
            ),
            helper.make_node("Where", ["is_raises", "outside", "zero"], ["index"]),
            helper.make_node("Gather", ["table", "index"], ["nothing"]),
            helper.make_node("Where", ["is_hangs", "endless_turns", "zero"], ["turns"]),
            helper.make_node("Loop", ["turns", "go_on", "matrix"], ["turned"], body=turn),
            helper.make_node("GatherND", ["turned", "last"], ["nothing_again"]),
            helper.make_node("Where", ["is_nan", "no_number", "no_score"], ["number"]),
            helper.make_node("Sum", ["plain_score", "nothing", "nothing_again", "number"], ["image_score"]),
        ]
    )
