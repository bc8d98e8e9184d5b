"""`station`, with a runtime that fails as a GPU does: when the corner of the picture says so, or at the first loads.

What is said of it stands in the environment: PLANS_MISSING is the number of loads that find no plan. All else is real.
"""

from __future__ import annotations

import itertools
import os
import sys

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import Bundle
from engines.errors import DeviceFault, FaultKind, PlanUnusable
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import ON_PROCESSOR
from station.commands import main as cli

KINDS = dict(enumerate(FaultKind, start=1))
"""Grey level of the corner -> how the GPU fails."""


def failing(picture: NDArray[np.uint8], kind: FaultKind) -> NDArray[np.uint8]:
    """The picture with a fault written into its corner."""
    marked = picture.copy()
    marked[0, 0] = next(level for level, listed in KINDS.items() if listed is kind)
    return marked


class FailingGpu(OnnxRuntime):
    """ONNX Runtime, and a GPU that is lost stays lost."""

    _lost: FaultKind | None = None

    def infer(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        kind = self._lost or KINDS.get(int(images[0, 0, 0, 0]))
        if kind is None:
            return super().infer(images)
        fault = DeviceFault(f"GPU: an inference failed, {kind.value}", kind)
        if fault.needs_restart:
            self._lost = kind
        raise fault


def main() -> int:
    loads = itertools.count()
    missing = int(os.environ.get("PLANS_MISSING", "0"))

    def open_failing(bundle: Bundle, threads: int) -> FailingGpu:
        if next(loads) < missing:
            raise PlanUnusable(f'engine "{bundle.path}": TensorRT plan missing', rebuilding_helps=True)
        return FailingGpu(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=threads)

    ON_PROCESSOR["onnx"] = open_failing
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
