"""Which runtime runs an engine, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.bundle.reading import Bundle
from engines.errors import BundleError, GpuUnusable
from engines.runtimes.openvino import load_openvino
from engines.runtimes.tensorrt.libraries import load_libraries
from engines.runtimes.tensorrt.plan_key import Precision
from engines.runtimes.tensorrt.plan_maker import PlanMaker
from engines.runtimes.tensorrt.plan_store import PlanState
from engines.runtimes.tensorrt.probe import probe

RuntimeName = Literal["onnx", "openvino", "tensorrt"]
Asked = Literal["auto", "onnx", "openvino", "tensorrt"]


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How an engine is to be run."""

    runtime: Asked = "onnx"
    threads: int = 2
    """CPU threads of one inference, the caller's included."""
    precision: Precision = "fp16"
    """On a GPU; a CPU computes in float32."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What runs the engine."""

    name: RuntimeName
    why: str
    """For people: what decided."""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


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
