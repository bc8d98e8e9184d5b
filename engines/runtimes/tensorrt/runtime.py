"""The production runtime: a TensorRT plan with everything prepared before the first part.

Per number of images there is an execution context of its own (a captured graph holds the state of its context, and
changing a context would break the graph), and all of them share one piece of scratch memory, for they never run at the
same time. Copy to the GPU, kernels and copy back are captured in a CUDA graph: one call per inference.

    page-locked image ─► GPU ─► kernels ─► GPU ─► page-locked score and map        one stream, in this order

Where the engine has a plan that prepares frames, and that is faster here, frames come in by `frames` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapSpec
from engines.errors import DeviceFault, FaultKind, RuntimeFailure
from engines.runtimes.protocol import Inferred
from engines.runtimes.tensorrt.builder import make_logger
from engines.runtimes.tensorrt.cuda_graphs import CapturedGraph
from engines.runtimes.tensorrt.device import Buffer, Device
from engines.runtimes.tensorrt.driver import Driver, DriverError
from engines.runtimes.tensorrt.faults import device_fault
from engines.runtimes.tensorrt.frame_plan import FramePlan, FrameStage
from engines.runtimes.tensorrt.libraries import Libraries
from engines.runtimes.tensorrt.loaded_plan import LoadedPlan, NotDone
from engines.runtimes.tensorrt.plan_key import MAX_BATCH
from engines.runtimes.tensorrt.probe import Gpu

if TYPE_CHECKING:
    import tensorrt

IMAGE, SCORE, MAP, KINDS = "image", "image_score", "anomaly_map", "kinds"

_abandoned: list[TensorRtRuntime] = []
"""Runtimes whose GPU failed, with all that they hold."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What is put on the stream, or captured, in one go."""

    kind: Literal["images", "frame", "prepared"]
    """Images from page-locked memory to their scores; one frame to the model's input; from there to the scores."""
    number: int
    """Of images; for a frame its slot."""


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
        frame_plan: what prepares frames; None: they are prepared by the processor.

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
        frame_plan: FramePlan | None = None,
    ) -> None:
        self._trt = libraries.tensorrt
        self._driver = Driver()
        self._log = make_logger(self._trt)
        self._spec, self._map_spec, self._max_batch = spec, map_spec, max_batch
        self._owner = threading.Lock()
        self._closing = ExitStack()
        self._contexts: dict[int, tensorrt.IExecutionContext] = {}
        self._frames: FrameStage | None = None
        self._graphs: dict[_Work, CapturedGraph] = {}
        self._kinds: Buffer | None = None
        self._likenesses: list[NDArray[np.float32]] = []
        self._closed = False
        self._lost = False
        self.notes: tuple[str, ...] = ()
        """For people: what is not as fast as it could be, and why; where frames are prepared."""
        try:
            self._device = Device(libraries.cuda, integrated=gpu.integrated)
        except libraries.cuda.Error as problem:
            raise DeviceFault(f"GPU: no context on {gpu.name}: {problem}; see nvidia-smi", FaultKind.OTHER) from problem
        self._failures: tuple[type[Exception], ...] = (DriverError, NotDone, *self._device.errors)
        try:
            self._guarded("loading the plan", lambda: self._load(plan, frame_plan, graphs=graphs))
        except BaseException:
            self.close()
            raise

    @property
    def uses_graphs(self) -> bool:
        """Everything is the replay of a graph."""
        return len(self._graphs) == self._max_batch * (3 if self._frames else 1)

    @property
    def frame_shape(self) -> tuple[int, ...] | None:
        """See `FrameRuntime.frame_shape`."""
        return self._frames.shape if self._frames else None

    @property
    def kinds(self) -> NDArray[np.float32] | None:
        """See `Runtime.kinds`."""
        return np.concatenate(self._likenesses) if self._likenesses else None

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """See `Runtime.infer`.

        Raises:
            DeviceFault: the GPU failed; `.kind` says how, `.needs_restart` whether this process can go on.
            RuntimeFailure: another shape, closed, or used by two threads at once.
        """
        size = (self._spec.height, self._spec.width, self._spec.channels)
        if images.ndim != 4 or images.shape[1:] != size or images.dtype != np.uint8 or len(images) == 0:
            wanted = ", ".join(map(str, ("n", *size)))
            raise RuntimeFailure(f"images {images.shape} {images.dtype}: the plan takes ({wanted}) uint8")
        return self._in_turn(images, self._infer)

    def infer_frames(self, frames: Sequence[NDArray[np.uint8]]) -> Inferred:
        """See `FrameRuntime.infer_frames`. Raises as `infer`."""
        self._check_frames(frames)
        return self._in_turn(frames, self._infer_frames)

    def prepared(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `FrameRuntime.prepared`. Raises as `infer`."""
        self._check_frames([frame])
        pixels: NDArray[np.uint8] = self._guarded("a frame", partial(self._prepared, frame))
        return pixels

    def device_time_ms(self, count: int) -> float:
        """How long the GPU takes for `count` images, copies included, without what the processor does around it.

        Raises:
            DeviceFault: the GPU failed.
        """
        start = partial(self._start, _Work("images", count))
        measured = self._guarded("a measurement", lambda: self._device.time_ms(start))
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

    def _load(self, plan: bytes, frame_plan: FramePlan | None, *, graphs: bool) -> None:
        loaded = LoadedPlan(self._trt, self._log, self._device, plan)
        self._closing.callback(loaded.close)
        self._closing.callback(self._contexts.clear)
        trt, spec, map_spec = self._trt, self._spec, self._map_spec
        image_shape, map_shape = (spec.height, spec.width, spec.channels), map_spec.shape
        wanted = {
            IMAGE: (True, trt.DataType.UINT8, (-1, *image_shape)),
            SCORE: (False, trt.DataType.FLOAT, (-1,)),
            MAP: (False, trt.DataType.FLOAT, (-1, *map_shape)),
        }
        kinds = loaded.kinds_of(KINDS)
        loaded.check({**wanted, KINDS: (False, trt.DataType.FLOAT, (-1, kinds))} if kinds else wanted)
        self._image = self._buffer((self._max_batch, *image_shape), np.uint8)
        self._score = self._buffer((self._max_batch,), np.float32)
        self._map = self._buffer((self._max_batch, *map_shape), np.float32)
        addresses = {IMAGE: self._image.address, SCORE: self._score.address, MAP: self._map.address}
        if kinds:
            self._kinds = self._buffer((self._max_batch, kinds), np.float32)
            addresses[KINDS] = self._kinds.address
        for count in range(1, self._max_batch + 1):
            self._contexts[count] = loaded.context(addresses, {IMAGE: (count, *image_shape)})
        if frame_plan is not None:
            stage = FrameStage(self._trt, self._log, self._device, frame_plan, self._image)
            self._closing.callback(stage.close)
            self._frames = stage
        self._warm_up(graphs=graphs)
        self._likenesses.clear()
        self._log.lines.clear()

    def _buffer(self, shape: tuple[int, ...], dtype: Any) -> Buffer:
        buffer = self._device.buffer(shape, dtype)
        self._closing.callback(buffer.close)
        return buffer

    def _warm_up(self, *, graphs: bool) -> None:
        """Every number of images once; then captured, and kept only if the replay gives the very same bits."""
        images = _noise(self._image.host.shape)
        calls = [
            (f"{count}", [_Work("images", count)], partial(self._infer, images[:count])) for count in self._contexts
        ]
        if self._frames is not None:
            frame = _noise(self._frames.shape)
            frames = [frame, 255 - frame] * self._max_batch  # neighbours differ: none may get into another's slot
            calls += [
                (
                    f"{count} as frames",
                    [_Work("frame", count - 1), _Work("prepared", count)],
                    partial(self._infer_frames, frames[:count]),
                )
                for count in self._contexts
            ]
        without: dict[str, list[str]] = {}
        for what, works, run in calls:
            why = self._capture(graphs, works, run)
            if why:
                without.setdefault(why, []).append(what)
        self.notes = tuple(
            f"no CUDA graph for {', '.join(counts)} images at a time: {why}" for why, counts in without.items()
        )

    def _capture(self, graphs: bool, works: list[_Work], run: Callable[[], Inferred]) -> str:
        """Have graphs for what `run` puts on the stream; returns why not, empty when there are."""
        expected = run()
        if not graphs:
            return "switched off"
        try:
            for work in works:
                graph = CapturedGraph(self._driver, self._device.stream_handle, partial(self._enqueue, work))
                self._closing.callback(graph.close)
                self._graphs[work] = graph
            if all(np.array_equal(a, b) for a, b in zip(expected, run(), strict=True)):
                return ""
            why = "its replay does not give the same bits"
        except self._failures as problem:
            why = f"{problem}"
        for work in works:
            self._graphs.pop(work, None)
        return why

    # ---- running ------------------------------------------------------------------------------------------------

    def _check_frames(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        if self._frames is None or not frames:
            raise RuntimeFailure(f"{len(frames)} frames: there is no plan that prepares them, or nothing to do")
        for frame in frames:
            if frame.shape != self._frames.shape or frame.dtype != np.uint8:
                wanted = ", ".join(map(str, self._frames.shape))
                raise RuntimeFailure(f"frame {frame.shape} {frame.dtype}: the plan takes ({wanted}) uint8")

    def _in_turn(self, images: Any, work: Callable[[Any], Inferred]) -> Inferred:
        """As many at a time as one call takes."""
        self._likenesses.clear()
        results = [
            self._guarded("an inference", partial(work, images[start : start + self._max_batch]))
            for start in range(0, len(images), self._max_batch)
        ]
        if len(results) == 1:
            only: Inferred = results[0]
            return only
        scores, maps = zip(*results, strict=True)
        return np.concatenate(scores), np.concatenate(maps)

    def _infer(self, images: NDArray[np.uint8]) -> Inferred:
        np.copyto(self._image.host[: len(images)], images)
        return self._finish(_Work("images", len(images)))

    def _infer_frames(self, frames: Sequence[NDArray[np.uint8]]) -> Inferred:
        for slot, frame in enumerate(frames):
            self._bring(frame, slot)
        return self._finish(_Work("prepared", len(frames)))

    def _bring(self, frame: NDArray[np.uint8], slot: int) -> None:
        """A frame on its way to a slot of the model's input."""
        assert self._frames is not None  # `_check_frames` has refused it
        if slot:
            self._device.synchronize()  # the frame before is still being read
        self._frames.put(frame)
        self._start(_Work("frame", slot))

    def _prepared(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._bring(frame, 0)
        self._image.download(1)
        self._device.synchronize()
        pixels: NDArray[np.uint8] = self._image.host[0].copy()
        return pixels

    def _finish(self, work: _Work) -> Inferred:
        count = work.number
        # What does not arrive must not look like the answer of the part before.
        self._score.host[:count] = np.nan
        self._map.host[:count] = np.nan
        if self._kinds is not None:
            self._kinds.host[:count] = np.nan
        self._start(work)
        self._device.synchronize()
        if self._kinds is not None:
            self._likenesses.append(self._kinds.host[:count].copy())
        return self._score.host[:count].copy(), self._map.host[:count].copy()

    def _start(self, work: _Work) -> None:
        graph = self._graphs.get(work)
        if graph is None:
            self._enqueue(work)
        else:
            graph.launch()

    def _enqueue(self, work: _Work) -> None:
        if work.kind == "frame":
            assert self._frames is not None
            self._frames.enqueue(work.number)
            return
        if work.kind == "images":
            self._image.upload(work.number)
        if not self._contexts[work.number].execute_async_v3(self._device.stream_handle):
            raise NotDone(f"{work.number} images were not enqueued")
        self._score.download(work.number)
        self._map.download(work.number)
        if self._kinds is not None:
            self._kinds.download(work.number)

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


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Always the same."""
    numbers = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape) * np.uint32(2654435761)
    return np.asarray(numbers >> 24, np.uint8)
