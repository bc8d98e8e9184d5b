"""The gate before a runtime may prepare frames itself."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from engines.bundle.reading import Bundle, FrameGraph, read_bundle
from engines.location.location import WHOLE_IMAGE
from engines.preprocess import SAME_PIXELS
from engines.runtimes.frame_check import FrameCheck, check_frames
from engines.training.release.frame_graph import make_frame_graph
from tests.bench.engines.frames_on_onnx import FramesOnOnnx
from tests.bench.engines.small_engine import write_small_engine


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(write_small_engine(tmp_path / "engine", width=64, height=48))


def checked(bundle: Bundle, graph: FrameGraph) -> FrameCheck:
    with FramesOnOnnx(bundle, graph) as runtime:
        return check_frames(runtime, bundle, graph.shape)


@pytest.mark.parametrize("grey", [True, False])
def test_the_same_pixels_are_found_to_be_the_same(bundle: Bundle, grey: bool) -> None:
    check = checked(bundle, make_frame_graph(333, 250, bundle.manifest.input, WHOLE_IMAGE, grey=grey))
    assert check.difference <= SAME_PIXELS
    assert check.gpu_ms > 0
    assert check.processor_ms > 0


def test_other_pixels_are_refused_however_fast_they_are(bundle: Bundle) -> None:
    graph = make_frame_graph(333, 250, bundle.manifest.input, WHOLE_IMAGE, grey=True)
    model = onnx.load_from_string(graph.model)
    next(node for node in model.graph.node if node.op_type == "AveragePool").op_type = "MaxPool"
    check = checked(bundle, FrameGraph(model.SerializeToString(), graph.width, graph.height, grey=True))
    assert check.difference > SAME_PIXELS
    faster = check.model_copy(update={"gpu_ms": 0.0})
    assert f"differ by {check.difference} grey levels" in faster.refusal
    assert str(faster).startswith("on the processor: pixels differ")


def test_the_faster_way_is_taken() -> None:
    assert FrameCheck(difference=1, gpu_ms=1.0, processor_ms=1.1).refusal == ""
    slower = FrameCheck(difference=0, gpu_ms=1.1, processor_ms=1.0)
    assert str(slower) == "on the processor: 1.10 ms a frame on the GPU, 1.00 ms on the processor"
