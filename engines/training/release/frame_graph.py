"""What `preprocess.prepare` does with a whole image, as an ONNX graph for GPUs.

    image uint8 (1, frame height, frame width, 1 or 3) -> pixels uint8 (1, height, width, 3)

For one size of frame, since the size decides the steps. Every step rounds as OpenCV does, so the pixels differ from
those of the processor by one grey level at most, where OpenCV's weights for interpolation are not exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.bundle.manifest import InputSpec
from engines.bundle.reading import FrameGraph
from engines.errors import ExportError
from engines.location.location import Location
from engines.preprocess import Placement, place, prepare, resize_steps
from engines.runtimes.frame_check import pixel_difference, pixel_refusal
from engines.runtimes.onnxruntime_quiet import ort
from engines.training.release.export import OPSET

IR_VERSION = 8
"""Of opset 17."""


def make_frame_graph(width: int, height: int, spec: InputSpec, location: Location, *, grey: bool) -> FrameGraph:
    """The graph for frames of `width` x `height` px.

    Raises:
        ExportError: the part has to be found first, which is no fixed sequence of steps.
    """
    if location.spec.method != "none":
        raise ExportError(f"the place of the part is found in every image ({location.spec.method})")
    placement = place(width, height, spec)
    nodes = _Nodes()
    value = nodes.add("Cast", "image", to=TensorProto.FLOAT)
    value = nodes.add("Transpose", value, perm=[0, 3, 1, 2])
    value = _scaled(nodes, value, width, height, placement, channels=1 if grey else 3)
    value = _bordered(nodes, value, placement)
    value = nodes.add("Transpose", value, perm=[0, 2, 3, 1])
    if grey:
        value = nodes.add("Concat", value, value, value, axis=3)
    mask = location.ignored(placement.content, (spec.height, spec.width))
    if mask is not None:
        covered = nodes.constant((mask > 0)[np.newaxis, ..., np.newaxis])
        fill = nodes.constant(location.pictures["fill"][np.newaxis].astype(np.float32))
        value = nodes.add("Where", covered, fill, value)
    nodes.add("Cast", value, output="pixels", to=TensorProto.UINT8)
    graph = helper.make_graph(
        nodes.nodes,
        "frame",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, height, width, 1 if grey else 3])],
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, spec.height, spec.width, 3])],
        nodes.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return FrameGraph(bytes(model.SerializeToString()), width=width, height=height, grey=grey)


def check_frame_graph(
    graph: FrameGraph, images: Sequence[NDArray[np.uint8]], spec: InputSpec, location: Location
) -> int:
    """The largest difference from `prepare`, in grey levels, in ONNX Runtime.

    Raises:
        ExportError: it is above one.
    """
    session = ort.InferenceSession(graph.model, providers=["CPUExecutionProvider"])
    difference = 0
    for image in images:
        (found,) = session.run(["pixels"], {"image": image.reshape(1, *image.shape[:2], -1)})
        difference = max(difference, pixel_difference(found[0], prepare(image, spec, location).pixels))
    refusal = pixel_refusal(difference)
    if refusal:
        raise ExportError(refusal)
    return difference


class _Nodes:
    """Nodes in order, each with one output that is named here."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def rounded(self, value: str) -> str:
        """To the nearest grey level, halves upwards."""
        return self.add("Floor", self.add("Add", value, self.constant(np.array(0.5, np.float32))))

    def gathered(self, value: str, axis: int, indices: Sequence[int]) -> str:
        """Rows or columns by number."""
        return self.add("Gather", value, self.constant(np.array(indices, np.int64)), axis=axis)


def _scaled(nodes: _Nodes, value: str, width: int, height: int, placement: Placement, *, channels: int) -> str:
    """(1, channels, height, width) at the size that the image has in the model input."""
    for step in resize_steps(width, height, placement.width, placement.height):
        if step.halves:
            for axis, length in ((2, height), (3, width)):
                if length % 2:
                    value = nodes.gathered(value, axis, [*range(length), length - 1])
            value = nodes.add("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
        else:
            size = nodes.constant(np.array([1, channels, step.height, step.width], np.int64))
            value = nodes.add("Resize", value, "", "", size, mode="linear", coordinate_transformation_mode="half_pixel")
        value = nodes.rounded(value)
        width, height = step.width, step.height
    return value


def _bordered(nodes: _Nodes, value: str, placement: Placement) -> str:
    """The rest of the model input filled with the reflection of the image."""
    sides: tuple[tuple[int, int, int, int], ...] = (
        (2, placement.y, placement.height, placement.input_height),
        (3, placement.x, placement.width, placement.input_width),
    )
    for axis, start, size, input_size in sides:
        if size != input_size:
            places = (cv2.borderInterpolate(at - start, size, cv2.BORDER_REFLECT) for at in range(input_size))
            value = nodes.gathered(value, axis, list(places))
    return value
