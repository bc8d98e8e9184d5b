"""TensorRT plans of the demo's engines: built before parts come, because that takes minutes; with a bar.

The production code builds them: as `station engine build` does for an engine that is there before the station starts,
in the station itself for one that it has just been taught.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from engines.bundle.reading import read_bundle
from engines.runtimes.names import Asked
from engines.runtimes.opening import RuntimeOptions, choose
from engines.runtimes.tensorrt.plan_store import PlanState
from station.jobs.plan import Phase, PlanBuildError, build_plan
from station.jobs.process import JobProgress
from station.jobs.progress import ProgressBar
from station.line.inspection.loading import engine_threads

POLL_S = 0.25


def build_missing(engines: Iterable[Path], runtime: Asked, console: Console) -> None:
    """The plans that these engines need and do not have; none where the runtime needs none.

    Raises EngineError, and PlanBuildError where no other runtime may take over.
    """
    options = RuntimeOptions(runtime)
    for engine in engines:
        _, maker = choose(read_bundle(engine), options)
        if maker is None or maker.find().state is PlanState.READY:
            continue
        console.print(f"building the TensorRT plan of {engine.name} for {maker.gpu.name}: takes minutes")
        try:
            with ProgressBar(steps_nest=True) as bar:
                build_plan(engine, precision=options.precision, threads=engine_threads(0), on_progress=bar.show)
        except PlanBuildError as problem:
            if runtime != "auto":
                raise
            console.print(f"no plan, so another runtime takes over: {problem}", highlight=False)


def wait_for_plan(status: Callable[[], Mapping[str, Any]], console: Console) -> None:
    """Returns when the station builds no plan. `status`: of the station, from the control socket."""
    plan = status()["plan"]
    if plan["phase"] != Phase.BUILDING:
        return
    console.print("the station builds the TensorRT plan of its new engine: takes minutes")
    with ProgressBar(steps_nest=True) as bar:
        while plan["phase"] == Phase.BUILDING:
            if plan["total"]:
                bar.show(JobProgress(plan["step"], plan["done"], plan["total"], 0.0))
            time.sleep(POLL_S)
            plan = status()["plan"]
