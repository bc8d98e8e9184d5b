"""From an ONNX graph to a TensorRT plan.

The network is strongly typed, so TensorRT computes in the types that the graph says and decides nothing about
precision. (In TensorRT 11 there is nothing else; in 10 the flag asks for it.) TF32 is off: float32 means float32.

Functions take the module that builds, `tensorrt`; it must be there and work, see `libraries`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.errors import RuntimeFailure
from engines.runtimes.tensorrt.plan_key import Profile

if TYPE_CHECKING:
    import tensorrt

WORKSPACE_BYTES = 1 << 30
"""Scratch memory that a single kernel may use."""
MAX_LOG_LINES = 20
INPUT = "image"


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Where the builder is."""

    phase: str
    done: int
    total: int
    """Steps of this phase."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came out."""

    plan: bytes
    timing_cache: bytes
    """Empty when this TensorRT gave none."""


class BuildCancelled(RuntimeFailure):
    """Somebody has cancelled the build."""


def build_plan(
    trt: Any,
    model: bytes,
    profile: Profile,
    *,
    timing_cache: bytes = b"",
    workspace_bytes: int = WORKSPACE_BYTES,
    on_progress: Callable[[BuildProgress], None] = lambda _: None,
    cancelled: threading.Event | None = None,
    adjust: Callable[[Any], None] = lambda _: None,
) -> Built:
    """Build the plan of an ONNX graph for the GPU of this process; takes seconds to minutes.

    Args:
        trt: the module.
        model: the serialised graph: one input `image` (n, height, width, channels), n free; or 1, like the profile.
        profile: for which n.
        timing_cache: of an earlier build on this GPU.
        workspace_bytes: scratch memory that a kernel may use.
        on_progress: called from threads of TensorRT; what it raises ends the build and is raised here.
        cancelled: when set, the build ends soon.
        adjust: may change the builder's configuration before the build.

    Raises:
        RuntimeFailure: the graph cannot be read or built; with what TensorRT said.
        BuildCancelled: it was.
    """
    log = make_logger(trt)
    builder: tensorrt.Builder = trt.Builder(log)
    network: tensorrt.INetworkDefinition = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    _parse(trt, network, model, log)
    config: tensorrt.IBuilderConfig = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, network, config, profile)
    _use_cache(config, timing_cache)
    adjust(config)
    monitor = make_monitor(trt, on_progress, cancelled)
    config.progress_monitor = monitor
    plan: tensorrt.IHostMemory | None = builder.build_serialized_network(network, config)
    if monitor.raised is not None:
        raise monitor.raised
    if cancelled is not None and cancelled.is_set():
        raise BuildCancelled("the build of the plan was cancelled; nothing was written")
    if plan is None:
        raise RuntimeFailure(f"TensorRT {trt.__version__} cannot build the graph for this GPU: {log.text}")
    return Built(plan=bytes(plan), timing_cache=_cache_of(config))


def make_logger(trt: Any) -> Any:
    """An `ILogger` that keeps the last warnings and errors in `.lines`, and as one line in `.text`."""

    class Log(trt.ILogger):  # type: ignore[misc]  # the module is an argument
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=MAX_LOG_LINES)

        def log(self, severity: Any, message: str) -> None:
            """Called from any thread of TensorRT."""
            if int(severity) <= int(trt.ILogger.Severity.WARNING):
                self.lines.append(message.strip())

        @property
        def text(self) -> str:
            """The last lines, the newest last."""
            return " | ".join(list(self.lines)[-4:]) or "TensorRT gave no reason"

    return Log()


def make_monitor(trt: Any, on_progress: Callable[[BuildProgress], None], cancelled: threading.Event | None) -> Any:
    """An `IProgressMonitor` that calls `on_progress`; what that raises is kept in `.raised` and ends the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the module is an argument
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.raised: BaseException | None = None
            self._totals: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """A phase begins, alone or within another."""
            del parent_phase  # TensorRT passes it by this name
            self._totals[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """A step is done; False ends the build."""
            self._tell(phase_name, step + 1)
            return self.raised is None and not (cancelled is not None and cancelled.is_set())

        def phase_finish(self, phase_name: str) -> None:
            """A phase is over, maybe before its last step."""
            self._tell(phase_name, self._totals.get(phase_name, 0))

        def _tell(self, phase: str, done: int) -> None:
            try:
                on_progress(BuildProgress(phase, done, max(done, self._totals.get(phase, 0))))
            except BaseException as problem:  # noqa: BLE001  nothing may be raised into TensorRT: it would end the process
                self.raised = self.raised or problem

    return Monitor()


def _parse(trt: Any, network: tensorrt.INetworkDefinition, model: bytes, log: Any) -> None:
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, log)
    if parser.parse(model):
        return
    problems = []
    for index in range(parser.num_errors):
        error: tensorrt.ParserError = parser.get_error(index)
        problems.append(f"node {error.node()} {error.node_operator()} {error.node_name()}: {error.desc()}".strip())
    raise RuntimeFailure(f"TensorRT {trt.__version__} cannot read the graph: {'; '.join(problems[:4]) or log.text}")


def _add_profile(
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    config: tensorrt.IBuilderConfig,
    batches: Profile,
) -> None:
    if network.num_inputs != 1:
        raise RuntimeFailure(f"the graph has {network.num_inputs} inputs, one is wanted; teach the engine again")
    image: tensorrt.ITensor = network.get_input(0)
    free, *size = tuple(image.shape)
    if image.name == INPUT and batches.max_batch == free == 1 and -1 not in size:
        return  # made for one image: nothing is left to be said
    if image.name != INPUT or free != -1 or -1 in size:
        found = f"{image.name} {(free, *size)}"
        raise RuntimeFailure(f"the graph takes {found}, {INPUT} (-1, height, width, 3) is wanted; teach it again")
    profile: tensorrt.IOptimizationProfile = builder.create_optimization_profile()
    profile.set_shape(INPUT, (batches.min_batch, *size), (batches.opt_batch, *size), (batches.max_batch, *size))
    if config.add_optimization_profile(profile) < 0:
        raise RuntimeFailure(f"TensorRT does not take the profile {batches} of {INPUT} {tuple(size)}")


def _use_cache(config: tensorrt.IBuilderConfig, data: bytes) -> None:
    """Start from earlier measurements, or from none when they are not of this GPU and TensorRT."""
    for content in (data, b""):
        cache: tensorrt.ITimingCache | None = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return


def _cache_of(config: tensorrt.IBuilderConfig) -> bytes:
    cache: tensorrt.ITimingCache | None = config.get_timing_cache()
    if cache is None:
        return b""
    data: tensorrt.IHostMemory | None = cache.serialize()
    return b"" if data is None else bytes(data)
