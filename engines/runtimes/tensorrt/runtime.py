"""The production runtime: a TensorRT plan with everything prepared before the first part.

Per number of images there is an execution context of its own (a captured graph holds the state of its context, and
changing a context would break the graph), and all of them share one piece of scratch memory, for they never run at the
same time. Copy to the GPU, kernels and copy back are captured in a CUDA graph: one call per inference.

    page-locked image ─► GPU ─► kernels ─► GPU ─► page-locked score and map        one stream, in this order
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import DeviceFault, FaultKind, PlanUnusable, RuntimeFailure
from engines.manifest import InputSpec, MapSpec
from engines.runtimes.tensorrt.build import make_logger
from engines.runtimes.tensorrt.device import Buffer, Device
from engines.runtimes.tensorrt.driver import Driver, DriverError
from engines.runtimes.tensorrt.faults import device_fault
from engines.runtimes.tensorrt.graphs import CapturedGraph
from engines.runtimes.tensorrt.libraries import Libraries
from engines.runtimes.tensorrt.plan_key import MAX_BATCH
from engines.runtimes.tensorrt.probe import Gpu

if TYPE_CHECKING:
    import pycuda.driver
    import tensorrt

IMAGE, SCORE, MAP = "image", "image_score", "anomaly_map"
ALIGNMENT_BYTES = 256


_abandoned: list[TensorRtRuntime] = []
"""Runtimes whose GPU failed, with all that they hold."""


class _NotDone(Exception):
    """A function of TensorRT said no; its log says why."""


class TensorRtRuntime:
    """Runs a plan `image` -> `image_score`, `anomaly_map`; see `Runtime`. Loaded, checked and warm when it is made.

    Args:
        plan: the serialised plan, built on this GPU by this TensorRT; its hash was checked.
        spec: input size that the plan must have.
        map_spec: size of the anomaly map that it must give.
        gpu: what the probe has found.
        libraries: what drives it.
        max_batch: number of images that one call of the GPU takes; more are done in several.
        graphs: capture and replay; False: enqueue every time.

    Raises:
        DeviceFault: the GPU failed, or has too little memory.
        PlanUnusable: TensorRT does not take the plan.
        RuntimeFailure: the plan has other inputs or outputs.
    """

    def __init__(
        self,
        plan: bytes,
        spec: InputSpec,
        map_spec: MapSpec,
        *,
        gpu: Gpu,
        libraries: Libraries,
        max_batch: int = MAX_BATCH,
        graphs: bool = True,
    ) -> None:
        self._trt = libraries.tensorrt
        self._driver = Driver()
        self._log = make_logger(self._trt)
        self._spec, self._map_spec, self._max_batch = spec, map_spec, max_batch
        self._owner = threading.Lock()
        self._closing = ExitStack()
        self._objects: list[Any] = []
        self._contexts: dict[int, tensorrt.IExecutionContext] = {}
        self._graphs: dict[int, CapturedGraph] = {}
        self._closed = False
        self._lost = False
        self.notes: tuple[str, ...] = ()
        """What is not as fast as it could be, and why."""
        try:
            self._device = Device(libraries.cuda, integrated=gpu.integrated)
        except libraries.cuda.Error as problem:
            raise DeviceFault(f"GPU: no context on {gpu.name}: {problem}; see nvidia-smi", FaultKind.OTHER) from problem
        self._failures: tuple[type[Exception], ...] = (DriverError, _NotDone, *self._device.errors)
        try:
            self._guarded("loading the plan", lambda: self._load(plan, graphs=graphs))
        except BaseException:
            self.close()
            raise

    @property
    def uses_graphs(self) -> bool:
        """Every number of images replays a graph."""
        return len(self._graphs) == self._max_batch

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Runtime.infer`.

        Raises:
            DeviceFault: the GPU failed; `.kind` says how, `.needs_restart` whether this process can go on.
            RuntimeFailure: another shape, closed, or used by two threads at once.
        """
        size = (self._spec.height, self._spec.width, self._spec.channels)
        if images.ndim != 4 or images.shape[1:] != size or images.dtype != np.uint8 or len(images) == 0:
            wanted = ", ".join(map(str, ("n", *size)))
            raise RuntimeFailure(f"images {images.shape} {images.dtype}: the plan takes ({wanted}) uint8")
        scores, maps = [], []
        for start in range(0, len(images), self._max_batch):
            score, anomaly_map = self._guarded("an inference", partial(self._infer, images[start:]))
            scores.append(score)
            maps.append(anomaly_map)
        return (scores[0], maps[0]) if len(scores) == 1 else (np.concatenate(scores), np.concatenate(maps))

    def device_time_ms(self, count: int) -> float:
        """How long the GPU takes for `count` images, copies included, without what the processor does around it.

        Raises:
            DeviceFault: the GPU failed.
        """
        measured = self._guarded("a measurement", lambda: self._device.time_ms(lambda: self._start(count)))
        return float(measured)

    def close(self) -> None:
        """Give memory and graphs back; may be called twice. A GPU that has failed keeps what it has until the process
        ends.
        """
        if self._closed:
            return
        self._closed = True
        if self._lost:
            _abandoned.append(self)  # releasing any of it would call into a context that is gone
            return
        with suppress(*self._device.errors, DriverError), self._device.current():
            self._closing.close()
            self._device.close()

    def __enter__(self) -> TensorRtRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- loading ------------------------------------------------------------------------------------------------

    def _load(self, plan: bytes, *, graphs: bool) -> None:
        runtime: tensorrt.Runtime = self._trt.Runtime(self._log)
        engine: tensorrt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
        if engine is None and "out of memory" in self._log.text.lower():
            raise _NotDone("the plan was not deserialised")
        if engine is None:
            raise PlanUnusable(
                f"TensorRT {self._trt.__version__} does not take the plan: {self._log.text}; station engine build",
                rebuilding_helps=True,
            )
        # Released last: contexts belong to the engine, the engine belongs to the runtime.
        self._objects = [runtime, engine]
        self._closing.callback(self._release_objects)
        self._check_signature(engine)
        image_shape = (self._max_batch, self._spec.height, self._spec.width, self._spec.channels)
        map_shape = (self._max_batch, self._map_spec.height, self._map_spec.width)
        self._image = self._buffer(image_shape, np.uint8)
        self._score = self._buffer((self._max_batch,), np.float32)
        self._map = self._buffer(map_shape, np.float32)
        scratch_bytes = max(int(engine.device_memory_size_v2), ALIGNMENT_BYTES)
        scratch: pycuda.driver.DeviceAllocation = self._device.memory(scratch_bytes)
        self._closing.callback(scratch.free)
        for count in range(1, self._max_batch + 1):
            self._contexts[count] = self._context(engine, count, int(scratch), scratch_bytes)
        self._warm_up(graphs=graphs)
        self._log.lines.clear()

    def _release_objects(self) -> None:
        self._contexts.clear()
        while self._objects:
            self._objects.pop()

    def _check_signature(self, engine: tensorrt.ICudaEngine) -> None:
        trt = self._trt
        found = set()
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            found.add((name, is_input, engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))))
        spec, map_spec = self._spec, self._map_spec
        wanted = {
            (IMAGE, True, trt.DataType.UINT8, (-1, spec.height, spec.width, spec.channels)),
            (SCORE, False, trt.DataType.FLOAT, (-1,)),
            (MAP, False, trt.DataType.FLOAT, (-1, map_spec.height, map_spec.width)),
        }
        if found != wanted:
            raise RuntimeFailure(f"the plan has inputs and outputs {found}, the manifest says {wanted}; build it again")

    def _buffer(self, shape: tuple[int, ...], dtype: Any) -> Buffer:
        buffer = self._device.buffer(shape, dtype)
        self._closing.callback(buffer.close)
        return buffer

    def _context(
        self, engine: tensorrt.ICudaEngine, count: int, scratch: int, scratch_bytes: int
    ) -> tensorrt.IExecutionContext:
        context: tensorrt.IExecutionContext | None = engine.create_execution_context(
            self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise _NotDone(f"no execution context for {count} images")
        context.set_device_memory(scratch, scratch_bytes)
        shape = (count, self._spec.height, self._spec.width, self._spec.channels)
        addresses = {IMAGE: self._image.address, SCORE: self._score.address, MAP: self._map.address}
        done = all(context.set_tensor_address(name, address) for name, address in addresses.items())
        if not (done and context.set_input_shape(IMAGE, shape)):
            raise _NotDone(f"the execution context does not take {count} images")
        return context

    # ---- running ------------------------------------------------------------------------------------------------

    def _warm_up(self, *, graphs: bool) -> None:
        """Every number of images once; then captured, and kept only if the replay gives the very same bits."""
        pattern = np.arange(self._image.host.size, dtype=np.uint32).reshape(self._image.host.shape) * 2654435761
        image = (pattern >> 24).astype(np.uint8)
        without: dict[str, list[int]] = {}
        for count in self._contexts:
            expected = self._infer(image[:count])
            if not graphs:
                without.setdefault("switched off", []).append(count)
                continue
            try:
                self._graphs[count] = self._captured(count)
            except self._failures as problem:
                without.setdefault(f"{problem}", []).append(count)
                continue
            found = self._infer(image[:count])
            if not all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True)):
                del self._graphs[count]
                without.setdefault("its replay does not give the same bits", []).append(count)
        self.notes = tuple(
            f"no CUDA graph for {', '.join(map(str, counts))} images at a time: {why}"
            for why, counts in without.items()
        )

    def _captured(self, count: int) -> CapturedGraph:
        graph = CapturedGraph(self._driver, self._device.stream_handle, lambda: self._enqueue(count))
        self._closing.callback(graph.close)
        return graph

    def _infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As many as one call takes."""
        count = min(len(images), self._max_batch)
        np.copyto(self._image.host[:count], images[:count])
        # What does not arrive must not look like the answer of the part before.
        self._score.host[:count] = np.nan
        self._map.host[:count] = np.nan
        self._start(count)
        self._device.synchronize()
        return self._score.host[:count].copy(), self._map.host[:count].copy()

    def _start(self, count: int) -> None:
        graph = self._graphs.get(count)
        if graph is None:
            self._enqueue(count)
        else:
            graph.launch()

    def _enqueue(self, count: int) -> None:
        self._image.upload(count)
        if not self._contexts[count].execute_async_v3(self._device.stream_handle):
            raise _NotDone(f"{count} images were not enqueued")
        self._score.download(count)
        self._map.download(count)

    def _guarded(self, what: str, work: Callable[[], Any]) -> Any:
        """Work with the GPU on behalf of one thread; whatever it says becomes an error with its kind."""
        if self._closed:
            raise RuntimeFailure("the runtime is closed")
        if not self._owner.acquire(blocking=False):
            raise RuntimeFailure("the runtime is used by two threads at once")
        try:
            with self._device.current():
                try:
                    return work()
                except self._failures as problem:
                    raise self._fault(what, problem) from problem
        except self._device.errors as problem:  # the context itself cannot be made current
            self._lost = True
            raise DeviceFault(f"GPU: {what} failed: {problem}; restart the station", FaultKind.DEVICE_LOST) from problem
        finally:
            self._owner.release()

    def _fault(self, what: str, problem: Exception) -> DeviceFault:
        """The context is current."""
        detail = f"{problem}; {self._log.text}" if self._log.lines else str(problem)
        memory_short = self._device.is_out_of_memory(problem) or "out of memory" in detail.lower()
        self._log.lines.clear()
        fault = device_fault(self._driver, what, detail, out_of_memory=memory_short)
        self._lost = self._lost or fault.needs_restart
        return fault
