"""ONNX Runtime on the CPU: the reference runtime."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapSpec
from engines.bundle.reading import Bundle
from engines.errors import RuntimeFailure
from engines.runtimes.onnxruntime_quiet import ort, session_options
from engines.runtimes.signature import KINDS, OUTPUTS, Tensor, check_signature

_TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


def runtime_name(precision: str = "float32") -> str:
    """How reports name this runtime with a graph of this precision."""
    return f"ONNX Runtime {ort.__version__} {precision}"


class OnnxRuntime:
    """Runs an ONNX graph `image` -> `image_score`, `anomaly_map`, maybe `kinds`, on the CPU.

    Args:
        model: the serialised graph.
        spec: input size the graph must have.
        map_spec: size of the anomaly map it must give.
        threads: threads of one inference, the caller's included.

    Raises:
        RuntimeFailure: the graph does not load or has other inputs or outputs.
    """

    def __init__(self, model: bytes, spec: InputSpec, map_spec: MapSpec, *, threads: int) -> None:
        options = session_options(threads)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Kernels in 8 bits saturate on processors without VNNI: compute what the graph says. Others are not touched.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            with _readable(model) as source:
                self._session: ort.InferenceSession | None = ort.InferenceSession(
                    source, sess_options=options, providers=["CPUExecutionProvider"]
                )
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise RuntimeFailure(f"ONNX Runtime {ort.__version__} cannot load the model: {error}") from error
        kinds = check_signature(_signature(self._session), spec, map_spec)
        self._outputs = [*OUTPUTS, KINDS] if kinds else [*OUTPUTS]
        self.kinds: NDArray[np.float32] | None = None
        """See `Runtime.kinds`."""

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Runtime.infer`."""
        if self._session is None:
            raise RuntimeFailure("the runtime is closed")
        try:
            image_score, anomaly_map, *kinds = self._session.run(self._outputs, {"image": images})
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise RuntimeFailure(f"ONNX Runtime failed on input {images.shape} {images.dtype}: {error}") from error
        self.kinds = kinds[0] if kinds else None
        return image_score, anomaly_map

    def close(self) -> None:
        """Drop the session; may be called twice."""
        self._session = None

    def __enter__(self) -> OnnxRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_onnx(bundle: Bundle, threads: int) -> OnnxRuntime:
    """ONNX Runtime with the float32 graph of an engine. Raises RuntimeFailure, see `OnnxRuntime`."""
    return OnnxRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=threads)


@contextmanager
def _readable(model: bytes) -> Iterator[str | bytes]:
    """The graph as ONNX Runtime reads it without holding the interpreter: from a file that is nowhere but in memory.

    Of bytes it makes a copy first, which stopped every thread of the process for 78 ms (30 MB, decision 46).
    """
    try:
        descriptor = os.memfd_create("graph", os.MFD_CLOEXEC)
    except OSError:  # a sandbox may forbid it
        yield model
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(model)
        file.flush()
        path = f"/proc/self/fd/{descriptor}"
        yield path if Path(path).exists() else model


def _signature(session: ort.InferenceSession) -> list[Tensor]:
    """The first dimension is the batch and free."""
    return [
        (node.name, _TYPES.get(node.type, node.type), list(node.shape)[1:])
        for node in (*session.get_inputs(), *session.get_outputs())
    ]
