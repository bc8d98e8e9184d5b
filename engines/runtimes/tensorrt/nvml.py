"""Is the GPU slowed down because it is too hot? Read from NVML, the driver's library for management, through ctypes.

Where there is none (Jetson before JetPack 7, containers without the `utility` capability) nothing is known.
"""

from __future__ import annotations

import ctypes
from typing import Any

LIBRARY = "libnvidia-ml.so.1"

SUCCESS = 0
HARDWARE_SLOWDOWN, SOFTWARE_THERMAL, HARDWARE_THERMAL, POWER_BRAKE = 0x8, 0x20, 0x40, 0x80
_TEMPERATURE_GPU = 0
_WORDS = {
    HARDWARE_THERMAL: "the hardware slows it down: too hot",
    SOFTWARE_THERMAL: "the driver slows it down: too hot",
    POWER_BRAKE: "the power supply slows it down",
    HARDWARE_SLOWDOWN: "the hardware slows it down",
}
_HANDLE_P = ctypes.POINTER(ctypes.c_void_p)


class ThermalMonitor:
    """Reads the sensors of one GPU. Every method returns, whatever is missing.

    Args:
        pci_bus_id: of the GPU, as CUDA gives it.
        library: NVML.
    """

    def __init__(self, pci_bus_id: str, library: str = LIBRARY) -> None:
        self._library: Any = None
        self._device = ctypes.c_void_p()
        try:
            nvml = ctypes.CDLL(library)
            nvml.nvmlDeviceGetHandleByPciBusId_v2.argtypes = (ctypes.c_char_p, _HANDLE_P)
            # The older of two names; newer drivers have it as well.
            nvml.nvmlDeviceGetCurrentClocksThrottleReasons.argtypes = (
                ctypes.c_void_p,
                ctypes.POINTER(ctypes.c_ulonglong),
            )
            nvml.nvmlDeviceGetTemperature.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_uint))
            if nvml.nvmlInit_v2() != SUCCESS:
                return
        except (OSError, AttributeError):
            return
        if nvml.nvmlDeviceGetHandleByPciBusId_v2(pci_bus_id.encode(), ctypes.byref(self._device)) == SUCCESS:
            self._library = nvml
        else:
            nvml.nvmlShutdown()

    @property
    def is_there(self) -> bool:
        """Whether anything is known."""
        return self._library is not None

    def slowdown(self) -> str:
        """Why the GPU is slower than it could be, in words; empty when it is not, or when nothing is known."""
        reasons, temperature = ctypes.c_ulonglong(), ctypes.c_uint()
        if self._library is None:
            return ""
        if self._library.nvmlDeviceGetCurrentClocksThrottleReasons(self._device, ctypes.byref(reasons)) != SUCCESS:
            return ""
        found = [text for bit, text in _WORDS.items() if reasons.value & bit]
        if not found:
            return ""
        known = self._library.nvmlDeviceGetTemperature(self._device, _TEMPERATURE_GPU, ctypes.byref(temperature))
        return found[0] + (f", {temperature.value} °C" if known == SUCCESS else "")

    def close(self) -> None:
        """Give NVML back; may be called twice."""
        if self._library is not None:
            self._library.nvmlShutdown()
            self._library = None
