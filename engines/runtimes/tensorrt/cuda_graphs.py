"""CUDA graphs: what one inference enqueues, recorded once and started in a single call.

pycuda has no functions for graphs. These six are called through ctypes, on pycuda's own stream and context: NVIDIA's
`cuda-bindings` would be one more package whose version has to match the driver, for six functions that do not change.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from engines.runtimes.tensorrt.driver import Driver, DriverError

CAPTURE_MODE_THREAD_LOCAL = 1
"""Other threads may allocate meanwhile: another engine may be loaded while this one is captured."""


class CapturedGraph:
    """A recorded sequence of copies and kernels. Shapes and addresses are part of it."""

    def __init__(self, driver: Driver, stream_handle: int, enqueue: Callable[[], None]) -> None:
        """Record what `enqueue` puts on the stream, without executing it. The context is current.

        Args:
            driver: the loaded driver.
            stream_handle: CUstream, not the default one.
            enqueue: puts work on that stream; nothing that waits.

        Raises:
            DriverError: it cannot be recorded. The stream works as before.
            Whatever `enqueue` raises.
        """
        self._driver, self._stream = driver, ctypes.c_void_p(stream_handle)
        self._executable = ctypes.c_void_p()
        graph = self._record(enqueue)
        try:
            driver.call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, 0)
        finally:
            driver.call("cuGraphDestroy", graph)

    def launch(self) -> None:
        """Start it once more on its stream. Raises DriverError."""
        self._driver.call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Give it back; may be called twice. The context is current. Raises DriverError."""
        if self._executable.value is not None:
            executable, self._executable = self._executable, ctypes.c_void_p()
            self._driver.call("cuGraphExecDestroy", executable)

    def _record(self, enqueue: Callable[[], None]) -> ctypes.c_void_p:
        graph = ctypes.c_void_p()
        self._driver.call("cuStreamBeginCapture_v2", self._stream, CAPTURE_MODE_THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            self._abandon()
            raise
        self._driver.call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        if graph.value is None:
            raise DriverError("cuStreamEndCapture", 901, "no graph was recorded")
        return graph

    def _abandon(self) -> None:
        """End a recording that failed, or the stream would stay in it."""
        graph = ctypes.c_void_p()
        try:
            self._driver.call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        except DriverError:
            return  # invalidated by what failed: ended all the same
        if graph.value is not None:
            self._driver.call("cuGraphDestroy", graph)
