"""The backbone of an exported graph in 8 bits: explicit QuantizeLinear and DequantizeLinear around its convolutions.

As TensorRT wants it: symmetric, weights per output channel, activations per tensor, biases in float32, nothing between
a convolution and its activation. Only dense convolutions of the backbone are touched: a flow would move its scores.

Scores are distances in features that hardly vary between good parts, so errors of rounding count for more than in a
classifier. The convolutions are therefore done in the order of the graph, each fitted to what those before it give in
8 bits, see `engines.training.release.int8.rounding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from engines.errors import ExportError
from engines.training.release.graph_constants import drop_unused_constants
from engines.training.release.int8.convolution import Convolution
from engines.training.release.int8.inner_values import InnerValues, Value, starts

BACKBONE = ("/detector/backbone", "backbone")
"""How the names of its nodes begin: of a network of ours, and of one from an ONNX file."""
SAMPLES = 4096
"""Places, over all images, to which a convolution is fitted."""


@dataclass(frozen=True)
class QuantisedGraph:
    """The graph, and how much of its backbone is in 8 bits."""

    model: bytes
    share: float
    """Of the multiply-accumulates of the backbone's convolutions, 0 to 1."""


def quantised_backbone(
    model: bytes,
    images: Sequence[NDArray[np.uint8]],
    *,
    spared_share: float = 0.0,
    threads: int = 1,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> QuantisedGraph:
    """The float32 graph `model` with the dense convolutions of its backbone in 8 bits.

    Depthwise ones and the first gain little time, as they wait for memory, and lose most of the accuracy.

    Args:
        model: made by `export_onnx`.
        images: in the model's input size; the largest activation on them is the largest that 8 bits can represent.
        spared_share: of these convolutions, how many of the first stay in float32. Those on the finest maps cost the
            most accuracy: all that follows builds on them.
        threads: of ONNX Runtime.
        on_progress: called with (convolutions done, all).

    Raises:
        ExportError: the backbone has no convolution with constant weights, or the result is not valid.
        ValueError: no images.
    """
    if not images:
        raise ValueError("no images: the ranges of the activations cannot be found")
    full, quantised = onnx.load_from_string(model), onnx.load_from_string(model)
    convolutions = backbone_convolutions(full)
    dense = [convolution for convolution in convolutions if convolution.is_dense]
    if not dense:
        raise ExportError(
            "the backbone has no dense convolution with constant weights: there is nothing to do in 8 bits"
        )
    dense = dense[int(spared_share * len(dense)) :]
    start_of = starts(full, [convolution.input for convolution in dense])
    of_full, of_quantised = (InnerValues(images, threads=threads) for _ in range(2))
    for done, convolution in enumerate(dense):
        on_progress(done, len(dense))
        of_full.start_at(full, start_of[convolution.input])
        of_quantised.start_at(quantised, start_of[convolution.input])
        samples = _Samples(convolution, SAMPLES // len(images))
        outputs = of_full.at(full, [convolution.output])
        inputs = of_quantised.at(quantised, [convolution.input])
        for (output,), (value,) in zip(outputs, inputs, strict=True):
            samples.add(value, output)
        samples.put_in_8_bits(quantised.graph)
    on_progress(len(dense), len(dense))
    drop_unused_constants(quantised.graph)
    try:
        onnx.checker.check_model(quantised, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph with a backbone in 8 bits is not valid: {error}") from error
    return QuantisedGraph(bytes(quantised.SerializeToString()), _share(full, convolutions, dense, images[0]))


def backbone_convolutions(model: onnx.ModelProto) -> list[Convolution]:
    """Those of the backbone with constant weights, in the order of the graph."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = (node for node in model.graph.node if node.name.startswith(BACKBONE))
    found = (Convolution.of(node, constants) for node in nodes)
    return [convolution for convolution in found if convolution is not None]


class _Samples:
    """What a convolution is fitted to: a few places of every image."""

    def __init__(self, convolution: Convolution, per_image: int) -> None:
        self._convolution = convolution
        self._per_image = max(1, per_image)
        self._largest = 0.0
        self._inputs = list[Value]()
        self._wanted = list[Value]()

    def add(self, value: Value, output: Value) -> None:
        """One image: input in the quantised graph, output in the float one; both (n, channels, height, width)."""
        batch, _, height, width = output.shape
        count = batch * height * width
        # Drawn anew for every image, and the same ones in every run.
        drawn = np.random.default_rng(len(self._inputs)).permutation(count)[: self._per_image]
        image, row, column = np.unravel_index(np.sort(drawn), (batch, height, width))
        self._largest = max(self._largest, float(np.abs(value).max()))
        self._inputs.append(self._convolution.columns(value, (image, row, column)))
        self._wanted.append(output[image, :, row, column])

    def put_in_8_bits(self, graph: onnx.GraphProto) -> None:
        """Replace the convolution."""
        self._convolution.put_in_8_bits(
            graph, self._largest, np.concatenate(self._inputs), np.concatenate(self._wanted)
        )


def _share(
    model: onnx.ModelProto, every: Sequence[Convolution], chosen: Sequence[Convolution], image: NDArray[np.uint8]
) -> float:
    """Of the multiply-accumulates of the convolutions, that of the chosen ones."""
    (outputs,) = InnerValues([image], threads=1).at(model, [convolution.output for convolution in every])
    work = {
        convolution.output: convolution.weights[0].size * output.size
        for convolution, output in zip(every, outputs, strict=True)
    }
    return float(sum(work[convolution.output] for convolution in chosen) / sum(work.values()))
