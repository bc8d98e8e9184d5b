"""A runtime that prepares frames, on the processor: runs `frame.onnx` in ONNX Runtime, as a GPU runs its plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import Bundle, FrameGraph
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.onnxruntime_quiet import ort


class FramesOnOnnx(OnnxRuntime):
    """See `FrameRuntime`."""

    def __init__(self, bundle: Bundle, graph: FrameGraph) -> None:
        super().__init__(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1)
        self.frame_shape = graph.shape
        self.calls = 0
        self._frames = ort.InferenceSession(graph.model, providers=["CPUExecutionProvider"])

    def __enter__(self) -> FramesOnOnnx:
        return self

    def infer_frames(self, frames: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.calls += 1
        return self.infer(np.stack([self.prepared(frame) for frame in frames]))

    def prepared(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        (pixels,) = self._frames.run(["pixels"], {"image": frame.reshape(1, *frame.shape[:2], -1)})
        found: NDArray[np.uint8] = pixels[0]
        return found
