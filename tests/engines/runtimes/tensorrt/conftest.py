"""The small driver libraries, compiled once."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from engines.runtimes.tensorrt.driver import LIBRARY
from tests.engines.runtimes.tensorrt.small_driver import compile_library, small_driver


@pytest.fixture(scope="session")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For LD_LIBRARY_PATH."""
    return small_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def libcuda(driver_folder: Path) -> str:
    """A driver with one GPU; the environment says which."""
    return str(driver_folder / "libcuda.so.1")


@pytest.fixture(scope="session")
def old_libcuda(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A driver without the functions for graphs."""
    return str(compile_library("libcuda.c", tmp_path_factory.mktemp("old") / "libcuda-old.so", "-DOLD_DRIVER"))


@pytest.fixture(scope="session")
def libnvml(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(compile_library("libnvml.c", tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"))


@pytest.fixture(scope="session")
def has_driver() -> bool:
    """Whether this computer has an NVIDIA driver of its own."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True
