"""OpenVINO on the CPU: an optional runtime (extra `openvino`), in float32 whatever the processor would rather do."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapSpec
from engines.bundle.reading import Bundle
from engines.errors import RuntimeFailure
from engines.parity_report import FLOAT32
from engines.runtimes.onnx import OnnxRuntime, runtime_name
from engines.runtimes.parity import Side, compare, parity_images, require_parity
from engines.runtimes.signature import KINDS, OUTPUTS, Tensor, check_signature

if TYPE_CHECKING:
    import openvino

_TYPES = {"u8": "uint8", "f32": "float32"}


def load_openvino() -> Any:
    """The module. Raises RuntimeFailure when it is not installed."""
    # It sends usage data to Intel as soon as it reads a model, unless this package is missing: this is how Python
    # itself marks one that is. A station on a factory network calls nobody.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise RuntimeFailure(
            f'runtime "openvino" is not installed ({error}); install it (pip install openvino), or set [engine] '
            'runtime = "onnx"'
        ) from error
    return openvino


class OpenVinoRuntime:
    """Runs an ONNX graph `image` -> `image_score`, `anomaly_map` on the CPU, one image after the other.

    The graph is compiled for one image: for a free number of images it would be slower, and two images together take as
    long as one after the other.

    Args:
        model: the serialised graph.
        spec: input size the graph must have.
        map_spec: size of the anomaly map it must give.
        threads: threads of one inference.

    Raises:
        RuntimeFailure: OpenVINO is not installed, the graph does not load or has other inputs or outputs, or this
            processor does not compute in float32.
    """

    def __init__(self, model: bytes, spec: InputSpec, map_spec: MapSpec, *, threads: int) -> None:
        library = load_openvino()
        self._request: openvino.InferRequest | None = None
        self.kinds: NDArray[np.float32] | None = None
        """See `Runtime.kinds`."""
        self.name = f"OpenVINO {library.get_version().partition('-')[0]} float32"
        try:
            core = library.Core()
            network = core.read_model(model)
            self._has_kinds = check_signature(_signature(network), spec, map_spec) > 0
            network.reshape({"image": [1, spec.height, spec.width, spec.channels]})
            compiled = core.compile_model(network, "CPU", _settings(threads))
            precision = compiled.get_property("INFERENCE_PRECISION_HINT")
            self._request = compiled.create_infer_request()
        except RuntimeError as error:  # OpenVINO has no errors of its own
            raise RuntimeFailure(f"{self.name} cannot load the model: {error}") from error
        if precision != library.Type.f32:
            raise RuntimeFailure(
                f'{self.name} computes in {precision} on this processor, not in f32; set [engine] runtime = "onnx"'
            )

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Runtime.infer`."""
        if self._request is None:
            raise RuntimeFailure("the runtime is closed")
        scores, maps, kinds = [], [], []
        try:
            for image in images:
                found = self._request.infer({"image": image[np.newaxis]})
                scores.append(found[OUTPUTS[0]])
                maps.append(found[OUTPUTS[1]])
                if self._has_kinds:
                    kinds.append(found[KINDS])
        except RuntimeError as error:
            raise RuntimeFailure(f"{self.name} failed on input {images.shape} {images.dtype}: {error}") from error
        self.kinds = np.concatenate(kinds) if kinds else None
        return np.concatenate(scores), np.concatenate(maps)

    def close(self) -> None:
        """Drop the model; may be called twice."""
        self._request = None

    def __enter__(self) -> OpenVinoRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_openvino(bundle: Bundle, threads: int) -> OpenVinoRuntime:
    """OpenVINO with an engine, after it has computed on this machine what ONNX Runtime computes.

    Raises:
        RuntimeFailure: see `OpenVinoRuntime`.
        ParityRefused: it computes something else.
    """
    manifest = bundle.manifest
    runtime = OpenVinoRuntime(bundle.model, manifest.input, manifest.map, threads=threads)
    try:
        with OnnxRuntime(bundle.model, manifest.input, manifest.map, threads=threads) as reference:
            report = compare(
                Side(runtime_name(), reference),
                Side(runtime.name, runtime),
                parity_images(bundle.golden, bundle.sample),
                manifest.calibration,
                FLOAT32,
            )
        require_parity(report, 'set [engine] runtime = "onnx"')
    except BaseException:
        runtime.close()
        raise
    return runtime


def _settings(threads: int) -> dict[str, Any]:
    """One stream for the lowest latency; no pinning to cores that camera and PLC need between two parts."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _signature(network: openvino.Model) -> list[Tensor]:
    """The first dimension is the batch and free."""
    return [
        (
            port.any_name,
            _TYPES.get(port.element_type.get_type_name(), port.element_type.get_type_name()),
            [size.get_length() if size.is_static else -1 for size in port.partial_shape][1:],
        )
        for port in (*network.inputs, *network.outputs)
    ]
