"""The one place that imports `tensorrt` and `pycuda`, which need not be installed.

It takes the answer of the probe, so that neither library is touched on a computer without a GPU that works.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engines.errors import GpuUnusable
from engines.runtimes.tensorrt.probe import Gpu, NoGpu

OLDEST_TENSORRT = (10, 3)
"""JetPack 6."""
NEWEST_TENSORRT_MAJOR = 11
INSTALL = (
    "on a desktop: pip install 'edge-inspection-station[gpu]'; on Jetson: apt install python3-libnvinfer, and an "
    "environment made with --system-site-packages"
)


@dataclass(frozen=True, slots=True)
class Libraries:
    """What drives the GPU."""

    tensorrt: Any
    """The module `tensorrt`."""
    cuda: Any
    """The module `pycuda.driver`."""

    @property
    def tensorrt_version(self) -> str:
        """`10.3.0`, `11.4.0.106`."""
        return str(self.tensorrt.__version__)


def load_libraries(gpu: Gpu | NoGpu) -> Libraries:
    """Import what drives the GPU that the probe has found.

    Raises:
        GpuUnusable: there is no GPU, or a library is not installed or of a version that is not known to work.
    """
    return Libraries(tensorrt=load_tensorrt(gpu), cuda=load_pycuda(gpu))


def load_tensorrt(gpu: Gpu | NoGpu) -> Any:
    """The module `tensorrt`. Raises GpuUnusable."""
    if isinstance(gpu, NoGpu):
        raise GpuUnusable(gpu.reason)
    try:
        import tensorrt  # noqa: PLC0415  only here, see above
    except ImportError as problem:
        raise GpuUnusable(f"{gpu.name} is there, but TensorRT cannot be imported ({problem}); {INSTALL}") from problem
    check_version(str(tensorrt.__version__))
    return tensorrt


def load_pycuda(gpu: Gpu | NoGpu) -> Any:
    """The module `pycuda.driver`. Raises GpuUnusable."""
    if isinstance(gpu, NoGpu):
        raise GpuUnusable(gpu.reason)
    try:
        import pycuda.driver  # noqa: PLC0415  only here, see above
    except ImportError as problem:
        raise GpuUnusable(f"{gpu.name} is there, but pycuda cannot be imported ({problem}); {INSTALL}") from problem
    return pycuda.driver


def check_version(version: str) -> None:
    """Refuse a TensorRT that this software does not know. Raises GpuUnusable."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or not OLDEST_TENSORRT <= (int(found[1]), int(found[2])) < (NEWEST_TENSORRT_MAJOR + 1, 0):
        oldest = ".".join(map(str, OLDEST_TENSORRT))
        raise GpuUnusable(f"TensorRT {version}: {oldest} up to {NEWEST_TENSORRT_MAJOR}.x is known to work; {INSTALL}")
