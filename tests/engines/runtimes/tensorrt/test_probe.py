"""The probe: on this computer as it is, and against a small driver library in C."""

from __future__ import annotations

import pytest

from engines.errors import GpuUnusable
from engines.runtimes.tensorrt.libraries import check_version, load_libraries
from engines.runtimes.tensorrt.probe import Gpu, NoGpu, probe


def test_this_computer_answers(has_driver: bool) -> None:
    found = probe()
    if not has_driver:
        assert isinstance(found, NoGpu)
        assert "no NVIDIA driver: libcuda.so.1 cannot be loaded" in found.reason
        assert "install the driver" in found.reason
    assert str(found)


def test_a_gpu_is_described(libcuda: str) -> None:
    found = probe(libcuda)
    assert found == Gpu("Small GPU", (8, 9), 8 << 30, False, 13020, 1, "0000:01:00.0")
    assert str(found) == "Small GPU (compute capability 8.9, 8.0 GiB, driver for CUDA 13.2)"


def test_a_gpu_of_the_processor(libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jetson: one memory, an older driver, and no place on a bus."""
    for name, value in {
        "CUDA_SMALL_NAME": "Orin",
        "CUDA_SMALL_INTEGRATED": "1",
        "CUDA_SMALL_MINOR": "7",
        "CUDA_SMALL_VERSION": "12060",
        "FAILS_cuDeviceGetPCIBusId": "1",
    }.items():
        monkeypatch.setenv(name, value)
    found = probe(libcuda)
    assert isinstance(found, Gpu)
    assert found.integrated
    assert found.driver == "12.6"
    assert "8.0 GiB, shared memory" in str(found)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FAILS_cuInit", "100", ["cuInit: CUDA_ERROR_NO_DEVICE (100)", "CUDA_VISIBLE_DEVICES", "nvidia-smi"]),
        ("FAILS_cuInit", "34", ["CUDA_ERROR_STUB_LIBRARY", "LD_LIBRARY_PATH"]),
        ("FAILS_cuInit", "803", ["CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the computer"]),
        ("FAILS_cuInit", "777", ["an error that this driver has no name for (777)", "nvidia-smi"]),
        ("CUDA_SMALL_COUNT", "0", ["finds no GPU: it counts 0", "nvidia-smi"]),
        ("FAILS_cuDeviceTotalMem_v2", "999", ["cuDeviceTotalMem_v2: CUDA_ERROR_UNKNOWN (999)"]),
        ("CUDA_SMALL_MAJOR", "6", ["compute capability 6.9", "too old", "7.5"]),
    ],
)
def test_the_reason_says_what_to_do(
    libcuda: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    found = probe(libcuda)
    assert isinstance(found, NoGpu)
    assert all(word in found.reason for word in words), found.reason


@pytest.mark.system
def test_an_old_driver_is_named(old_libcuda: str) -> None:
    found = probe(old_libcuda)
    assert isinstance(found, NoGpu)
    assert "has no function cuStreamBeginCapture_v2: the driver is too old" in found.reason


def test_without_a_gpu_no_library_is_touched() -> None:
    with pytest.raises(GpuUnusable, match="no GPU today"):
        load_libraries(NoGpu("no GPU today"))


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.11", "11.4.0.106"])
def test_known_versions(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.0", "", "eleven"])
def test_unknown_versions_are_refused(version: str) -> None:
    with pytest.raises(GpuUnusable, match=r"10\.3 up to 11\.x is known to work"):
        check_version(version)
