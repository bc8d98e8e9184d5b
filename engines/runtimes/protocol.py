"""What every runtime offers."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Inferred = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of n images: `image_score` (n,) and `anomaly_map` (n, map_height, map_width)."""


class Runtime(Protocol):
    """Executes one model. Not thread safe: one thread owns it."""

    @property
    def kinds(self) -> NDArray[np.float32] | None:
        """Of the images that were scored last: their likeness to each kind of defect, (n, kinds).

        None: the model knows no kinds.
        """
        ...

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Score a batch of images in the model's input size.

        Args:
            images: (n, height, width, 3) uint8 RGB.

        Raises:
            RuntimeFailure: the model could not be executed.
        """
        ...

    def close(self) -> None:
        """Give back memory and device; may be called twice."""
        ...

    def __enter__(self) -> Runtime: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class FrameRuntime(Runtime, Protocol):
    """A runtime that may also prepare frames: the same pixels as `preprocess.prepare`, within one grey level."""

    @property
    def frame_shape(self) -> tuple[int, ...] | None:
        """Of the frames that it prepares, (height, width) grey or (height, width, 3) RGB; None: it prepares none."""
        ...

    def infer_frames(self, frames: Sequence[NDArray[np.uint8]]) -> Inferred:
        """Prepare and score frames; returns and raises as `Runtime.infer`.

        Args:
            frames: uint8, all of `frame_shape`.
        """
        ...

    def prepared(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels that a frame becomes, (height, width, 3) RGB: for comparing them. Raises as `infer_frames`."""
        ...
