"""CUDA graphs through ctypes, and what a failing GPU means: against the small driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import DeviceFault, FaultKind
from engines.runtimes.tensorrt.cuda_graphs import CapturedGraph
from engines.runtimes.tensorrt.driver import Driver, DriverError
from engines.runtimes.tensorrt.faults import device_fault, kind_of

STREAM = 0x5EED
CAPTURED = ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy"]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calls that the driver got."""
    path = tmp_path / "calls"
    path.touch()
    monkeypatch.setenv("CUDA_SMALL_LOG", str(path))
    return path


def calls(log: Path) -> list[str]:
    return log.read_text().split()


def test_a_graph_is_recorded_once_and_launched_often(libcuda: str, log: Path) -> None:
    enqueued: list[int] = []
    graph = CapturedGraph(Driver(libcuda), STREAM, lambda: enqueued.append(len(calls(log))))
    assert calls(log) == CAPTURED
    assert enqueued == [1]  # between begin and end
    graph.launch()
    graph.launch()
    graph.close()
    graph.close()
    assert calls(log)[4:] == ["cuGraphLaunch", "cuGraphLaunch", "cuGraphExecDestroy"]


@pytest.mark.parametrize("function", CAPTURED[:3])
def test_a_recording_that_fails_leaves_nothing_behind(
    libcuda: str, log: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setenv(f"FAILS_{function}", "901")
    with pytest.raises(DriverError, match=f"{function}: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"):
        CapturedGraph(Driver(libcuda), STREAM, lambda: None)
    made, destroyed = calls(log).count("cuGraphInstantiateWithFlags"), calls(log).count("cuGraphDestroy")
    assert destroyed == made


def test_an_enqueue_that_fails_ends_the_recording(libcuda: str, log: Path) -> None:
    def enqueue() -> None:
        raise ValueError("nothing to put on the stream")

    with pytest.raises(ValueError, match="nothing to put"):
        CapturedGraph(Driver(libcuda), STREAM, enqueue)
    assert calls(log) == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphDestroy"]


def test_an_enqueue_that_breaks_the_recording(libcuda: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver refuses to end a recording that was invalidated; the error names what broke it."""
    monkeypatch.setenv("FAILS_cuStreamEndCapture", "901")

    def enqueue() -> None:
        raise ValueError("not allowed while recording")

    with pytest.raises(ValueError, match="not allowed"):
        CapturedGraph(Driver(libcuda), STREAM, enqueue)
    assert "cuGraphDestroy" not in calls(log)


def test_an_empty_recording_is_no_graph(libcuda: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_SMALL_NO_GRAPH", "1")
    with pytest.raises(DriverError, match="no graph was recorded"):
        CapturedGraph(Driver(libcuda), STREAM, lambda: None)
    assert "cuGraphInstantiateWithFlags" not in calls(log)


def test_a_launch_that_fails_is_an_error(libcuda: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = CapturedGraph(Driver(libcuda), STREAM, lambda: None)
    monkeypatch.setenv("FAILS_cuGraphLaunch", "719")
    with pytest.raises(DriverError, match="cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED"):
        graph.launch()


@pytest.mark.parametrize(
    ("code", "kind", "restart"),
    [
        (2, FaultKind.OUT_OF_MEMORY, False),
        (700, FaultKind.ILLEGAL_ACCESS, True),
        (719, FaultKind.ILLEGAL_ACCESS, True),
        (214, FaultKind.DEVICE_LOST, True),
        (999, FaultKind.DEVICE_LOST, True),
        (1, FaultKind.OTHER, False),
    ],
)
def test_kinds(code: int, kind: FaultKind, restart: bool) -> None:
    assert kind_of(code) is kind
    assert DeviceFault("", kind).needs_restart is restart


@pytest.mark.parametrize(("code", "kind"), [("700", FaultKind.ILLEGAL_ACCESS), ("999", FaultKind.DEVICE_LOST)])
def test_the_context_says_how_the_gpu_failed(
    libcuda: str, monkeypatch: pytest.MonkeyPatch, code: str, kind: FaultKind
) -> None:
    monkeypatch.setenv("FAILS_cuCtxSynchronize", code)
    fault = device_fault(Driver(libcuda), "an inference", "TensorRT said no", out_of_memory=True)
    assert fault.kind is kind
    assert f"an inference failed, {kind.value}: TensorRT said no; CUDA_ERROR_" in str(fault)
    assert "restart" in str(fault)


def test_a_context_that_is_well(libcuda: str) -> None:
    """TensorRT said no, and the GPU works: the next part may be tried."""
    driver = Driver(libcuda)
    short = device_fault(driver, "loading the plan", "no room", out_of_memory=True)
    assert short.kind is FaultKind.OUT_OF_MEMORY
    assert not short.needs_restart
    assert device_fault(driver, "an inference", "refused").kind is FaultKind.OTHER
