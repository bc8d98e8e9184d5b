"""The CUDA driver library, as far as it is needed beside pycuda and TensorRT: a few functions of its C interface.

That interface is stable: a program made for an old driver runs on a new one. So these functions need no package that
has to match the driver, and they can be called where neither pycuda nor TensorRT is installed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

LIBRARY = "libcuda.so.1"
"""Comes with the driver of the GPU, never with a package."""

SUCCESS = 0
_DEVICE = ctypes.c_int
_HANDLE = ctypes.c_void_p
_INT_P = ctypes.POINTER(ctypes.c_int)
_HANDLE_P = ctypes.POINTER(_HANDLE)

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDriverGetVersion": (_INT_P,),
    "cuDeviceGetCount": (_INT_P,),
    "cuDeviceGet": (ctypes.POINTER(_DEVICE), ctypes.c_int),
    "cuDeviceGetName": (ctypes.c_char_p, ctypes.c_int, _DEVICE),
    "cuDeviceGetPCIBusId": (ctypes.c_char_p, ctypes.c_int, _DEVICE),
    "cuDeviceGetAttribute": (_INT_P, ctypes.c_int, _DEVICE),
    "cuDeviceTotalMem_v2": (ctypes.POINTER(ctypes.c_size_t), _DEVICE),
    "cuGetErrorName": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
    "cuCtxSynchronize": (),
    "cuStreamBeginCapture_v2": (_HANDLE, ctypes.c_int),
    "cuStreamEndCapture": (_HANDLE, _HANDLE_P),
    "cuGraphInstantiateWithFlags": (_HANDLE_P, _HANDLE, ctypes.c_ulonglong),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGraphDestroy": (_HANDLE,),
}
"""Arguments of each; all of them return a CUresult. The newest, cuGraphInstantiateWithFlags, is of CUDA 11.4."""


class DriverError(Exception):
    """A function of the driver failed."""

    def __init__(self, function: str, code: int, name: str) -> None:
        self.code = code
        """CUresult."""
        super().__init__(f"{function}: {name} ({code})")


class DriverMissing(Exception):
    """The library of the driver cannot be loaded, or is too old."""


class Driver:
    """The loaded library. Calling is free of Python's lock, as always with ctypes.

    Raises:
        DriverMissing: no such library, or a function is missing in it.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as problem:
            raise DriverMissing(f"{library} cannot be loaded: {problem}") from problem
        self._functions: dict[str, Callable[..., int]] = {}
        for name, arguments in _FUNCTIONS.items():
            try:
                function = getattr(self._library, name)
            except AttributeError as problem:
                raise DriverMissing(f"{library} has no function {name}: the driver is too old") from problem
            function.argtypes, function.restype = arguments, ctypes.c_int
            self._functions[name] = function

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function by its name. Raises DriverError when it does not succeed."""
        code = self._functions[function](*arguments)
        if code != SUCCESS:
            raise DriverError(function, code, self.name_of(code))

    def name_of(self, code: int) -> str:
        """The name of a CUresult, `CUDA_ERROR_OUT_OF_MEMORY` for instance."""
        text = ctypes.c_char_p()
        found = self._functions["cuGetErrorName"](code, ctypes.byref(text)) == SUCCESS and text.value
        return found.decode("ascii", "replace") if found else "an error that this driver has no name for"

    def sticky_error(self) -> int:
        """What ails the current context: the CUresult of waiting for all of its work. 0: nothing.

        After a fault on the device every call fails with the same code, until the process ends.
        """
        return self._functions["cuCtxSynchronize"]()
