"""Watches whether heat or power slow the GPU down, on a thread of its own: a driver may take long to reply."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from engines.runtimes.tensorrt.nvml import ThermalMonitor
from station.codes import WarningCode
from station.line.signalling.messages import Warn

log = structlog.get_logger()

PERIOD_S = 5.0


class GpuWatch:
    """Posts the warning GPU_SLOWED_DOWN when the GPU slows down and when it is fast again. Owns its thread."""

    def __init__(self, monitor: ThermalMonitor, post: Callable[[Warn], None], *, period_s: float = PERIOD_S) -> None:
        self._monitor = monitor
        self._post = post
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-watch")
        self._slowed_down = False

    def start(self) -> None:
        """Starts the thread; does nothing where NVML is not there."""
        if self._monitor.is_there:
            self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread; False when the driver did not reply in time."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def look(self) -> None:
        """Asks the driver once and posts what has changed."""
        why = self._monitor.slowdown()
        if bool(why) != self._slowed_down:
            self._slowed_down = bool(why)
            if why:
                log.warning("GPU slowed down", why=why)
            else:
                log.info("GPU at its speed again")
            self._post(Warn(WarningCode.GPU_SLOWED_DOWN, self._slowed_down))

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()
        self._monitor.close()
