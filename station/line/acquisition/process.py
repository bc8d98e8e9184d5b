"""The camera process: one camera, one thread, nothing else.

The GenICam binding holds the GIL while it waits for a frame and while it reaches for a lost camera, and a driver may
crash: so it lives here and not in the daemon. Started by `station.line.acquisition.stage` as

    python -m station.line.acquisition.process <file descriptor of the link> <pid of the daemon>
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import signal
import socket
import sys
import time

from drivers.camera.open import open_camera
from drivers.camera.protocol import Camera, CameraError, CameraSettingError, CameraUnreadable, GrabbedFrame
from station.codes import ReasonCode
from station.line.acquisition.depth import DepthFrames
from station.line.acquisition.link import (
    Alive,
    CameraLink,
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
    ReleaseSlot,
    SetOutput,
    SettingsRefused,
    TriggerRefused,
)
from station.line.acquisition.ring import FrameRing, Pixels, slot_shape

_POLL_MS = {"software": 1, "line": 5, "off": 5}
"""Commands are read between two waits for a frame: the longest delay of a software trigger. The binding holds the GIL
while it waits, so a second thread would not read them earlier. Each wait costs about 0.1 ms of a core."""
_PROMPT_POLL_MS = 1
_ALIVE_EVERY_NS = 500_000_000
_PR_SET_PDEATHSIG = 1


def serve(link: CameraLink, command: Open) -> None:
    """Connects and streams until `Finish`; connects anew at another `Open`.

    A camera that refuses other settings gets the old ones back. Raises CameraError, OSError (no memory for the ring),
    LinkClosed.
    """
    before: Open | None = None
    for number in itertools.count(1):
        try:
            following = session(link, command, number)
        except CameraError as error:
            if before is None:
                raise
            link.send_patiently(SettingsRefused(type(error).__name__, str(error)))
            command, before = before, None
            continue
        if following is None:
            return
        before, command = command, following


def session(link: CameraLink, command: Open, number: int) -> Open | None:
    """From connecting to disconnecting, with a ring of this number; what to connect with next.

    Raises CameraError when it cannot connect.
    """
    with open_camera(command.settings) as camera:
        info, depth = camera.info, command.settings.depth
        frames = DepthFrames(info, depth) if info.has_heights and depth is not None else None
        shape = slot_shape(info)
        fd = FrameRing.allocate(command.ring_slots, shape)
        try:
            ring = FrameRing(fd, command.ring_slots, shape, number)
            camera.start()
            link.send_patiently(Connected(camera.info, command.ring_slots, number), fd)
        finally:
            os.close(fd)
        try:
            settings = command.settings
            prompt = settings.prompt or bool(settings.encoder_feature)
            poll_ms = _PROMPT_POLL_MS if prompt else _POLL_MS[settings.trigger]
            return stream(link, camera, ring, poll_ms, settings.encoder_feature, frames)
        except CameraError as error:
            # Sent before disconnecting, which can take seconds with a lost device.
            link.send_patiently(Ended(type(error).__name__, str(error)))
    return None


def stream(  # noqa: PLR0917  what a session has made
    link: CameraLink,
    camera: Camera,
    ring: FrameRing,
    poll_ms: int,
    encoder: str = "",
    depth: DepthFrames | None = None,
) -> Open | None:
    """Hands frames over and obeys commands until `Finish` or another `Open`, which it returns.

    `encoder`: the feature that holds the encoder of the belt; each new value is sent. `depth`: of a 3-D camera. Raises
    CameraLost, CameraUnreadable, LinkClosed.
    """
    said_ns = 0
    count: int | None = None
    while (end := obey(link, camera, ring)) is None:
        if encoder:
            count = send_encoder(link, camera, encoder, count)
        grabbed = camera.grab(poll_ms)
        now = time.monotonic_ns()
        if grabbed is not None:
            link.send_patiently(hand_over(grabbed, ring, depth))
        elif now - said_ns > _ALIVE_EVERY_NS:
            link.send_patiently(Alive())
        else:
            continue
        said_ns = now
    return end if isinstance(end, Open) else None


def send_encoder(link: CameraLink, camera: Camera, feature: str, last: int | None) -> int:
    """Reads the encoder and sends its value when it has moved. Raises CameraSettingError, CameraLost, LinkClosed."""
    before_ns = time.monotonic_ns()
    count = camera.read(feature)
    if count != last:
        link.send_patiently(EncoderCounted(count, (before_ns + time.monotonic_ns()) // 2))
    return count


def hand_over(grabbed: GrabbedFrame, ring: FrameRing, depth: DepthFrames | None = None) -> FrameReady | FrameLost:
    """Puts the pixels into the ring, of a 3-D camera (`depth`) picture and heights; or says why not."""

    def lost(code: ReasonCode, detail: str = "") -> FrameLost:
        return FrameLost(code, detail, grabbed.frame_id, grabbed.trigger_time_ns, grabbed.received_time_ns)

    if not grabbed.complete:
        return lost(ReasonCode.INCOMPLETE_FRAME)
    if grabbed.problem:
        return lost(ReasonCode.WRONG_SIZE, grabbed.problem)
    pixels: Pixels | tuple[ReasonCode, str] = grabbed.pixels if depth is None else depth.slot_of(grabbed)
    if isinstance(pixels, tuple):
        return lost(*pixels)
    if pixels.shape != ring.shape:
        return lost(ReasonCode.WRONG_SIZE, f"pixels of shape {pixels.shape}, expected {ring.shape}")
    slot = ring.put(pixels)
    if slot is None:
        return lost(ReasonCode.FRAME_RING_FULL)
    heights = grabbed.heights
    coordinates = None if heights is None else (heights.scale_mm, heights.offset_mm, heights.invalid)
    return FrameReady(slot, grabbed.frame_id, grabbed.trigger_time_ns, grabbed.received_time_ns, coordinates)


def obey(link: CameraLink, camera: Camera, ring: FrameRing) -> Open | Finish | None:
    """Carries out the commands that wait, up to the one that ends the stream."""
    while (received := link.receive(timeout_s=0)) is not None:
        match received[0]:
            case ReleaseSlot(slot, number):
                # One that was on its way when the camera got other settings is of a ring that is gone.
                if number == ring.number:
                    ring.release(slot)
            case Fire():
                try:
                    camera.trigger()
                except (CameraSettingError, CameraUnreadable) as error:
                    link.send_patiently(TriggerRefused(str(error)))
            case SetOutput(line, value):
                try:
                    camera.set_output(line, value)
                except CameraSettingError as error:
                    link.send_patiently(OutputRefused(line, value, str(error)))
            case Open() | Finish() as end:
                return end
    return None


def main(arguments: list[str]) -> int:
    fd, daemon = int(arguments[0]), int(arguments[1])
    # The daemon decides when this process ends: by `Finish`, by closing the link, or by its own death.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != daemon:
        return 1
    gc.collect()
    gc.freeze()  # modules stay for good: to look through them for cycles holds up a frame for 12 ms
    link = CameraLink(socket.socket(fileno=fd))
    try:
        received = link.receive(timeout_s=10.0)
        if received is None or not isinstance(received[0], Open):
            return 1
        try:
            serve(link, received[0])
        except (CameraError, OSError) as error:
            link.send_patiently(Ended(type(error).__name__, str(error)))
    except LinkClosed:
        pass  # the daemon is gone
    finally:
        link.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
