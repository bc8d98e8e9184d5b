"""The GPU as pycuda shows it: one context per process, one stream per runtime, and the buffers of its tensors.

The primary context is the one that TensorRT uses, too. It is made current around every piece of work and taken away
after it, so an engine may be loaded and warmed up by one thread and handed over to another; only never used by two at a
time. pycuda releases memory only where the context is current: whoever uses this calls `close` and leaves nothing to
the garbage collector.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    import pycuda.driver

DEVICE = 0
"""The first that CUDA shows; CUDA_VISIBLE_DEVICES chooses."""
NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: work on the default stream (TensorRT's builder uses it) does not wait for this one."""

_lock = threading.Lock()
_contexts: list[pycuda.driver.Context] = []
"""The retained primary context; kept until the process ends, as CUDA's own runtime does."""


class Device:
    """The GPU with a stream of its own.

    Args:
        cuda: the module `pycuda.driver`.
        integrated: the GPU shares the memory of the processor, so nothing has to be copied.
    """

    def __init__(self, cuda: Any, *, integrated: bool) -> None:
        self._cuda = cuda
        self.integrated = integrated
        self._context: pycuda.driver.Context = _primary_context(cuda)
        with self.current():
            self._stream: pycuda.driver.Stream = cuda.Stream(NON_BLOCKING)

    @property
    def stream_handle(self) -> int:
        """CUstream."""
        return int(self._stream.handle)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What pycuda raises."""
        return (self._cuda.Error,)

    def is_out_of_memory(self, problem: Exception) -> bool:
        """Whether memory was short."""
        return isinstance(problem, self._cuda.MemoryError)

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context is current in this thread."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def synchronize(self) -> None:
        """Wait until everything on the stream is done. Other threads run meanwhile."""
        self._stream.synchronize()

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> Buffer:
        """Memory for a tensor. The context is current."""
        return Buffer(self._cuda, self._stream, shape, dtype, mapped=self.integrated)

    def memory(self, size_bytes: int) -> pycuda.driver.DeviceAllocation:
        """Memory of the GPU alone. The context is current."""
        memory: pycuda.driver.DeviceAllocation = self._cuda.mem_alloc(size_bytes)
        return memory

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        """Put a copy within the memory of the GPU on the stream. The context is current."""
        self._cuda.memcpy_dtod_async(target, source, size_bytes, self._stream)

    def free_bytes(self) -> int:
        """Memory of the GPU that nothing uses. The context is current."""
        free, _ = self._cuda.mem_get_info()
        return int(free)

    def time_ms(self, work: Any) -> float:
        """Run `work`, which puts something on the stream, and return how long the GPU took for it. The context is
        current.
        """
        start: pycuda.driver.Event = self._cuda.Event()
        end: pycuda.driver.Event = self._cuda.Event()
        start.record(self._stream)
        work()
        end.record(self._stream)
        end.synchronize()
        return float(start.time_till(end))

    def close(self) -> None:
        """Give the stream back; may be called twice. The context is current, and nothing is on the stream."""
        if hasattr(self, "_stream"):
            del self._stream


class Buffer:
    """A tensor in page-locked memory of the processor and in memory of the GPU; one and the same where `mapped`."""

    def __init__(self, cuda: Any, stream: Any, shape: tuple[int, ...], dtype: DTypeLike, *, mapped: bool) -> None:
        self._cuda, self._mapped = cuda, mapped
        self._stream: pycuda.driver.Stream = stream
        flags = cuda.host_alloc_flags.DEVICEMAP if mapped else 0
        self.host: NDArray[Any] = cuda.pagelocked_empty(shape, dtype, mem_flags=flags)
        self._pinned: pycuda.driver.PagelockedHostAllocation = self.host.base
        self._memory: pycuda.driver.DeviceAllocation | None = None if mapped else cuda.mem_alloc(self.host.nbytes)
        self.address = int(self._pinned.get_device_pointer() if self._memory is None else self._memory)
        """Where the GPU sees it."""
        self.host.fill(0)

    def upload(self, count: int) -> None:
        """Put the copy of the first `count` entries to the GPU on the stream."""
        if not self._mapped:
            self._cuda.memcpy_htod_async(self.address, self.host[:count], self._stream)

    def download(self, count: int) -> None:
        """Likewise back."""
        if not self._mapped:
            self._cuda.memcpy_dtoh_async(self.host[:count], self.address, self._stream)

    def close(self) -> None:
        """Give the memory back; may be called twice. The context is current."""
        if self._memory is not None:
            self._memory.free()
            self._memory = None
        if self.host.size:
            self.host = np.empty(0, self.host.dtype)  # nothing may look at memory that is gone
            self._pinned.free()
        if hasattr(self, "_stream"):
            del self._stream  # or the stream would outlive its context


def _primary_context(cuda: Any) -> pycuda.driver.Context:
    with _lock:
        if not _contexts:
            cuda.init()
            device: pycuda.driver.Device = cuda.Device(DEVICE)
            context: pycuda.driver.Context = device.retain_primary_context()
            _contexts.append(context)
        return _contexts[0]
