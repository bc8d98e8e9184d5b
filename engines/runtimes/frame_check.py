"""Whether the runtime or the processor should prepare frames: the same pixels, and which is faster to the scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from engines.bundle.reading import Bundle
from engines.location.location import Location
from engines.preprocess import SAME_PIXELS, prepare
from engines.runtimes.protocol import FrameRuntime

RUNS = 50
"""Of each way, in turn."""
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def pixel_difference(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> int:
    """The largest one, grey levels."""
    return int(cv2.absdiff(found, expected).max())


def pixel_refusal(difference: int) -> str:
    """Why pixels that differ by this number of grey levels are not the same; empty when they are."""
    if difference <= SAME_PIXELS:
        return ""
    return f"pixels differ by {difference} grey levels from the processor's, allowed {SAME_PIXELS}"


class FrameCheck(BaseModel):
    """How a plan that prepares frames compared with what the processor does: `preprocess.prepare`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    difference: Annotated[int, Field(ge=0, le=255)]
    """Largest one of all pixels, grey levels."""
    gpu_ms: Milliseconds
    """A frame from the camera's memory to its scores, median: prepared on the GPU."""
    processor_ms: Milliseconds
    """Prepared on the processor, in turn with the other."""

    @property
    def refusal(self) -> str:
        """Why the processor prepares the frames; empty when the GPU does."""
        different = pixel_refusal(self.difference)
        if different or self.gpu_ms < self.processor_ms:
            return different
        return f"{self.gpu_ms:.2f} ms a frame on the GPU, {self.processor_ms:.2f} ms on the processor"

    def __str__(self) -> str:
        """For people."""
        why = self.refusal
        if why:
            return f"on the processor: {why}"
        faster = f"{self.gpu_ms:.2f} ms a frame, {self.processor_ms:.2f} ms on the processor"
        return f"on the GPU: {faster}; pixels differ by at most {self.difference} grey levels"


def check_frames(runtime: FrameRuntime, bundle: Bundle, shape: tuple[int, ...]) -> FrameCheck:
    """Prepare frames of `shape` on the GPU and on the processor: compare the pixels, then the time to the scores.

    Raises:
        RuntimeFailure: the GPU failed.
    """
    manifest = bundle.manifest
    location = Location(manifest.location, ignore=manifest.ignore, pictures=bundle.pictures)

    def on_processor(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return prepare(frame, manifest.input, location).pixels

    part, noise = _part_as_frame(bundle, shape), np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    difference = max(pixel_difference(runtime.prepared(frame), on_processor(frame)) for frame in (part, noise))
    ways: tuple[Callable[[], object], ...] = (
        partial(runtime.infer_frames, [part]),
        lambda: runtime.infer(on_processor(part)[np.newaxis]),
    )
    times_ms = np.empty((RUNS, len(ways)))
    for run in range(RUNS):
        for way, infer in enumerate(ways):
            start_ns = time.perf_counter_ns()
            infer()
            times_ms[run, way] = (time.perf_counter_ns() - start_ns) / 1e6
    gpu_ms, processor_ms = np.median(times_ms, axis=0)
    return FrameCheck(difference=difference, gpu_ms=float(gpu_ms), processor_ms=float(processor_ms))


def _part_as_frame(bundle: Bundle, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A good part at the size of a frame; its proportions do not matter here."""
    image = bundle.golden[0].image
    enlarged = cv2.resize(image if len(shape) == 3 else image[:, :, 1], (shape[1], shape[0]))
    return np.asarray(enlarged, np.uint8)
