"""From an engine to plans that may be used: build them here, compare them with the processor, keep them.

One plan gives the scores. An engine that was taught on frames of one size has a second one, which prepares them; it is
used where it is faster than the processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from engines.bundle.files import FRAME_FILE
from engines.bundle.manifest import Variant
from engines.bundle.reading import Bundle
from engines.errors import BundleError, PlanUnusable, RuntimeFailure
from engines.parity_report import FLOAT32, HALF, INT8, ParityReport, Tolerance
from engines.runtimes.frame_check import check_frames
from engines.runtimes.names import Precision
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import Side, compare, parity_images
from engines.runtimes.protocol import Runtime
from engines.runtimes.tensorrt.builder import WORKSPACE_BYTES, BuildProgress, build_plan
from engines.runtimes.tensorrt.frame_plan import FramePlan
from engines.runtimes.tensorrt.libraries import Libraries, load_libraries
from engines.runtimes.tensorrt.plan_key import ONE_IMAGE, SEVERAL_IMAGES, PlanKey, Profile, plan_key
from engines.runtimes.tensorrt.plan_store import PlanFound, PlanRecord, PlanState, PlanStore
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


@dataclass(frozen=True, slots=True)
class MadePlan:
    """What came out of a build."""

    record: PlanRecord
    """Of the plan that gives the scores; it may be used if `.parity.passed`."""
    frames: str
    """Where frames are prepared, and why, in words; empty: the engine has no graph for that."""
    frame_plan: FramePlan | None = None
    """What prepares them on the GPU, whether it is used or not; None: it was not built."""


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
        self.key = self._key(self._model, precision, SEVERAL_IMAGES)
        frame = bundle.frame
        self._frame = None if frame is None else (frame, self._key(frame.model, "fp32", ONE_IMAGE))
        self._plans = PlanStore(bundle.path)

    def find(self) -> PlanFound:
        """Whether there is a plan that may be used."""
        return self._plans.find(self.key)

    def open(self) -> TensorRtRuntime:
        """The runtime of the plans that are there.

        Raises:
            PlanUnusable: there is none that may be used.
            DeviceFault, RuntimeFailure: the GPU or TensorRT does not take it.
        """
        plan, _ = self._plans.read(self.key)
        frame_plan, where = self._frame_plan()
        runtime = self._runtime(plan, frame_plan)
        runtime.notes += (f"frames are prepared {where}",) if where else ()
        return runtime

    def make(self, *, threads: int, on_progress: Callable[[BuildProgress], None] = lambda _: None) -> MadePlan:
        """Build, compare and keep the plans, whatever is there already.

        Args:
            threads: of the processor, for the comparison.
            on_progress: called from threads of TensorRT.

        Raises:
            RuntimeFailure: the plan that gives the scores cannot be built or run.
            BundleError: it cannot be written.
        """
        plan = self._build(self._model, self.key, on_progress)
        manifest = self._bundle.manifest
        with (
            self._runtime(plan) as candidate,
            OnnxRuntime(self._bundle.model, manifest.input, manifest.map, threads=threads) as reference,
        ):
            parity = self._compare(reference, candidate)
        record = self._plans.write(self.key, plan, parity)
        if self._frame is None or not parity.passed:
            return MadePlan(record, "")
        graph, key = self._frame
        try:
            frame_plan = FramePlan(self._build(graph.model, key, on_progress), graph.shape)
            with self._runtime(plan, frame_plan) as candidate:
                check = check_frames(candidate, self._bundle, graph.shape)
        except RuntimeFailure as problem:  # the processor can do it
            return MadePlan(record, f"on the processor: {FRAME_FILE}: {problem}")
        self._plans.write(key, frame_plan.plan, None, check)
        return MadePlan(record, str(check), frame_plan)

    def _frame_plan(self) -> tuple[FramePlan | None, str]:
        """What prepares frames, None where the processor does; and where it is done and why, in words."""
        if self._frame is None:
            return None, ""
        graph, key = self._frame
        found = self._plans.find(key)
        if found.state is PlanState.REFUSED:
            return None, found.detail
        try:
            plan, _ = self._plans.read(key)
        except PlanUnusable as problem:
            return None, f"on the processor: {problem}"
        return FramePlan(plan, graph.shape), found.detail

    def _key(self, model: bytes, precision: Precision, profile: Profile) -> PlanKey:
        sha256 = hashlib.sha256(model).hexdigest()
        return plan_key(sha256, precision, self.libraries.tensorrt_version, self.gpu, profile)

    def _build(self, model: bytes, key: PlanKey, on_progress: Callable[[BuildProgress], None]) -> bytes:
        built = build_plan(
            self.libraries.tensorrt,
            model,
            key.profile,
            timing_cache=self._plans.timing_cache(key),
            workspace_bytes=min(WORKSPACE_BYTES, self.gpu.memory_bytes // 4),
            on_progress=on_progress,
        )
        self._plans.write_timing_cache(key, built.timing_cache)
        return built.plan

    def _runtime(self, plan: bytes, frame_plan: FramePlan | None = None) -> TensorRtRuntime:
        manifest = self._bundle.manifest
        return TensorRtRuntime(
            plan, manifest.input, manifest.map, gpu=self.gpu, libraries=self.libraries, frame_plan=frame_plan
        )

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
