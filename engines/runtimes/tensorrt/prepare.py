"""From an engine to a plan that may be used: build it here, compare it with ONNX Runtime, keep it with the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from engines.bundle import Bundle
from engines.errors import BundleError
from engines.manifest import Variant
from engines.parity_report import FLOAT32, HALF, INT8, ParityReport, Tolerance
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import Side, compare, parity_images
from engines.runtimes.protocol import Runtime
from engines.runtimes.tensorrt.build import WORKSPACE_BYTES, BuildProgress, build_plan
from engines.runtimes.tensorrt.libraries import Libraries, load_libraries
from engines.runtimes.tensorrt.plan_key import PlanKey, Precision, plan_key
from engines.runtimes.tensorrt.plans import PlanFound, PlanRecord, PlanStore
from engines.runtimes.tensorrt.probe import Gpu, NoGpu, probe
from engines.runtimes.tensorrt.runtime import TensorRtRuntime

TOLERANCES: dict[Precision, Tolerance] = {"fp32": FLOAT32, "fp16": HALF, "int8-backbone": INT8}
_VARIANTS: dict[Precision, Variant] = {"fp16": "fp16", "int8-backbone": "int8"}


def graph_of(bundle: Bundle, precision: Precision) -> bytes:
    """The ONNX graph of an engine that computes in this precision. Raises BundleError when it has none."""
    if precision == "fp32":
        return bundle.model
    variant = bundle.variants.get(_VARIANTS[precision])
    if variant is None:
        have = ["fp32", *(name for name, variant in _VARIANTS.items() if variant in bundle.variants)]
        raise BundleError(
            f'engine "{bundle.path}" has no graph in precision {precision}, it has {", ".join(have)}; set [engine] '
            f'precision = "{have[-1]}", or teach it again'
        )
    return variant.model


class PlanMaker:
    """What an engine needs on the GPU of this computer.

    Raises:
        GpuUnusable: there is no GPU that can be used, or its libraries are not installed.
        BundleError: the engine has no graph in this precision.
    """

    def __init__(self, bundle: Bundle, precision: Precision) -> None:
        found = probe()
        self.libraries: Libraries = load_libraries(found)
        assert not isinstance(found, NoGpu)  # load_libraries has refused it
        self.gpu: Gpu = found
        self._bundle, self._precision = bundle, precision
        self._model = graph_of(bundle, precision)
        sha256 = hashlib.sha256(self._model).hexdigest()
        self.key: PlanKey = plan_key(sha256, precision, self.libraries.tensorrt_version, self.gpu)
        self._plans = PlanStore(bundle.path)

    def find(self) -> PlanFound:
        """Whether there is a plan that may be used."""
        return self._plans.find(self.key)

    def open(self) -> TensorRtRuntime:
        """The runtime of the plan that is there.

        Raises:
            PlanUnusable: there is none that may be used.
            DeviceFault, RuntimeFailure: the GPU or TensorRT does not take it.
        """
        plan, _ = self._plans.read(self.key)
        return self._runtime(plan)

    def make(self, *, threads: int, on_progress: Callable[[BuildProgress], None] = lambda _: None) -> PlanRecord:
        """Build, compare and keep a plan, whatever is there already. It may be used if `.parity.passed`.

        Args:
            threads: of the processor, for the comparison.
            on_progress: called from threads of TensorRT.

        Raises:
            RuntimeFailure: it cannot be built or run.
            BundleError: it cannot be written.
        """
        built = build_plan(
            self.libraries.tensorrt,
            self._model,
            self.key.profile,
            timing_cache=self._plans.timing_cache(self.key),
            workspace_bytes=min(WORKSPACE_BYTES, self.gpu.memory_bytes // 4),
            on_progress=on_progress,
        )
        self._plans.write_timing_cache(self.key, built.timing_cache)
        manifest = self._bundle.manifest
        with (
            self._runtime(built.plan) as candidate,
            OnnxRuntime(self._bundle.model, manifest.input, manifest.map, threads=threads) as reference,
        ):
            parity = self._compare(reference, candidate)
        return self._plans.write(self.key, built.plan, parity)

    def _runtime(self, plan: bytes) -> TensorRtRuntime:
        manifest = self._bundle.manifest
        return TensorRtRuntime(plan, manifest.input, manifest.map, gpu=self.gpu, libraries=self.libraries)

    def _compare(self, reference: Runtime, candidate: Runtime) -> ParityReport:
        """One by one as most parts come, then as many together as the plan takes; the first that fails counts."""
        manifest = self._bundle.manifest
        images = parity_images(self._bundle.golden, self._bundle.sample)
        name = f"TensorRT {self.key.tensorrt_version} {self.key.precision} on {self.key.gpu_name}"
        reports = []
        for batch_size in (1, self.key.profile.max_batch):
            report = compare(
                Side("ONNX Runtime fp32", reference),
                Side(f"{name}, {batch_size} at a time", candidate, batch_size),
                images,
                manifest.calibration,
                TOLERANCES[self.key.precision],
            )
            reports.append(report)
            if not report.passed:
                return report
        return reports[0]
