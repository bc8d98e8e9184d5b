"""Cameras that are not there when the station starts: it is on the network without them, and takes them when they come.

Until then it is off line with that reason. Its engine can only be checked with the shapes of all frames, so it is
installed when the last camera streams.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from drivers.camera.protocol import CameraError
from engines.errors import EngineError
from station.codes import ErrorCode
from station.line.acquisition.cameras import Cameras
from station.line.inspection.limits import LimitsError
from station.line.signalling.messages import RaiseFault

log = structlog.get_logger()

LOOK_S = 0.5


class LateCameras:
    """Owns the thread that waits for them; it ends when all cameras stream."""

    def __init__(
        self,
        cameras: Cameras,
        started: Callable[[dict[str, tuple[int, ...]]], None],
        post: Callable[[RaiseFault], None],
    ) -> None:
        """`started` gets the shapes of the frames of all cameras; it raises EngineError or LimitsError."""
        self._cameras = cameras
        self._started = started
        self._post = post
        self._stopping = threading.Event()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="late-cameras")

    @property
    def is_well(self) -> bool:
        """It waits, or has done what it is for."""
        return self._has_ended or self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; waits for an engine that is just being loaded."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                shapes = self._cameras.wait_streaming(LOOK_S)
            except CameraError:
                continue  # signalling shows which one, and why
            try:
                self._started(shapes)
            except (EngineError, LimitsError) as problem:
                self._post(RaiseFault(ErrorCode.ENGINE_FAILED, str(problem)))
                log.error("the engine cannot be loaded", problem=str(problem))
            break
        self._has_ended = True
