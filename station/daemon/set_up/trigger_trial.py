"""A trigger test: one picture of each camera while the station is off line, for light and focus, before any part runs.

Cameras that the station triggers are fired; one with a trigger line is waited for: let a part pass its light barrier.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2

from station import noted
from station.configuration.load import LoadedConfiguration
from station.control import ControlError
from station.line.acquisition.messages import FrameArrived, FrameFailed
from station.line.signalling.messages import Message, TriggerTest
from station.live.figures import figures_of
from station.live.part_message import QualityOf, picture_of
from station.live.trial_picture import FILE, write_trial_picture

REPLY_S = 5.0
LINE_S = 4.0
"""How long a camera with a trigger line is waited for."""
NO_REPLY = "signalling gave no reply in time; see: station status"


class TriggerTests:
    """Makes one test at a time, on the thread of the client that asks."""

    def __init__(
        self,
        post: Callable[[Message], None],
        configuration: Callable[[], LoadedConfiguration],
        runtime_dir: Path,
        quality_of: QualityOf,
        event: Callable[[str, str, str], None],
    ) -> None:
        self._post = post
        self._configuration = configuration
        self._runtime_dir = runtime_dir
        self._quality_of = quality_of
        self._event = event
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            (runtime_dir / FILE).unlink()  # of an earlier run

    def reply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "trigger"}`: what each camera gave, and after how long. Raises ControlError: it is refused."""
        if not self._lock.acquire(blocking=False):
            raise ControlError("another trigger test is under way")
        try:
            return self._test(str(request["user"]))
        finally:
            self._lock.release()

    def _test(self, user: str) -> dict[str, Any]:
        cameras = self._configuration().settings.cameras
        fires = tuple(name for name, camera in cameras.items() if camera.trigger == "plc")
        longest_s = max(
            LINE_S if len(fires) < len(cameras) else 0.0,
            *(camera.after_ms / 1000 + camera.no_frame_ms / 1000 for camera in cameras.values()),
        )
        begun_ns = time.monotonic_ns()
        end_ns = begun_ns + round(longest_s * 1e9)
        frames: queue.SimpleQueue[FrameArrived | FrameFailed] = queue.SimpleQueue()
        test = TriggerTest(tuple(cameras), fires, end_ns, frames.put)
        self._post(test)
        try:
            refused = test.reply.get(timeout=REPLY_S)
        except queue.Empty:
            raise ControlError(NO_REPLY) from None
        if refused:
            raise ControlError(refused)
        found = self._gather(frames, len(cameras), end_ns)
        views = [self._view(name, found.get(name), begun_ns, name in fires) for name in cameras]
        try:
            write_trial_picture(
                self._runtime_dir, [view for view, _ in views], [jpeg for _, jpeg in views], time.monotonic_ns()
            )
        except OSError as problem:
            raise ControlError(f"the picture cannot be kept for the pages: {problem.strerror}") from problem
        said = ", ".join(f"{view['camera']} {view['why_no_picture'] or str(view['ms']) + ' ms'}" for view, _ in views)
        self._event("trigger_test", "info", noted.ASKED_BY(name=user, detail=said))
        return {"cameras": {view["camera"]: {key: view[key] for key in ("ms", "why_no_picture")} for view, _ in views}}

    def _gather(
        self, frames: queue.SimpleQueue[FrameArrived | FrameFailed], count: int, end_ns: int
    ) -> dict[str, FrameArrived | FrameFailed]:
        found: dict[str, FrameArrived | FrameFailed] = {}
        while len(found) < count:
            try:
                message = frames.get(timeout=max(0.0, (end_ns - time.monotonic_ns()) / 1e9))
            except queue.Empty:
                break
            found.setdefault(message.camera, message)
        return found

    def _view(
        self, camera: str, message: FrameArrived | FrameFailed | None, begun_ns: int, fired: bool
    ) -> tuple[dict[str, Any], bytes]:
        view: dict[str, Any] = {"camera": camera, "width": 0, "height": 0, "figures": None, "ms": None}
        if message is None:
            why = "no frame came" if fired else "no trigger came: let a part pass the light barrier"
            return {**view, "why_no_picture": why}, b""
        received_ns = message.received_time_ns if isinstance(message, FrameFailed) else message.frame.received_time_ns
        view["ms"] = round((received_ns - begun_ns) / 1e6, 1)
        if isinstance(message, FrameFailed):
            return {**view, "why_no_picture": message.detail or message.code.name.lower()}, b""
        pixels = message.frame.pixels
        height, width = pixels.shape[:2]
        try:
            jpeg, why = picture_of(message.frame)
            figures = figures_of(pixels, self._quality_of(pixels))
        except cv2.error as problem:
            return {**view, "why_no_picture": str(problem)[:200]}, b""
        return {**view, "width": width, "height": height, "figures": figures, "why_no_picture": why}, jpeg
