"""Acquisition: keeps one camera process alive and posts what comes from it.

         start()                    Connected
    ──► CONNECTING ──────────────────────────────► STREAMING ──┐
            │  cannot be used as configured            │       │ stop()
            ▼                                          │       ▼
         FAILED ◄── tried again after reconnect_max_s  │    STOPPED   (from every state)
            │                                          ▼
            └───────────────────────────────────────► DOWN ── tried again with back-off ──► STREAMING

DOWN: the device is lost, or the process crashed, was killed or hung (then it is killed). Frames that had left the
process before are still posted first; those in flight are gone.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drivers.camera.protocol import (
    CameraError,
    CameraInfo,
    CameraLost,
    CameraNotFound,
    CameraSettingError,
    CameraUnreadable,
    ProducerError,
)
from drivers.camera.settings import CameraSettings
from engines.inputs.depth import Heights
from station.codes import ReasonCode
from station.line.acquisition.depth import depth_spec
from station.line.acquisition.handle import CameraHandle
from station.line.acquisition.link import (
    Alive,
    Connected,
    EncoderCounted,
    Ended,
    Finish,
    Fire,
    FrameLost,
    FrameReady,
    LinkClosed,
    Open,
    OutputRefused,
    SetOutput,
    SettingsRefused,
    TriggerRefused,
)
from station.line.acquisition.messages import (
    AcquisitionMessage,
    CameraChanged,
    CameraSaid,
    CameraState,
    EncoderMoved,
    FrameArrived,
    FrameFailed,
    OutputFailed,
)
from station.line.acquisition.output import SaidLines
from station.results import Frame

_MISCONFIGURED = frozenset(
    error.__name__ for error in (ProducerError, CameraNotFound, CameraSettingError, CameraUnreadable)
)
_POLL_S = 0.1
_GRACE_S = 2.0
"""What a camera process gets to disconnect properly: a camera left open stays locked until its heartbeat ends."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """Other settings on their way to the camera, and what came of them."""

    open: Open
    outcome: queue.SimpleQueue[CameraInfo | CameraError] = field(default_factory=queue.SimpleQueue)


class Acquisition:
    """Owns one camera, in a process of its own, and the thread that listens to it.

    Any thread may call it; `name` is the camera that frames and messages carry. `post` is called from the acquisition
    thread and, for a trigger or output that cannot even be sent, from the caller's; it must not block for long.
    `environment` is added to that of the camera process.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        post: Callable[[AcquisitionMessage], None],
        *,
        ring_slots: int = 8,
        reconnect_min_s: float = 0.5,
        reconnect_max_s: float = 10.0,
        hang_timeout_s: float = 5.0,
        connect_timeout_s: float = 30.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._open = Open(settings, ring_slots)
        self._post = post
        self._reconnect_min_s = reconnect_min_s
        self._reconnect_max_s = reconnect_max_s
        self._hang_timeout_s = hang_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._environment = dict(environment or {})
        self._thread = threading.Thread(target=self._run, name=f"acquisition-{name}")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        """Guards `_process`, `_streaming`, `_asked`: other threads use them while the acquisition thread does."""
        self._process: CameraHandle | None = None
        self._said = SaidLines(lambda line: self._post(CameraSaid(self._name, line)))
        self._streaming = False
        self._asked: _Settings | None = None
        self._ever_streamed = False
        self._connected_s = math.inf
        self._last_frame_id: int | None = None
        self._last_change: tuple[CameraState, str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the camera process; None when there is none."""
        with self._lock:
            return None if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        """False once the acquisition thread has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts connecting; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ends the camera process, by force after `timeout_s`, and posts STOPPED. Idempotent."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._lock:
                if self._process is not None:
                    self._process.kill()
            self._thread.join()

    def fire(self) -> None:
        """Executes a software trigger. Never blocks; a trigger that cannot be executed is posted as FrameFailed."""
        if problem := self._command(Fire()):
            self._trigger_failed(ReasonCode.CAMERA_DOWN, problem)

    def set_output(self, line: str, value: bool) -> None:
        """Sets an output line of the camera. Never blocks; what cannot be set is posted as OutputFailed."""
        if problem := self._command(SetOutput(line, value)):
            self._post(OutputFailed(self._name, line, value, problem))

    def configure(self, settings: CameraSettings, timeout_s: float) -> CameraInfo:
        """Gives the camera other settings and lets it stream again; frames in between are lost. Blocks.

        Raises CameraSettingError or another CameraError, with the camera set as before or (CameraLost) gone.
        """
        asked = _Settings(Open(settings, self._open.ring_slots))
        if problem := self._command(asked.open, asked):
            raise CameraLost(f'camera "{self._name}" cannot be set: {problem}')
        try:
            outcome = asked.outcome.get(timeout=timeout_s)
        except queue.Empty:
            with self._lock:
                self._asked = None
                if self._process is not None:
                    self._process.kill()  # comes back with the old settings
            raise CameraLost(f'camera "{self._name}" took no settings within {timeout_s:g} s') from None
        if isinstance(outcome, CameraError):
            raise outcome
        return outcome

    def _command(self, command: Fire | SetOutput | Open, asked: _Settings | None = None) -> str:
        """What prevents the command; empty when it is on its way."""
        with self._lock:
            if self._process is None or not self._streaming:
                return "the camera is not streaming"
            try:
                self._process.send(command)
            except (LinkClosed, BlockingIOError):
                return "the camera process does not answer"
            if asked is not None:
                self._asked = asked
                self._streaming = False
        return ""

    def _settle(self, outcome: CameraInfo | CameraError) -> None:
        """Ends the wait in `configure`. Only settings that the camera has taken are kept for a reconnect."""
        with self._lock:
            asked, self._asked = self._asked, None
            if asked is not None and not isinstance(outcome, CameraError):
                self._open = asked.open
        if asked is not None:
            asked.outcome.put(outcome)

    # ---- the acquisition thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = BackOff(self._reconnect_min_s, self._reconnect_max_s)
        self._change(CameraState.CONNECTING)
        while not self._stopping.is_set():
            streamed_s = self._run_process()
            failed = self._last_change is not None and self._last_change[0] is CameraState.FAILED
            self._stopping.wait(self._reconnect_max_s if failed else pause.next(streamed_s))
        self._change(CameraState.STOPPED)

    def _run_process(self) -> float:
        """One camera process from start to end. Returns for how many seconds it streamed."""
        try:
            process = CameraHandle(self._environment, self._said)
        except OSError as error:
            self._change(CameraState.DOWN, f"the camera process cannot be started: {error}")
            return 0.0
        with self._lock:
            self._process = process
        self._connected_s = math.inf
        try:
            state, detail = self._live(process)
            streamed_s = time.monotonic() - self._connected_s
            if not self._stopping.is_set():
                self._change(state, detail)  # now: with a lost device the process may take seconds to end
        finally:
            with self._lock:
                self._process = None
            process.end(_GRACE_S)
        return streamed_s

    def _live(self, process: CameraHandle) -> tuple[CameraState, str]:
        """`_converse` until the process ends in one way or another; returns how."""
        try:
            return self._converse(process)
        except LinkClosed:
            return CameraState.DOWN, f"the camera process {process.end(_GRACE_S)}"
        except BlockingIOError:
            process.kill()
            return CameraState.DOWN, "the camera process took no commands any more and was killed"
        finally:
            with self._lock:
                self._streaming = False
            self._settle(CameraLost(f'camera "{self._name}" was lost while it was set'))

    def _converse(self, process: CameraHandle) -> tuple[CameraState, str]:  # noqa: PLR0912  one case a message
        """Posts what the process reports until it gives up or hangs; returns why. Raises LinkClosed."""
        heard_s = time.monotonic()
        patience_s = self._connect_timeout_s
        finishing = False
        refused: CameraError | None = None
        process.send(self._open)
        while True:
            if self._stopping.is_set() and not finishing:
                process.send(Finish())
                patience_s = _GRACE_S
                finishing = True
            message = process.receive(_POLL_S)
            if message is None:
                if time.monotonic() - heard_s > (patience_s if self._asked is None else self._connect_timeout_s):
                    process.kill()
                    return CameraState.DOWN, f"the camera process did not answer for {patience_s:g} s and was killed"
                continue
            heard_s = time.monotonic()
            match message:
                case FrameReady():
                    self._frame_ready(process, message)
                case FrameLost(code, detail, frame_id, trigger_time_ns, received_time_ns):
                    lost = self._lost_before(frame_id)
                    self._post(FrameFailed(self._name, frame_id, code, trigger_time_ns, received_time_ns, lost, detail))
                case Connected(info):
                    patience_s = self._hang_timeout_s
                    self._connected(info)
                    self._settle(refused or info)
                    refused = None
                case TriggerRefused(detail):
                    self._trigger_failed(ReasonCode.NO_FRAME, detail)
                case OutputRefused(line, value, detail):
                    self._post(OutputFailed(self._name, line, value, detail))
                case SettingsRefused(kind, detail):
                    patience_s = self._connect_timeout_s
                    refused = CameraSettingError(f"{kind}: {detail}")
                case Ended(kind, detail):
                    # A camera that was here before and is not found now was unplugged.
                    unplugged = kind == CameraNotFound.__name__ and self._ever_streamed
                    failed = kind in _MISCONFIGURED and not unplugged
                    return CameraState.FAILED if failed else CameraState.DOWN, f"{kind}: {detail}"
                case EncoderCounted(count, time_ns):
                    self._post(EncoderMoved(self._name, count, time_ns))
                case Alive():
                    pass

    def _connected(self, info: CameraInfo) -> None:
        self._last_frame_id = None  # the camera counts anew
        self._ever_streamed = True
        self._connected_s = time.monotonic()
        with self._lock:
            self._streaming = True
        self._change(CameraState.STREAMING, info=info)

    def _frame_ready(self, process: CameraHandle, ready: FrameReady) -> None:
        pixels, values = process.take(ready.slot)
        frame = Frame(
            camera=self._name,
            frame_id=ready.frame_id,
            pixels=pixels,
            trigger_time_ns=ready.trigger_time_ns,
            received_time_ns=ready.received_time_ns,
            heights=self._heights(values, ready),
        )
        self._post(FrameArrived(frame, self._lost_before(ready.frame_id)))
        process.release(ready.slot)  # after the frame is on its way: nobody waits for it

    def _heights(self, values: NDArray[np.uint16] | None, ready: FrameReady) -> Heights | None:
        depth = self._open.settings.depth
        if values is None or ready.coordinates is None or depth is None:
            return None
        scale_mm, offset_mm, invalid = ready.coordinates
        return Heights(values, scale_mm, offset_mm, invalid, depth_spec(depth))

    def _lost_before(self, frame_id: int) -> int:
        """Frames missing since the last one. A frame id that goes back is a counter that began anew: no gap."""
        last, self._last_frame_id = self._last_frame_id, frame_id
        return 0 if last is None else max(0, frame_id - last - 1)

    def _trigger_failed(self, code: ReasonCode, detail: str) -> None:
        now = time.monotonic_ns()
        self._post(FrameFailed(self._name, 0, code, now, now, lost_before=0, detail=detail))

    def _change(self, state: CameraState, detail: str = "", info: CameraInfo | None = None) -> None:
        if (state, detail) != self._last_change:
            self._last_change = (state, detail)
            self._post(CameraChanged(self._name, state, info, detail))


class BackOff:
    """How long to wait before the next try: doubles from the shortest to the longest pause, and begins again after a
    camera has streamed for as long as the longest."""

    def __init__(self, min_s: float, max_s: float) -> None:
        self._min_s = self._next_s = min_s
        self._max_s = max_s

    def next(self, streamed_s: float) -> float:
        if streamed_s >= self._max_s:
            self._next_s = self._min_s
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self._max_s)
        return pause_s
