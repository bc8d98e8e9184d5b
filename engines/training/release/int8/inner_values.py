"""What flows inside an ONNX graph, image by image, without starting at the pixels for every value that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from engines.runtimes.onnxruntime_quiet import ort

IMAGE = "image"
"""The input of every graph of ours."""
MAX_KEPT_BYTES = 256 << 20
Value = NDArray[Any]


class InnerValues:
    """Values inside graphs, of some images.

    Args:
        images: (height, width, 3) each.
        threads: of ONNX Runtime.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], *, threads: int) -> None:
        self._images = [image[np.newaxis] for image in images]
        self._threads = threads
        self._start = IMAGE
        self._values = self._images

    def at(self, model: onnx.ModelProto, names: Sequence[str]) -> Iterator[list[Value]]:
        """The float values of these names, for one image after the other."""
        nodes, from_image = _nodes_between(model, self._start, names)
        start, values = (IMAGE, self._images) if from_image else (self._start, self._values)
        if list(names) == [start]:
            yield from ([value] for value in values)
            return
        needed = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "part",
            [helper.make_tensor_value_info(start, helper.np_dtype_to_tensor_dtype(values[0].dtype), None)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
            [tensor for tensor in model.graph.initializer if tensor.name in needed],
        )
        part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # compute what the graph says
        session = ort.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for value in values:
            yield session.run(list(names), {start: value})

    def start_at(self, model: onnx.ModelProto, name: str) -> None:
        """Keep this value of every image, if that is not too much: what depends on it alone is computed from here."""
        if name == self._start:
            return
        kept: list[Value] = []
        for (value,) in self.at(model, [name]):
            if value.nbytes * len(self._images) > MAX_KEPT_BYTES:
                return
            kept.append(value)
        self._start = name
        self._values = kept


def starts(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, str]:
    """For each of these values, in the order of the graph, where to start so that no later start lies before it.

    That is the last value through which passes all that it and those that follow from it have of the image: it itself,
    the output of the block before it, or the image.
    """
    found = {IMAGE: IMAGE}
    while left := [name for name in names if name not in found]:
        nodes, _ = _nodes_between(model, IMAGE, [left[-1]])
        last_reader = {value: index for index, node in enumerate(nodes) for value in node.input}
        start, live = IMAGE, {IMAGE}  # live: depends on the image, and is still read
        for index, node in enumerate(nodes):
            if live.intersection(node.input):
                live.update(value for value in node.output if value in last_reader)
            live = {value for value in live if last_reader[value] > index}
            if len(live) == 1:
                (start,) = live
            found.update({value: start for value in node.output if value in left})
    return found


def _nodes_between(model: onnx.ModelProto, start: str, names: Sequence[str]) -> tuple[list[onnx.NodeProto], bool]:
    """The nodes that make `names` out of `start` and constants; whether the image is needed instead of it."""
    needed = set(names)
    nodes = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output) and start not in node.output:
            nodes.append(node)
            needed.update(node.input)
    if start != IMAGE and IMAGE in needed:
        return _nodes_between(model, IMAGE, names)
    return nodes[::-1], start == IMAGE
