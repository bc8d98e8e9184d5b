"""The code that builds plans, run for real with the one builder that needs no GPU: that of TensorRT for RTX.

It is another product than TensorRT with the same interface. Its plans prove nothing about TensorRT's; that our calls
are right, in the right order and with the right types, is what is shown.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.bench.engines.small_engine import small_model
from tests.bench.places import ROOT

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorRT for RTX is for x86-64"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs of the cases."""
    folder = tmp_path_factory.mktemp("rtx")
    model = onnx.load_from_string(small_model(np.full((64, 64, 3), 64, np.uint8)))
    onnx.save(model, folder / "model.onnx")
    broken = onnx.load_from_string(model.SerializeToString())
    broken.graph.node[2].op_type = "NoSuchOperator"
    broken.graph.node[2].name = "the_odd_one"
    onnx.save(broken, folder / "unknown operator.onnx")
    two = onnx.load_from_string(model.SerializeToString())
    two.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, ["n"]))
    two.graph.node.append(helper.make_node("Identity", ["second"], ["third"]))
    two.graph.output.append(helper.make_tensor_value_info("third", TensorProto.FLOAT, ["n"]))
    onnx.save(two, folder / "two inputs.onnx")
    fixed = onnx.load_from_string(model.SerializeToString())
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(fixed, folder / "fixed batch.onnx")
    (folder / "no graph.onnx").write_bytes(b"this is no graph")
    return folder


def session(case: str, folder: Path) -> dict[str, Any]:
    """What `rtx_session` says about a case."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.runtimes.tensorrt.rtx_session", case, str(folder)],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_graph_becomes_a_plan_of_rtx(folder: Path) -> None:
    found = session("builds", folder)
    assert found["plan_bytes"] > 1000
    assert found["phases"]
    assert found["within"]


def test_a_graph_of_one_image_needs_no_profile(folder: Path) -> None:
    assert session("one image", folder)["plan_bytes"] > 1000


def test_measurements_of_elsewhere_are_not_used(folder: Path) -> None:
    assert session("foreign cache", folder)["plan_bytes"] > 1000


def test_a_build_can_be_cancelled(folder: Path) -> None:
    found = session("cancelled", folder)
    assert found["error"] == "BuildCancelled"
    assert "nothing was written" in found["message"]


def test_an_error_of_who_follows_ends_the_build(folder: Path) -> None:
    """It does not go through TensorRT, which would end the process."""
    found = session("nobody listens", folder)
    assert (found["error"], found["message"]) == ("BrokenPipeError", "nobody listens")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknown operator", ["cannot read the graph", "NoSuchOperator"]),
        ("no graph", ["the graph has 0 inputs, one is wanted"]),
        ("two inputs", ["the graph has 2 inputs, one is wanted"]),
        ("fixed batch", ["image (1, 64, 64, 3)", "(-1, height, width, 3) is wanted"]),
    ],
)
def test_what_cannot_be_built_is_reported(folder: Path, case: str, words: list[str]) -> None:
    found = session(case, folder)
    assert found["error"] == "RuntimeFailure"
    assert all(word in found["message"] for word in words), found["message"]
