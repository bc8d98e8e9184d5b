"""ONNX Runtime on the CPU: the reference runtime."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engines.errors import RuntimeFailure
from engines.manifest import InputSpec, MapSpec


class OnnxRuntime:
    """Runs an ONNX graph `image` -> `image_score`, `anomaly_map` on the CPU.

    Args:
        model: the serialised graph.
        spec: input size the graph must have.
        map_spec: size of the anomaly map it must give.
        threads: threads of one inference, the caller's included.

    Raises:
        RuntimeFailure: the graph does not load or has other inputs or outputs.
    """

    def __init__(self, model: bytes, spec: InputSpec, map_spec: MapSpec, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3  # errors come as exceptions; the rest would go to stderr unformatted
        # Spinning threads would burn the cores that camera and PLC need between two parts.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise RuntimeFailure(f"ONNX Runtime {ort.__version__} cannot load the model: {error}") from error
        self._check_signature(self._session, spec, map_spec)

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Runtime.infer`."""
        if self._session is None:
            raise RuntimeFailure("the runtime is closed")
        try:
            image_score, anomaly_map = self._session.run(["image_score", "anomaly_map"], {"image": images})
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise RuntimeFailure(f"ONNX Runtime failed on input {images.shape} {images.dtype}: {error}") from error
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

    @staticmethod
    def _check_signature(session: ort.InferenceSession, spec: InputSpec, map_spec: MapSpec) -> None:
        """Names, types and sizes; the first dimension is the batch and free."""
        found = [
            (node.name, node.type, list(node.shape)[1:]) for node in (*session.get_inputs(), *session.get_outputs())
        ]
        wanted = [
            ("image", "tensor(uint8)", [spec.height, spec.width, spec.channels]),
            ("image_score", "tensor(float)", []),
            ("anomaly_map", "tensor(float)", [map_spec.height, map_spec.width]),
        ]
        if found != wanted:
            raise RuntimeFailure(
                f"the model has inputs and outputs {found}, the manifest says {wanted}; teach it again"
            )
