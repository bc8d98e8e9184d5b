"""`station`, with an engine that waits at a gate when the corner of the picture says so, until the test opens it.

The gate is a file named by STATION_GATE: a part is late for as long as the test wants, on any machine. All else is
real.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import Bundle
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import ON_PROCESSOR
from station.commands import main as cli

SLOW = 9
"""Grey level of the corner."""
GATE = "STATION_GATE"


def slow(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with the mark in its corner."""
    marked = picture.copy()
    marked[0, 0] = SLOW
    return marked


class GatedRuntime(OnnxRuntime):
    """ONNX Runtime behind the gate. Called by the inspection thread, which waits here."""

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if images[0, 0, 0, 0] == SLOW:
            gate = Path(os.environ[GATE])
            while not gate.exists():
                time.sleep(0.005)  # the test is another process and opens the gate when it likes
        return super().infer(images)


def main() -> int:
    def open_gated(bundle: Bundle, threads: int) -> GatedRuntime:
        return GatedRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=threads)

    ON_PROCESSOR["onnx"] = open_gated
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
