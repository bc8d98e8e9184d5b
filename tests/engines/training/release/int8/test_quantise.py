"""The backbone in 8 bits: what is quantised, how, that it is fitted, and that everything of the flow is left alone.

The graph in 8 bits is built in `test_rtx_builder`.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from engines.bundle.manifest import InputSpec
from engines.detectors.catalogue import DETECTORS
from engines.errors import ExportError
from engines.runtimes.onnx import OnnxRuntime
from engines.training.release.export import check_half, export_onnx, map_spec
from engines.training.release.int8.quantise import QuantisedGraph, backbone_convolutions, quantised_backbone
from tests.bench.engines.small_engine import small_model
from tests.engines.detectors.test_backbones import write_network
from tests.engines.detectors.test_detectors import HEIGHT, WIDTH, pictures, trained

pytestmark = pytest.mark.system

SPEC = InputSpec(width=WIDTH, height=HEIGHT)
NAMES = ("memory", "spatial")


@functools.cache
def full(name: str) -> bytes:
    return export_onnx(trained(name), SPEC)


@functools.cache
def quantised(name: str) -> QuantisedGraph:
    return quantised_backbone(full(name), list(pictures(*range(6)).numpy()))


@functools.cache
def dense(name: str) -> set[str]:
    """The outputs of the convolutions that go to 8 bits."""
    convolutions = backbone_convolutions(onnx.load_from_string(full(name)))
    return {convolution.output for convolution in convolutions if convolution.is_dense}


@pytest.mark.parametrize("name", NAMES)
def test_defects_still_score_higher(name: str) -> None:
    images = np.concatenate([pictures(100, 101).numpy(), pictures(102, 103, scratch=True).numpy()])
    size = map_spec(trained(name))
    with (
        OnnxRuntime(full(name), SPEC, size, threads=1) as reference,
        OnnxRuntime(quantised(name).model, SPEC, size, threads=1) as candidate,
    ):
        candidate_scores, _ = candidate.infer(images)
        check = check_half(reference, candidate, images)
    # Rendered parts hardly vary, so rounding shows more than on real ones; defects stay above good parts.
    assert check.max_score_difference > 0
    assert check.rank_correlation > 0.5
    assert candidate_scores[2:].min() > candidate_scores[:2].max()


@pytest.mark.parametrize("name", NAMES)
def test_only_dense_convolutions_of_the_backbone_are_in_8_bits(name: str) -> None:
    before, after = onnx.load_from_string(full(name)), onnx.load_from_string(quantised(name).model)
    made_by = {output: node for node in after.graph.node for output in node.output}
    assert len(dense(name)) > 8
    found = set()
    for node in after.graph.node:
        inputs = [made_by[value] for value in node.input if value in made_by]
        if any(producer.op_type == "DequantizeLinear" for producer in inputs):
            assert node.op_type == "Conv", f"{node.name} works on 8 bits"
            assert [made_by[value].op_type for value in node.input[:2]] == ["DequantizeLinear"] * 2
            assert node.input[2] not in made_by, "the bias stays float32"
            found.add(node.output[0])
        if node.op_type == "Clip" and node.name.startswith("/detector/backbone"):
            assert made_by[node.input[0]].op_type == "Conv", "nothing between a convolution and its activation"
    assert found == dense(name)
    unchanged = {node.SerializeToString() for node in after.graph.node}
    assert all(node.SerializeToString() in unchanged for node in before.graph.node if node.output[0] not in found)


def test_symmetric_and_weights_per_channel() -> None:
    graph = onnx.load_from_string(quantised("spatial").model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    per_channel = 0
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = node.input[1:3]
            assert types[zero] == TensorProto.INT8
            assert types[scale] == TensorProto.FLOAT
            assert not constants[zero].any()
            assert (constants[scale] > 0).all()
            if constants[scale].ndim:
                assert node.op_type == "DequantizeLinear"  # of a weight, which is stored in 8 bits
                assert constants[node.input[0]].dtype == np.int8
                assert constants[node.input[0]].min() >= -127
                assert constants[scale].shape == constants[node.input[0]].shape[:1]
                per_channel += 1
    assert per_channel == len(dense("spatial"))


def test_the_float_weights_are_gone() -> None:
    before, after = (onnx.load_from_string(model).graph for model in (full("spatial"), quantised("spatial").model))
    weights = {node.input[1] for node in before.node if node.output[0] in dense("spatial")}
    assert weights
    assert not weights & {tensor.name for tensor in after.initializer}


def test_the_share_is_that_of_the_multiply_accumulates() -> None:
    """Of EfficientNet-Lite0 up to block 15 without its head; the share hardly depends on the size of the image."""
    assert quantised("spatial").share == pytest.approx(0.875, abs=0.01)


def test_it_comes_nearer_than_weights_rounded_each_for_itself() -> None:
    """The same graph and the same ranges, with the weights and biases of the float graph, rounded to nearest."""
    before, graph = onnx.load_from_string(full("spatial")), onnx.load_from_string(quantised("spatial").model)
    floats = {tensor.name: numpy_helper.to_array(tensor) for tensor in before.graph.initializer}
    nearest = {}
    for node in before.graph.node:
        if (output := node.output[0]) in dense("spatial"):
            weights = floats[node.input[1]]
            scales = np.abs(weights).max(axis=(1, 2, 3)) / 127
            nearest[f"{output}/weights"] = np.round(weights / scales[:, None, None, None]).astype(np.int8)
            nearest[f"{output}/weight_scales"] = scales
            nearest[f"{output}/bias"] = floats[node.input[2]]
    for tensor in graph.graph.initializer:
        if tensor.name in nearest:
            tensor.CopyFrom(numpy_helper.from_array(nearest.pop(tensor.name), tensor.name))
    assert not nearest
    images, size = pictures(*range(100, 106)).numpy(), map_spec(trained("spatial"))
    with (
        OnnxRuntime(full("spatial"), SPEC, size, threads=1) as reference,
        OnnxRuntime(quantised("spatial").model, SPEC, size, threads=1) as fitted,
        OnnxRuntime(graph.SerializeToString(), SPEC, size, threads=1) as rounded,
    ):
        near, far = (check_half(reference, runtime, images).max_score_difference for runtime in (fitted, rounded))
    assert near < far


@pytest.mark.parametrize("name", ["differnet", "memory"])
def test_a_network_from_a_file_whose_nodes_have_no_names(name: str, tmp_path: Path) -> None:
    network = onnx.load(write_network(tmp_path / "small.onnx"))
    for node in network.graph.node:
        node.name = ""
    onnx.save(network, tmp_path / "small.onnx")
    spec = InputSpec(width=80, height=48)
    images, unseen = np.random.default_rng(0).integers(0, 256, (2, 8, 48, 80, 3), dtype=np.uint8)
    detector = DETECTORS[name](spec, str(tmp_path / "small.onnx")).eval()
    with torch.inference_mode():
        detector.initialise(detector.features(torch.from_numpy(images)))
    before = export_onnx(detector, spec)
    after = quantised_backbone(before, list(images))
    assert 0 < after.share < 1
    convolutions = [each for each in backbone_convolutions(onnx.load_from_string(before)) if each.is_dense]
    nodes = onnx.load_from_string(after.model).graph.node
    assert sum(node.op_type == "QuantizeLinear" for node in nodes) == len(convolutions) > 0
    size = map_spec(detector)
    with (
        OnnxRuntime(before, spec, size, threads=1) as reference,
        OnnxRuntime(after.model, spec, size, threads=1) as candidate,
    ):
        (expected, _), (found, _) = reference.infer(unseen), candidate.infer(unseen)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    assert (found != expected).any()


def test_progress_is_reported_and_the_result_is_the_same_every_time() -> None:
    steps: list[tuple[int, int]] = []
    images = list(pictures(0, 1).numpy())
    first = quantised_backbone(full("memory"), images, on_progress=lambda *step: steps.append(step))
    count = len(dense("memory"))
    assert steps == [(done, count) for done in range(count + 1)]
    assert quantised_backbone(full("memory"), images) == first


def test_a_graph_without_a_backbone_of_convolutions_is_refused() -> None:
    with pytest.raises(ExportError, match="no dense convolution with constant weights"):
        quantised_backbone(small_model(np.zeros((16, 16, 3), np.uint8)), [np.zeros((16, 16, 3), np.uint8)])


def test_without_images_there_are_no_ranges() -> None:
    with pytest.raises(ValueError, match="no images"):
        quantised_backbone(full("spatial"), [])
