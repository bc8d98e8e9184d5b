"""benchmarks/gpu_check.py as far as it goes without a GPU: it says so, and its parts do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import gpu_check
from engines.bundle.reading import read_bundle
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.tensorrt.plan_key import plan_key
from engines.runtimes.tensorrt.plan_store import PlanState, PlanStore
from engines.runtimes.tensorrt.probe import Gpu, NoGpu, probe
from tests.bench.engines.small_engine import write_small_engine
from tests.engines.runtimes.tensorrt.reports import report

SIDE = 32
GPU = Gpu("Small GPU", (8, 9), 8 << 30, False, 13020, 1, "0000:01:00.0")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "engine", width=SIDE, height=SIDE)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (8, SIDE, SIDE, 3), np.uint8)


def on_cpu(engine: Path) -> OnnxRuntime:
    bundle = read_bundle(engine)
    return OnnxRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1)


@pytest.mark.system
@pytest.mark.skipif(not isinstance(probe(), NoGpu), reason="this computer has a GPU that can be used")
def test_without_a_gpu_it_ends_with_2_and_the_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, gpu_check.__file__, "--json", str(tmp_path / "out.json")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = probe()
    assert isinstance(found, NoGpu)
    assert done.returncode == 2, done.stderr
    assert found.reason in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_damaged_and_foreign_plans_are_distinguished(engine: Path) -> None:
    bundle = read_bundle(engine)
    key = plan_key(bundle.manifest.model.sha256, "fp32", "10.16.1.11", GPU)
    PlanStore(engine).write(key, bytes(1000), report())
    found = list(gpu_check.refusals(bundle, key))
    assert [(what, refused) for what, refused, _ in found] == [("damaged plan", True), ("foreign plan", True)]
    assert "sha256" in found[0][2]
    assert "GPU not Small GPU, here Small GPU" in found[1][2]
    assert PlanStore(engine).find(key).state is PlanState.READY  # only copies were spoilt


def test_different_bits_are_found(engine: Path, tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    darker = np.full((SIDE, SIDE, 3), 65, np.uint8)
    other = write_small_engine(tmp_path / "other", width=SIDE, height=SIDE, reference=darker)
    with on_cpu(engine) as one, on_cpu(engine) as same, on_cpu(other) as different:
        assert gpu_check.same_bits(one.infer, same.infer, pixels) == []
        assert gpu_check.same_bits(one.infer, different.infer, pixels) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_soak_reports_growth_and_different_scores(engine: Path, pixels: NDArray[np.uint8]) -> None:
    free = iter([1000, 400])
    with on_cpu(engine) as runtime:
        result = gpu_check.soak(runtime, pixels, 100, lambda: next(free))
        assert (result["inferences"], result["device_growth_bytes"], result["different_answers"]) == (100, 600, 0)
        times = gpu_check.percentiles(runtime.infer, pixels, 20)
    assert 0 < times["min"] <= times["p50"] <= times["p99"]


def test_floor_is_the_longer_of_arithmetic_and_memory() -> None:
    work = {"operations": 2e9, "weight_bytes": 1e6, "io_bytes": 1e5}
    rates = {"operations_per_s": 1e12, "memory_bytes_per_s": 1e12, "copy_bytes_per_s": 1e10}
    assert gpu_check.floor_ms(1, work, rates) == pytest.approx(2.0 + 0.01)
    assert gpu_check.floor_ms(8, work, rates) == pytest.approx(16.0 + 0.08)
    assert gpu_check.floor_ms(1, work, rates | {"memory_bytes_per_s": 1e8}) == pytest.approx(11.0 + 0.01)


def test_the_engines_it_makes_are_whole(tmp_path: Path) -> None:
    from benchmarks.gpu_engines import make_engine

    made = make_engine(tmp_path / "made", 64)
    bundle = read_bundle(made.path)
    assert bundle.variants["fp16"].parity.passed
    assert made.operations > 1e6
    assert bundle.golden[0].image_score < bundle.manifest.calibration.review_score
    assert bundle.golden[1].image_score > bundle.manifest.calibration.reject_score
    assert len(bundle.sample) == 8
    assert bundle.frame is not None
    assert bundle.frame.shape == (2048, 2448, 3)
