"""The one place that knows which runtimes there are: it chooses one for an engine, opens it, and says why.

open_runtime(bundle, options)
  "onnx", "openvino"   that one, on the processor
  "tensorrt"           its plan on the GPU, or an error
  "auto"               TensorRT where there is a GPU, a graph for it and no refused plan; else ONNX Runtime
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from engines.bundle.reading import Bundle
from engines.errors import BundleError, DeviceFault, EngineError, GpuUnusable
from engines.parity_report import Tolerance
from engines.runtimes.names import Asked, Precision, RuntimeName
from engines.runtimes.onnx import open_onnx
from engines.runtimes.openvino import load_openvino, open_openvino
from engines.runtimes.protocol import FrameRuntime, Runtime
from engines.runtimes.tensorrt.libraries import load_libraries
from engines.runtimes.tensorrt.plan_maker import TOLERANCES, PlanMaker
from engines.runtimes.tensorrt.plan_store import PlanState
from engines.runtimes.tensorrt.probe import probe

ON_PROCESSOR: dict[RuntimeName, Callable[[Bundle, int], Runtime]] = {"onnx": open_onnx, "openvino": open_openvino}
"""Opened with the number of threads. TensorRT is opened by `PlanMaker`, which finds its plan."""


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How to run an engine."""

    runtime: Asked = "onnx"
    threads: int = 2
    """CPU threads of one inference, the caller's included."""
    precision: Precision = "fp16"
    """On a GPU; a CPU computes in float32."""
    reason: str = ""
    """Why this runtime is asked for; empty: somebody has configured it."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What runs the engine."""

    name: RuntimeName
    why: str
    """For people: what decided."""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A runtime that has loaded an engine's graph, and what its owner must know of it."""

    runtime: Runtime
    choice: RuntimeChoice = RuntimeChoice("onnx", "as configured")
    tolerance: Tolerance | None = None
    """Of golden scores, where the runtime does not compute in float32; None: the engine's own."""
    frames: FrameRuntime | None = None
    """The runtime once more, where it may prepare frames itself."""


def open_runtime(bundle: Bundle, options: RuntimeOptions) -> Opened:
    """Choose and open the runtime of an engine; whoever gets it closes it.

    Raises:
        EngineError: unknown runtime, no threads.
        GpuUnusable, BundleError: "tensorrt" was asked for and cannot be had.
        PlanUnusable: the plan has to be built first, with "auto" as well.
        RuntimeFailure, ParityRefused: the runtime cannot load the graph, or computes something else.
    """
    known = get_args(Asked)
    if options.runtime not in known:
        raise EngineError(f'unknown runtime "{options.runtime}"; known: {", ".join(sorted(known))}')
    if options.threads < 1:
        raise EngineError(f"threads {options.threads}: at least 1")
    choice, maker = choose(bundle, options)
    if maker is not None:
        try:
            runtime = maker.open()
            why = "; ".join([choice.why, *runtime.notes])
            return Opened(runtime, replace(choice, why=why), TOLERANCES[options.precision], frames=runtime)
        except DeviceFault as problem:
            if options.runtime != "auto":
                raise
            choice = RuntimeChoice("onnx", f"chosen by auto, because {problem}")
    elif options.reason:
        choice = replace(choice, why=options.reason)
    return Opened(ON_PROCESSOR[choice.name](bundle, options.threads), choice)


def require_usable(asked: Asked) -> None:
    """Can it be had on this computer, whatever the engine? Asked before there is one.

    Raises:
        RuntimeFailure: no; GpuUnusable where a GPU or its libraries are missing.
    """
    match asked:
        case "tensorrt":
            load_libraries(probe())
        case "openvino":
            load_openvino()


def choose(bundle: Bundle, options: RuntimeOptions) -> tuple[RuntimeChoice, PlanMaker | None]:
    """The runtime for an engine; with TensorRT also what opens its plan.

    `auto` takes TensorRT wherever a GPU can be used and the engine has a graph for it, and says why not where not. A
    plan that only has to be built is no reason to take another runtime: whoever asked decides about that.

    Raises:
        GpuUnusable, BundleError: "tensorrt" was asked for and cannot be had.
    """
    match options.runtime:
        case "tensorrt":
            maker = PlanMaker(bundle, options.precision)
            return RuntimeChoice("tensorrt", f"as configured; {_on(maker)}"), maker
        case "auto":
            return _auto(bundle, options)
        case name:
            return RuntimeChoice(name, "as configured"), None


def _auto(bundle: Bundle, options: RuntimeOptions) -> tuple[RuntimeChoice, PlanMaker | None]:
    try:
        maker = PlanMaker(bundle, options.precision)
    except (GpuUnusable, BundleError) as problem:
        return RuntimeChoice("onnx", f"chosen by auto, because {problem}"), None
    found = maker.find()
    if found.state is PlanState.REFUSED:
        return RuntimeChoice("onnx", f"chosen by auto, because the plan is refused: {found.detail}"), None
    return RuntimeChoice("tensorrt", f"chosen by auto; {_on(maker)}"), maker


def _on(maker: PlanMaker) -> str:
    return f"TensorRT {maker.key.tensorrt_version} {maker.key.precision} on {maker.gpu}"
