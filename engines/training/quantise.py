"""The backbone of an exported graph in 8 bits: explicit QuantizeLinear and DequantizeLinear around its convolutions.

As TensorRT wants it: symmetric, weights per output channel, activations per tensor, biases in float32, nothing between
a convolution and its activation. Only dense convolutions of the backbone are touched: a flow would move its scores.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from engines.training.errors import ExportError

BACKBONE = ("/detector/backbone", "backbone")
"""How the names of its nodes begin: of a network of ours, and of one from an ONNX file."""
FEW_CHANNELS = 3
"""Colours, or the one channel of a depthwise convolution."""


def quantised_backbone(model: bytes, images: Sequence[NDArray[np.uint8]]) -> bytes:
    """The float32 graph `model` with its backbone in 8 bits.

    Args:
        model: made by `export_onnx`.
        images: in the model's input size; the largest activation on them is the largest that 8 bits can tell.

    Raises:
        ExportError: the backbone has no convolution with constant weights, or the result is not valid.
        ValueError: no images.
    """
    if not images:
        raise ValueError("no images: the ranges of the activations cannot be found")
    graph = onnx.load_from_string(model)
    convolutions = backbone_convolutions(graph)
    if not convolutions:
        raise ExportError(
            "the backbone has no dense convolution with constant weights: there is nothing to do in 8 bits"
        )
    with tempfile.TemporaryDirectory(prefix="station-int8-") as folder:
        file = Path(folder) / "model.onnx"
        # It says as warnings of the root logger that graphs should be prepared by another tool of its own.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                graph,
                file,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=convolutions,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "OpTypesToExcludeOutputQuantization": ["Conv"],
                },
            )
        finally:
            logging.disable(logging.NOTSET)
        quantised = onnx.load(file)
    _spare_others(quantised, convolutions)
    try:
        onnx.checker.check_model(quantised, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph with a backbone in 8 bits is not valid: {error}") from error
    return bytes(quantised.SerializeToString())


def backbone_convolutions(graph: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that go to 8 bits: the dense ones of the backbone, with constant weights.

    Depthwise ones and the first gain little time, as they wait for memory, and lose most of the accuracy: one range has
    to do for all their channels.
    """
    constants = {tensor.name: tensor.dims for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type == "Conv"
        and node.name.startswith(BACKBONE)
        and node.input[1] in constants
        and constants[node.input[1]][1] > FEW_CHANNELS  # in each group
    ]


def _spare_others(graph: onnx.ModelProto, convolutions: Sequence[str]) -> None:
    """Let every other reader of a value that was quantised, as skip connections and the flow are, have it unrounded."""
    exact = {node.output[0]: node.input[0] for node in graph.graph.node if node.op_type == "QuantizeLinear"}
    exact = {
        node.output[0]: exact[node.input[0]]
        for node in graph.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in exact
    }
    for node in graph.graph.node:
        if node.name not in convolutions:
            node.input[:] = [exact.get(value, value) for value in node.input]


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """One image after the other, as on the line."""

    def __init__(self, images: Sequence[NDArray[np.uint8]]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next input of the graph; None when there is none left."""
        image = next(self._images, None)
        return None if image is None else {"image": image[np.newaxis]}
