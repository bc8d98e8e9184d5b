"""Which runtime runs an engine where there is no GPU, and where there is one without its libraries."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.bundle.reading import read_bundle
from engines.engine import Engine, open_engine
from engines.errors import EngineError, GoldenMismatch, GpuUnusable
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import Opened, RuntimeChoice, RuntimeOptions, choose
from engines.runtimes.tensorrt.plan_maker import TOLERANCES
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_engine(tmp_path_factory.mktemp("engine") / "e", width=64, height=64)


@pytest.fixture
def no_gpu(has_driver: bool) -> None:
    if has_driver:
        pytest.skip("this computer has an NVIDIA driver")


def test_onnx_is_onnx(engine: Path) -> None:
    with open_engine(engine, runtime="onnx") as opened:
        assert opened.choice == RuntimeChoice("onnx", "as configured")
        assert opened.score(np.full((64, 64), 64, np.uint8)).image_score == 0.0


@pytest.mark.parametrize(("shift", "accepted"), [(0.03, True), (0.049, True), (0.06, False), (float("nan"), False)])
def test_golden_scores_may_differ_as_much_as_the_precision_allows(engine: Path, shift: float, accepted: bool) -> None:
    """In half precision 5 % of the way to the limit, which is 40 grey levels here; in float32 1 % of the score."""
    bundle = read_bundle(engine)
    manifest = bundle.manifest
    golden = tuple(dataclasses.replace(one, image_score=one.image_score + shift * 40) for one in bundle.golden[:1])
    with OnnxRuntime(bundle.model, manifest.input, manifest.map, threads=1) as runtime:
        half = Engine(bundle, Opened(runtime, RuntimeChoice("tensorrt", "as configured"), TOLERANCES["fp16"]))
        if accepted:
            half.check_golden(golden)
        else:
            with pytest.raises(GoldenMismatch, match="tensorrt computes something else here"):
                half.check_golden(golden)
        with pytest.raises(GoldenMismatch, match="onnx computes something else here"):
            Engine(bundle, Opened(runtime)).check_golden(golden)


def test_a_reason_is_kept(engine: Path) -> None:
    with open_engine(engine, runtime="onnx", reason="chosen by auto, because the plan is refused") as opened:
        assert str(opened.choice) == "onnx: chosen by auto, because the plan is refused"


@pytest.mark.usefixtures("no_gpu")
def test_auto_falls_back_and_says_why(engine: Path) -> None:
    with open_engine(engine, runtime="auto") as opened:
        assert opened.choice.name == "onnx"
        assert "chosen by auto, because no NVIDIA driver: libcuda.so.1" in opened.choice.why


@pytest.mark.usefixtures("no_gpu")
def test_tensorrt_never_falls_back(engine: Path) -> None:
    with pytest.raises(GpuUnusable, match="no NVIDIA driver"):
        open_engine(engine, runtime="tensorrt")


def test_an_unknown_runtime_is_refused(engine: Path) -> None:
    with pytest.raises(EngineError, match='unknown runtime "cuda"; known: auto, onnx'):
        open_engine(engine, runtime="cuda")  # type: ignore[arg-type]


@pytest.mark.system
def test_no_library_is_imported_with_the_package(engine: Path) -> None:
    """Nor by choosing where there is no GPU."""
    code = (
        "import sys, pathlib\n"
        "from engines.runtimes.tensorrt import builder, cuda_graphs, device, libraries, nvml\n"
        "from engines.runtimes.tensorrt import plan_maker, plan_store, runtime\n"
        "import engines.runtimes.tensorrt.__main__\n"
        "from engines.engine import open_engine\n"
        f"open_engine(pathlib.Path({str(engine)!r}), runtime='auto').close()\n"
        "print([name for name in ('tensorrt', 'pycuda', 'torch') if name in sys.modules])\n"
    )
    assert run(code) == []


@pytest.mark.system
def test_a_gpu_without_tensorrt(engine: Path, driver_folder: Path) -> None:
    """The small driver says yes; TensorRT is not installed in the environment of the tests."""
    code = (
        "import json, pathlib\n"
        "from engines.bundle.reading import read_bundle\n"
        "from engines.errors import GpuUnusable\n"
        "from engines.runtimes.opening import RuntimeOptions, choose\n"
        f"bundle = read_bundle(pathlib.Path({str(engine)!r}))\n"
        "choice, maker = choose(bundle, RuntimeOptions('auto'))\n"
        "try:\n"
        "    choose(bundle, RuntimeOptions('tensorrt'))\n"
        "except GpuUnusable as problem:\n"
        "    print(json.dumps([str(choice), maker is None, str(problem)]))\n"
    )
    choice, without_maker, problem = run(code, LD_LIBRARY_PATH=str(driver_folder))
    assert without_maker
    assert choice == f"onnx: chosen by auto, because {problem}"
    assert "Small GPU is there, but TensorRT cannot be imported" in problem
    assert "pip install 'edge-inspection-station[gpu]'" in problem
    assert "--system-site-packages" in problem


def test_other_runtimes_ask_no_gpu(engine: Path) -> None:
    choice, maker = choose(read_bundle(engine), RuntimeOptions("openvino"))
    assert (choice.name, maker) == ("openvino", None)


@pytest.mark.system
def test_building_without_a_gpu_says_so(engine: Path) -> None:
    """The process that builds plans ends with the reason as its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "engines.runtimes.tensorrt", str(engine), "--precision=fp32"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "error"
    assert "NVIDIA driver" in last["message"]


def run(code: str, **environment: str) -> Any:
    """What a fresh process prints last, as JSON or as a Python list of strings."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return json.loads(done.stdout.splitlines()[-1].replace("'", '"') if "[]" in done.stdout else done.stdout)
