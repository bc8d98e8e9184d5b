"""The plans of the demo's engines, as far as a computer without a GPU shows them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engines.errors import GpuUnusable
from engines.runtimes.names import Asked
from engines.runtimes.tensorrt.probe import NoGpu, probe
from station.jobs.plan import Phase, PlanBuilding
from station.simulation.run.engine_plans import build_missing, wait_for_plan
from tests.bench.engines.small_engine import write_small_engine

pytestmark = pytest.mark.skipif(not isinstance(probe(), NoGpu), reason="this computer has a GPU that can be used")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "engine", width=32, height=32)


@pytest.mark.parametrize("runtime", ["auto", "onnx", "openvino"])
def test_other_runtimes_need_none(engine: Path, runtime: Asked) -> None:
    said = io.StringIO()
    build_missing([engine], runtime, Console(file=said))
    assert not said.getvalue()
    assert not (engine / "plans").exists()


def test_tensorrt_does_not_go_on_without_a_gpu(engine: Path) -> None:
    with pytest.raises(GpuUnusable, match="driver"):
        build_missing([engine], "tensorrt", Console(quiet=True))


@pytest.mark.system
def test_the_demo_waits_while_the_station_builds(engine: Path) -> None:
    """Nothing can be built here, so the building ends with a failure; until then the demo waits, however long."""
    ended: list[Any] = []
    plans, said = PlanBuilding(), io.StringIO()
    try:
        plans.start(engine, precision="fp32", threads=1, on_end=ended.append)
        wait_for_plan(lambda: {"plan": plans.status.as_dict()}, Console(file=said))
        assert plans.status.phase is Phase.FAILED
    finally:
        plans.close()
    assert "the station builds the TensorRT plan" in said.getvalue()
    assert len(ended) == 1


def test_nothing_to_wait_for_is_not_shown() -> None:
    said = io.StringIO()
    wait_for_plan(lambda: {"plan": PlanBuilding().status.as_dict()}, Console(file=said))
    assert not said.getvalue()
