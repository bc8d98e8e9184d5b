"""Is there a GPU that can be used? Asked before any object of TensorRT or pycuda exists.

Without a driver `trt.Runtime(logger)` may return an object around a null pointer, and using it ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass

from engines.runtimes.tensorrt.driver import LIBRARY, Driver, DriverError, DriverMissing

INTEGRATED, COMPUTE_MAJOR, COMPUTE_MINOR = 18, 75, 76
"""CUdevice_attribute."""
OLDEST_COMPUTE_CAPABILITY = (7, 5)
"""Turing: what TensorRT 10 and 11 support at least."""
_TEXT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU that CUDA shows to this process (CUDA_VISIBLE_DEVICES chooses among several)."""

    name: str
    """As the driver calls it."""
    compute_capability: tuple[int, int]
    memory_bytes: int
    """All of it, free or not."""
    integrated: bool
    """It shares the memory of the processor, as on Jetson."""
    driver_version: int
    """CUDA version of the driver: 1000 times major and 10 times minor."""
    device_count: int
    pci_bus_id: str
    """Empty when it has none."""

    @property
    def driver(self) -> str:
        """`13.2` for 13020."""
        return f"{self.driver_version // 1000}.{self.driver_version % 1000 // 10}"

    def __str__(self) -> str:
        major, minor = self.compute_capability
        shared = ", shared memory" if self.integrated else ""
        size = f"{self.memory_bytes / (1 << 30):.1f} GiB{shared}"
        return f"{self.name} (compute capability {major}.{minor}, {size}, driver for CUDA {self.driver})"


@dataclass(frozen=True, slots=True)
class NoGpu:
    """There is no GPU that can be used."""

    reason: str
    """What was found, and what to do."""

    def __str__(self) -> str:
        return self.reason


def probe(library: str = LIBRARY) -> Gpu | NoGpu:
    """Ask the driver `library` for a GPU. Never raises, and makes no CUDA context."""
    try:
        driver = Driver(library)
    except DriverMissing as problem:
        return NoGpu(f"no NVIDIA driver: {problem}; install the driver of the GPU and restart")
    try:
        return _first_gpu(driver)
    except DriverError as problem:
        return NoGpu(f"the NVIDIA driver finds no GPU that works: {problem}; {_advice(problem.code)}")


def _first_gpu(driver: Driver) -> Gpu | NoGpu:
    driver.call("cuInit", 0)
    version, count, device = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    driver.call("cuDriverGetVersion", ctypes.byref(version))
    driver.call("cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        return NoGpu(f"the NVIDIA driver finds no GPU: it counts {count.value}; {_advice(100)}")
    driver.call("cuDeviceGet", ctypes.byref(device), 0)
    name, bus = ctypes.create_string_buffer(_TEXT_BYTES), ctypes.create_string_buffer(_TEXT_BYTES)
    driver.call("cuDeviceGetName", name, _TEXT_BYTES, device)
    with contextlib.suppress(DriverError):  # for NVML alone; a GPU of the processor may have none
        driver.call("cuDeviceGetPCIBusId", bus, _TEXT_BYTES, device)
    memory = ctypes.c_size_t()
    driver.call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    gpu = Gpu(
        name=name.value.decode("utf-8", "replace"),
        compute_capability=(_attribute(driver, COMPUTE_MAJOR, device), _attribute(driver, COMPUTE_MINOR, device)),
        memory_bytes=memory.value,
        integrated=bool(_attribute(driver, INTEGRATED, device)),
        driver_version=version.value,
        device_count=count.value,
        pci_bus_id=bus.value.decode("ascii", "replace"),
    )
    if gpu.compute_capability < OLDEST_COMPUTE_CAPABILITY:
        major, minor = OLDEST_COMPUTE_CAPABILITY
        return NoGpu(f"{gpu} is too old: TensorRT needs compute capability {major}.{minor}; use another GPU")
    return gpu


def _attribute(driver: Driver, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    driver.call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
    return value.value


def _advice(code: int) -> str:
    match code:
        case 100:  # no device
            return "is it plugged in, is CUDA_VISIBLE_DEVICES set, may the service use /dev/nvidia*? see: nvidia-smi"
        case 34:  # stub library
            return "a stub of the CUDA toolkit was loaded in its place; take it out of LD_LIBRARY_PATH"
        case 803:  # driver mismatch
            return "the driver was updated; restart the computer"
        case _:
            return "see: nvidia-smi, dmesg"
