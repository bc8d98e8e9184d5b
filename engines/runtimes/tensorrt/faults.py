"""What a failing GPU means: can the next part be tried, or does this process have to end?"""

from __future__ import annotations

from engines.errors import DeviceFault, FaultKind
from engines.runtimes.tensorrt.driver import Driver

_KINDS: dict[int, FaultKind] = {
    **dict.fromkeys((2,), FaultKind.OUT_OF_MEMORY),
    # A kernel has run into something that it may not do: illegal address, launch failed or timed out, assertion, stack,
    # instruction, alignment, address space, program counter. The context is lost with all that lies in it.
    **dict.fromkeys((700, 702, 710, 714, 715, 716, 717, 718, 719), FaultKind.ILLEGAL_ACCESS),
    # Driver shut down, device unavailable, no device, bad device, ECC, NVLink, contained memory error, context
    # destroyed, external device, and "unknown": what a GPU that has fallen off the bus gives.
    **dict.fromkeys((4, 46, 100, 101, 214, 220, 226, 709, 911, 999), FaultKind.DEVICE_LOST),
}
"""By CUresult; all others are OTHER."""

_ADVICE = {
    FaultKind.OUT_OF_MEMORY: "another program uses the GPU's memory, or it is too small for the engine; nvidia-smi",
    FaultKind.ILLEGAL_ACCESS: "the station must restart; if it happens again, build the plan anew and see dmesg (Xid)",
    FaultKind.DEVICE_LOST: "the station must restart; see nvidia-smi and dmesg (Xid); check its power and cooling",
    FaultKind.OTHER: "see the log",
}


def kind_of(code: int) -> FaultKind:
    """The kind of a CUresult that is not 0."""
    return _KINDS.get(code, FaultKind.OTHER)


def device_fault(driver: Driver, what: str, detail: str, *, out_of_memory: bool = False) -> DeviceFault:
    """The error for something that failed on the GPU. The driver is asked what ails the context.

    Args:
        driver: with the context current.
        what: was tried.
        detail: what CUDA or TensorRT said.
        out_of_memory: the library said that memory was short, which leaves the context as it was.
    """
    code = driver.sticky_error()
    if code:
        kind, detail = kind_of(code), f"{detail}; {driver.name_of(code)} ({code})"
    else:
        kind = FaultKind.OUT_OF_MEMORY if out_of_memory else FaultKind.OTHER
    return DeviceFault(f"GPU: {what} failed, {kind.value}: {detail}; {_ADVICE[kind]}", kind)
