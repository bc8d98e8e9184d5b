"""A station that is told to use TensorRT: without a GPU, without TensorRT, without a plan, and with a GPU that fails.

In none of these a part passes that was not inspected.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.client import ModbusClient

from engines.errors import FaultKind
from engines.runtimes.tensorrt.probe import NoGpu, probe
from station.codes import LINE_STOPS, ErrorCode, OfflineReason, ReasonCode
from station.daemon.supervisor import EXIT_DEVICE_FAILED
from station.jobs.plan import Phase, PlanBuildError, PlanBuilding, build_plan
from station.line.acquisition.messages import CameraChanged, CameraState
from station.line.handshake.messages import StationState
from station.line.signalling.condition import Condition
from tests.bench.bench import Bench, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.gpu_station import failing
from tests.bench.places import ROOT
from tests.bench.waiting import wait_for
from tests.engines.runtimes.tensorrt.small_driver import small_driver

pytestmark = pytest.mark.skipif(not isinstance(probe(), NoGpu), reason="this computer has a GPU that can be used")
BUSY: dict[str, Any] = {"station__deadline_ms": 8000, "camera__no_frame_ms": 4000}
"""No part is late because the machine has other work."""
END_S = 120.0


def gpu_bench(directory: Path, **settings: Any) -> Bench:
    """A station whose runtime fails as a GPU does."""
    command = (sys.executable, "-m", "tests.bench.gpu_station", "run", "--config", str(directory / "station.toml"))
    return Bench(directory, command=command, **BUSY, **settings)


def tool(bench: Bench, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`station ...` in a process of its own."""
    command = [sys.executable, "-m", "station", *arguments, "--config", str(bench.config_path)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=END_S,
        cwd=ROOT,
        env={**os.environ, **bench.scene.environment(1), **environment},
    )


def codes(bench: Bench) -> tuple[int, int]:
    """OfflineReason and ErrorCode as a PLC reads them; zeros while nobody answers."""
    client = ModbusClient("127.0.0.1", bench.port)
    try:
        found = client.read_input_registers(3, 2)
        return (found[0], found[1]) if found else (0, 0)
    finally:
        client.close()


# ---- without a GPU, without TensorRT --------------------------------------------------------------------------------


def test_tensorrt_without_a_gpu_does_not_start(tmp_path: Path) -> None:
    with Bench(tmp_path, engine__runtime="tensorrt") as bench:
        bench.start(wait_ready=False)
        assert bench.process is not None
        assert bench.process.wait(END_S) == 2
        assert "station: no NVIDIA driver: libcuda.so.1 cannot be loaded" in bench.log()
        assert not bench.plc.ready
        assert bench.counts().passed == 0


def test_auto_without_a_gpu_inspects_and_says_why(tmp_path: Path) -> None:
    with Bench(tmp_path, engine__runtime="auto", **BUSY) as bench:
        bench.start()
        assert bench.part(good()).passed
        assert bench.part(bad()).reject
        state = bench.status()
        assert state["runtime"].startswith("onnx: chosen by auto, because no NVIDIA driver")
        assert state["plan"]["phase"] == "idle"
        assert "onnx: chosen by auto, because no NVIDIA driver" in bench.log()
        shown = " ".join(tool(bench, "status").stdout.split())
        assert "onnx: chosen by auto" in shown
        assert bench.terminate() == 0


def test_check_and_build_say_what_is_missing(tmp_path: Path) -> None:
    """Without a driver, and with one but without TensorRT."""
    driver = small_driver(tmp_path / "driver")
    with Bench(tmp_path, engine__runtime="tensorrt") as bench:
        for environment, words in (
            ({}, "no NVIDIA driver: libcuda.so.1 cannot be loaded"),
            ({"LD_LIBRARY_PATH": str(driver)}, "Small GPU is there, but TensorRT cannot be imported"),
        ):
            built = tool(bench, "engine", "build", **environment)
            assert built.returncode == 2
            assert words in built.stderr
            checked = tool(bench, "check", **environment, COLUMNS="1000")
            assert checked.returncode == 2
            assert words in checked.stdout


def test_build_names_the_engine_that_it_does_not_find(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False) as bench:
        for arguments, words in (
            (["engine", "build"], "the station has no engine yet"),
            (["engine", "build", "17"], '"17" is not the folder of an engine, and no [engine] store is configured'),
        ):
            built = tool(bench, *arguments)
            assert built.returncode == 2
            assert words in built.stderr


# ---- without a plan -------------------------------------------------------------------------------------------------


def test_a_plan_that_cannot_be_built_is_a_fault_of_a_station_that_runs(tmp_path: Path) -> None:
    """The building process is the real one, and it finds no GPU. PLC and people see reason 12, then error 7."""
    seen: set[tuple[int, int]] = set()
    with gpu_bench(tmp_path, engine__runtime="onnx") as bench:
        bench.start(wait_ready=False, environment={"PLANS_MISSING": "99"})

        def faulty() -> bool:
            now = codes(bench)
            seen.add(now)
            return now[1] == ErrorCode.PLAN_UNUSABLE

        wait_for(faulty, "error 7", END_S)
        assert (OfflineReason.BUILDING_PLAN, ErrorCode.NONE) in seen
        state = bench.status()
        assert state["error"].startswith(
            "the engine has no TensorRT plan that may be used on this GPU: no NVIDIA driver"
        )
        assert state["plan"]["phase"] == "failed"
        assert not state["ready"]
        assert bench.terminate() == 0
        assert bench.counts().triggers == 0


def test_auto_takes_the_processor_when_no_plan_can_be_built(tmp_path: Path) -> None:
    with gpu_bench(tmp_path, engine__runtime="auto") as bench:
        bench.start(environment={"PLANS_MISSING": "1"})
        assert bench.part(good()).passed
        assert bench.part(bad()).reject
        state = bench.status()
        assert state["runtime"].startswith("onnx: chosen by auto, because no NVIDIA driver")
        assert state["plan"]["phase"] == "failed"
        assert bench.terminate() == 0
        bench.assert_balanced(2)


def test_a_missing_plan_may_be_refused(tmp_path: Path) -> None:
    """A fault, nothing is built; mended, the reload takes the engine up."""
    with gpu_bench(tmp_path, engine__runtime="onnx", engine__missing_plan="refuse") as bench:
        bench.start(wait_ready=False, environment={"PLANS_MISSING": "2"})
        wait_for(lambda: codes(bench)[1] == ErrorCode.PLAN_UNUSABLE, "error 7", END_S)
        refused = tool(bench, "reload")
        assert refused.returncode == 2
        assert "TensorRT plan missing" in refused.stderr
        assert tool(bench, "reload").returncode == 0
        assert tool(bench, "clear").returncode == 0
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(good()).passed
        assert bench.status()["plan"]["phase"] == "idle"
        assert bench.terminate() == 0


def test_a_stop_while_a_plan_is_built(tmp_path: Path) -> None:
    with gpu_bench(tmp_path, engine__runtime="onnx") as bench:
        bench.start(wait_ready=False, environment={"PLANS_MISSING": "99"})
        wait_for(lambda: codes(bench)[0] == OfflineReason.BUILDING_PLAN, "reason 12", END_S)
        assert bench.terminate(END_S) == 0


def test_building_is_shown_as_preoperational() -> None:
    condition = Condition(["top"], lambda *_: None, line_triggered=True)
    condition.camera_changed(CameraChanged("top", CameraState.STREAMING, None, ""))
    condition.set_online(True, OfflineReason.BY_OPERATOR)
    condition.engine_is(True)
    condition.begin_change(OfflineReason.BUILDING_PLAN)
    assert condition.why_offline is OfflineReason.BUILDING_PLAN
    assert condition.state(enabled=True) is StationState.PREOPERATIONAL
    assert not condition.may_signal
    assert not condition.takes_parts


def test_the_building_process_is_followed(tmp_path: Path) -> None:
    engine = write_small_engine(tmp_path / "e", width=64, height=64)
    with pytest.raises(PlanBuildError, match="no NVIDIA driver"):
        build_plan(engine, precision="fp32", threads=1)
    with pytest.raises(PlanBuildError, match="argument --precision: invalid choice: 'fp8'"):
        build_plan(engine, precision="fp8", threads=1)
    with pytest.raises(PlanBuildError, match="expected a directory made by"):
        build_plan(tmp_path / "none", precision="fp32", threads=1)


def test_a_closed_building_calls_nobody(tmp_path: Path) -> None:
    ended: list[str] = []
    building = PlanBuilding()
    engine = write_small_engine(tmp_path / "e", width=64, height=64)
    building.start(engine, precision="fp32", threads=1, on_end=ended.append)
    assert building.is_under_way
    building.close()
    assert building.status.phase is Phase.FAILED
    assert ended == []


# ---- a GPU that fails -----------------------------------------------------------------------------------------------


def test_a_part_that_finds_no_memory_is_an_error(tmp_path: Path) -> None:
    with gpu_bench(tmp_path) as bench:
        bench.start()
        result = bench.part(failing(good(), FaultKind.OUT_OF_MEMORY))
        assert (result.passed, result.reject, result.reason_code) == (False, True, ReasonCode.DEVICE_FAILED)
        assert bench.part(good()).passed
        bench.assert_balanced(2)
        for _ in range(3):
            assert bench.part(failing(good(), FaultKind.OTHER)).reject
        wait_for(lambda: bench.status()["error"] != "", "the fault")
        assert "the GPU failed on this part" in bench.status()["error"]
        assert bench.terminate() == 0


@pytest.mark.parametrize("kind", [FaultKind.ILLEGAL_ACCESS, FaultKind.DEVICE_LOST])
def test_a_gpu_that_is_lost_ends_the_station(tmp_path: Path, kind: FaultKind) -> None:
    """The part is an error for the PLC and on record, then the process ends for systemd to start it again."""
    with gpu_bench(tmp_path) as bench:
        bench.start()
        assert bench.part(good()).passed
        result = bench.part(failing(good(), kind))
        assert (result.passed, result.reject, result.reason_code) == (False, True, ReasonCode.DEVICE_FAILED)
        assert bench.process is not None
        assert bench.process.wait(END_S) == EXIT_DEVICE_FAILED
        counts = bench.assert_balanced(2)
        assert (counts.passed, counts.error) == (1, 1)
        assert kind.value in bench.log()
        bench.start()
        assert bench.part(good()).passed
        assert bench.terminate() == 0


def test_the_line_stops_with_a_lost_gpu() -> None:
    """Where the station pushes parts off itself, nobody else would."""
    assert ErrorCode.DEVICE_FAILED in LINE_STOPS
