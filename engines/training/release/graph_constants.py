"""Constants of ONNX graphs that are changed after their export."""

from __future__ import annotations

import onnx


def drop_unused_constants(graph: onnx.GraphProto) -> None:
    """Only those stay that a node reads, or that are outputs."""
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
