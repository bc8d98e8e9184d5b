"""A convolution of an ONNX graph as a matrix product, and its replacement in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.training.release.int8.rounding import LARGEST, round_weights

FEW_CHANNELS = 3
"""Colours, or the one channel of a depthwise convolution."""

Places = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
"""(image of the batch, row, column) in the output."""


@dataclass(frozen=True)
class Convolution:
    """One with constant weights, over images."""

    input: str
    output: str
    """The name of its output, which names it in the graph: nodes may have none, or all the same."""
    weights: NDArray[np.float32]
    """(channels out, channels in of a group, height, width)."""
    groups: int
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    """Zeros at top, left, bottom, right."""

    @classmethod
    def of(cls, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> Convolution | None:
        """None: another operator, or one whose weights or paddings are found out while it runs."""
        weights = constants.get(node.input[1]) if node.op_type == "Conv" else None
        if weights is None or weights.data_type != TensorProto.FLOAT or len(weights.dims) != 4:
            return None
        found: dict[str, Any] = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        if found.get("auto_pad", b"NOTSET") != b"NOTSET":
            return None
        return cls(
            input=node.input[0],
            output=node.output[0],
            weights=numpy_helper.to_array(weights),
            groups=found.get("group", 1),
            strides=tuple(found.get("strides", (1, 1))),
            dilations=tuple(found.get("dilations", (1, 1))),
            pads=tuple(found.get("pads", (0, 0, 0, 0))),
        )

    @property
    def is_dense(self) -> bool:
        """Not depthwise, and not on colours."""
        return int(self.weights.shape[1]) > FEW_CHANNELS

    def columns(self, value: NDArray[np.float32], places: Places) -> NDArray[np.float32]:
        """What the weights are multiplied with to give the output at `places`: (places, groups, weights of a channel).

        Args:
            value: (n, channels, height, width), the input.
        """
        image, row, column = places
        top, left, bottom, right = self.pads
        if any(self.pads):
            value = np.pad(value, ((0, 0), (0, 0), (top, bottom), (left, right)))
        down, across = self.dilations
        window = ((size - 1) * step + 1 for size, step in zip(self.weights.shape[2:], self.dilations, strict=True))
        windows = sliding_window_view(value, tuple(window), (2, 3))[:, :, :: self.strides[0], :: self.strides[1]]
        return windows[..., ::down, ::across][image, :, row, column].reshape(len(image), self.groups, -1)

    def put_in_8_bits(
        self, graph: onnx.GraphProto, largest: float, inputs: NDArray[np.float32], wanted: NDArray[np.float32]
    ) -> None:
        """Replace it in the graph.

        Args:
            graph: holds the convolution; those before it may be in 8 bits already.
            largest: absolute value of the input.
            inputs: `columns` of many places, in float.
            wanted: (places, channels out) of the float graph.
        """
        scale = np.float32(largest / LARGEST or 1.0)
        rounded = np.clip(np.round(inputs / scale), -LARGEST - 1, LARGEST) * scale
        channels = len(self.weights)
        by_group = self.weights.reshape(self.groups, channels // self.groups, -1)
        parts = [
            round_weights(weights, rounded[:, group], outputs)
            for group, (weights, outputs) in enumerate(
                zip(by_group, np.split(wanted, self.groups, axis=1), strict=True)
            )
        ]
        steps = np.concatenate([part.steps for part in parts]).reshape(self.weights.shape)
        constants = {
            "input_scale": scale,
            "input_zero": np.int8(0),
            "weights": steps,
            "weight_scales": np.concatenate([part.scales for part in parts]),
            "weight_zeros": np.zeros(channels, np.int8),
            "bias": np.concatenate([part.bias for part in parts]),
        }
        for name, value in constants.items():
            graph.initializer.append(numpy_helper.from_array(np.asarray(value), self._inner(name)))
        index = next(index for index, node in enumerate(graph.node) if self.output in node.output)
        for node in (  # each in front of the one before
            self._node("DequantizeLinear", ("weights", "weight_scales", "weight_zeros"), "dequantised_weights", axis=0),
            self._node("DequantizeLinear", ("quantised", "input_scale", "input_zero"), "dequantised"),
            self._node("QuantizeLinear", (self.input, "input_scale", "input_zero"), "quantised"),
        ):
            graph.node.insert(index, node)
        graph.node[index + 3].input[:] = [self._inner(name) for name in ("dequantised", "dequantised_weights", "bias")]

    def _node(self, kind: str, inputs: tuple[str, ...], output: str, **attributes: Any) -> onnx.NodeProto:
        names = [value if value == self.input else self._inner(value) for value in inputs]
        return helper.make_node(kind, names, [self._inner(output)], self._inner(f"{output}_{kind}"), **attributes)

    def _inner(self, name: str) -> str:
        return f"{self.output}/{name}"
