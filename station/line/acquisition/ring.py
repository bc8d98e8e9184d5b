"""Pixels from the camera process to the daemon: a ring of slots in anonymous shared memory.

One producer (the camera process) and one consumer (the acquisition thread). The producer owns the free list: a slot is
taken by `put`, travels to the consumer as a number over the link, and comes back over the link to `release`. So no
state is shared and a slot in use is never overwritten. The memory is a memfd: it has no name that could be left behind
and goes when the last process that maps it ends, however it ends.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from math import prod

import numpy as np
from numpy.typing import NDArray

from drivers.camera.protocol import CameraInfo

Pixels = NDArray[np.uint8]


def slot_shape(info: CameraInfo) -> tuple[int, ...]:
    """Of a slot: of the pixels of a frame, or of a 3-D camera the bytes of its values and then of its picture."""
    return (prod(info.shape) + 2 * info.height * info.width,) if info.has_heights else info.shape


def picture_and_values(slot: Pixels, info: CameraInfo) -> tuple[Pixels, NDArray[np.uint16]]:
    """Views of both in what a slot of a 3-D camera holds."""
    size = 2 * info.height * info.width  # values first: they begin at an even address then
    return slot[size:].reshape(info.shape), slot[:size].view(np.uint16).reshape(info.height, info.width)


class FrameRing:
    """`slots` frames of `shape` (uint8) in shared memory. Both sides give the same numbers.

    `number` distinguishes the rings of one camera process.
    """

    def __init__(self, fd: int, slots: int, shape: tuple[int, ...], number: int = 1) -> None:
        """Maps the memory behind `fd`, which stays the caller's. Raises ValueError when it is smaller than needed."""
        if slots < 1 or prod(shape) < 1:
            raise ValueError(f"frame ring of {slots} slots of shape {shape}: both must hold something")
        self.number = number
        self._map = mmap.mmap(fd, slots * prod(shape))
        self._frames: Pixels = np.frombuffer(self._map, np.uint8).reshape(slots, *shape)
        self._free = deque(range(slots))

    @staticmethod
    def allocate(slots: int, shape: tuple[int, ...]) -> int:
        """New memory for a ring; the file descriptor is the caller's to close. Raises OSError when there is none."""
        fd = os.memfd_create("frame-ring", os.MFD_CLOEXEC)
        try:
            # Taken now: without memory this is an error here, not a SIGBUS in the middle of a frame.
            os.posix_fallocate(fd, 0, slots * prod(shape))
        except OSError:
            os.close(fd)
            raise
        return fd

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one frame."""
        return self._frames.shape[1:]

    # ---- producer -----------------------------------------------------------------------------------------------

    def put(self, pixels: Pixels) -> int | None:
        """Copies a frame into a free slot and returns its number; None when all are in use."""
        if pixels.shape != self.shape:
            raise ValueError(f"frame of shape {pixels.shape} for a ring of {self.shape}")
        if not self._free:
            return None
        slot = self._free.popleft()
        self._frames[slot] = pixels
        return slot

    def release(self, slot: int) -> None:
        """The consumer has taken the frame out of this slot. Raises ValueError when the slot was not in use."""
        if not 0 <= slot < len(self._frames) or slot in self._free:
            raise ValueError(f"slot {slot} is not in use")
        self._free.append(slot)

    # ---- consumer -----------------------------------------------------------------------------------------------

    def take(self, slot: int) -> Pixels:
        """A copy of the frame in a slot. The slot must then be released by the producer."""
        frame: Pixels = self._frames[slot].copy()
        return frame

    def close(self) -> None:
        """Unmaps the memory. Idempotent."""
        # A mapping closes only when nothing points into it any more.
        self._frames = np.empty((0, *self.shape), np.uint8)
        self._map.close()
