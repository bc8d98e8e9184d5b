"""The backbone in 8 bits: what is quantised, how, and that everything of the flow is left alone.

DifferNet's graph in 8 bits is built in `test_rtx_builder`.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from engines.manifest import InputSpec
from engines.runtimes.onnx import OnnxRuntime
from engines.training.errors import ExportError
from engines.training.export import check_half, export_onnx, map_spec
from engines.training.quantise import backbone_convolutions, quantised_backbone
from tests.engines.small_engine import small_model
from tests.engines.test_detectors import HEIGHT, WIDTH, pictures, trained

SPEC = InputSpec(width=WIDTH, height=HEIGHT)
DETECTORS = ("memory", "spatial")


@functools.cache
def full(name: str) -> bytes:
    return export_onnx(trained(name), SPEC)


@functools.cache
def quantised(name: str) -> bytes:
    return quantised_backbone(full(name), list(pictures(*range(6)).numpy()))


@pytest.mark.parametrize("name", DETECTORS)
def test_defects_still_score_higher(name: str) -> None:
    images = np.concatenate([pictures(100, 101).numpy(), pictures(102, 103, scratch=True).numpy()])
    size = map_spec(trained(name))
    with (
        OnnxRuntime(full(name), SPEC, size, threads=1) as reference,
        OnnxRuntime(quantised(name), SPEC, size, threads=1) as candidate,
    ):
        candidate_scores, _ = candidate.infer(images)
        check = check_half(reference, candidate, images)
    # Rendered parts hardly vary, so rounding shows more than on real ones; defects stay above good parts.
    assert check.max_score_difference > 0
    assert check.rank_correlation > 0.5
    assert candidate_scores[2:].min() > candidate_scores[:2].max()


@pytest.mark.parametrize("name", DETECTORS)
def test_only_convolutions_of_the_backbone_are_in_8_bits(name: str) -> None:
    before, after = onnx.load_from_string(full(name)), onnx.load_from_string(quantised(name))
    made_by = {output: node for node in after.graph.node for output in node.output}
    convolutions = backbone_convolutions(before)
    assert len(convolutions) > 8
    quantised_names = set()
    for node in after.graph.node:
        inputs = [made_by[value] for value in node.input if value in made_by]
        if any(producer.op_type == "DequantizeLinear" for producer in inputs):
            assert node.op_type == "Conv", f"{node.name} works on 8 bits"
            assert [made_by[value].op_type for value in node.input[:2]] == ["DequantizeLinear"] * 2
            assert node.input[2] not in made_by, "the bias stays float32"
            quantised_names.add(node.name)
        if node.op_type == "Clip" and node.name.startswith("/detector/backbone"):
            assert made_by[node.input[0]].op_type == "Conv", "nothing between a convolution and its activation"
    assert quantised_names == set(convolutions)
    others = {node.name for node in before.graph.node} - set(convolutions)
    assert others <= {node.name for node in after.graph.node}


def test_symmetric_and_weights_per_channel() -> None:
    graph = onnx.load_from_string(quantised("spatial")).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    per_channel = 0
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = node.input[1:3]
            assert types[zero] == TensorProto.INT8
            assert not constants[zero].any()
            assert (constants[scale] > 0).all()
            if constants[scale].ndim:
                assert node.op_type == "DequantizeLinear"  # of a weight, which is stored in 8 bits
                assert constants[node.input[0]].dtype == np.int8
                assert constants[scale].shape == constants[node.input[0]].shape[:1]
                per_channel += 1
    assert per_channel == len(backbone_convolutions(onnx.load_from_string(full("spatial"))))


def test_a_graph_without_a_backbone_of_convolutions_is_refused() -> None:
    with pytest.raises(ExportError, match="no dense convolution with constant weights"):
        quantised_backbone(small_model(np.zeros((16, 16, 3), np.uint8)), [np.zeros((16, 16, 3), np.uint8)])


def test_without_images_there_are_no_ranges() -> None:
    with pytest.raises(ValueError, match="no images"):
        quantised_backbone(full("spatial"), [])
