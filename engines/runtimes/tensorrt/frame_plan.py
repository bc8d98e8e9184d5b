"""Preparing frames on the GPU: from what the camera gave to the model's input, by a plan of its own.

page-locked frame ─► GPU ─► plan ─► pixels ─► slot of the model's input      one frame at a time, one stream
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.runtimes.tensorrt.device import Buffer, Device
from engines.runtimes.tensorrt.loaded_plan import LoadedPlan, NotDone

if TYPE_CHECKING:
    import pycuda.driver
    import tensorrt

FRAME, PIXELS = "image", "pixels"


@dataclass(frozen=True, slots=True)
class FramePlan:
    """The serialised plan of `frame.onnx`, whose hash was checked."""

    plan: bytes
    shape: tuple[int, ...]
    """Of a frame: (height, width) grey or (height, width, 3) RGB."""


class FrameStage:
    """See above. The device's context is current whenever this is used.

    Args:
        trt: the module.
        log: what `make_logger` made.
        device: where it runs.
        frame_plan: what prepares a frame.
        image: the model's input (n, height, width, 3), one slot per image.

    Raises:
        PlanUnusable, RuntimeFailure, NotDone: see `LoadedPlan`.
        What pycuda raises: memory is short.
    """

    def __init__(self, trt: Any, log: Any, device: Device, frame_plan: FramePlan, image: Buffer) -> None:
        self.shape = frame_plan.shape
        self._device, self._image = device, image
        self._slot_bytes = image.host[0].nbytes
        height, width, *colours = frame_plan.shape
        frame_shape, pixel_shape = (1, height, width, *(colours or [1])), (1, *image.host.shape[1:])
        with ExitStack() as opened:
            loaded = LoadedPlan(trt, log, device, frame_plan.plan)
            opened.callback(loaded.close)
            loaded.check(
                {FRAME: (True, trt.DataType.UINT8, frame_shape), PIXELS: (False, trt.DataType.UINT8, pixel_shape)}
            )
            self._frame = device.buffer(frame_shape, np.uint8)
            opened.callback(self._frame.close)
            # Not into the slot itself: TensorRT wants addresses that are multiples of 256.
            pixels: pycuda.driver.DeviceAllocation = device.memory(self._slot_bytes)
            opened.callback(pixels.free)
            self._pixels = int(pixels)
            self._context: tensorrt.IExecutionContext = loaded.context(
                {FRAME: self._frame.address, PIXELS: self._pixels}, {}
            )
            self._closing = opened.pop_all()

    def put(self, frame: NDArray[np.uint8]) -> None:
        """Copy a frame into page-locked memory. What was there before has been enqueued and is done."""
        np.copyto(self._frame.host, frame.reshape(self._frame.host.shape))

    def enqueue(self, slot: int) -> None:
        """Put on the stream what brings the frame to slot `slot` of the model's input. Raises NotDone."""
        self._frame.upload(1)
        if not self._context.execute_async_v3(self._device.stream_handle):
            raise NotDone("a frame was not enqueued")
        self._device.copy(self._image.address + slot * self._slot_bytes, self._pixels, self._slot_bytes)

    def close(self) -> None:
        """Give everything back; may be called twice."""
        if hasattr(self, "_context"):
            del self._context
        self._closing.close()
