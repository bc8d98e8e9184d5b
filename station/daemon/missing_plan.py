"""The engine of a station has no TensorRT plan that can be used: the station stays off line and has one built.

no plan ──► BUILDING_PLAN ──► the plan is there ──► the engine is taken up
    │                    └──► there will be none ──► fault PLAN_UNUSABLE; with `auto` the processor runs the engine
    └────► fault PLAN_UNUSABLE, where the configuration refuses to build or building does not help
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from engines.errors import PlanUnusable
from station.codes import ErrorCode, OfflineReason
from station.configuration.recipe import EngineSection
from station.jobs.plan import PlanBuilding
from station.line.inspection.loading import engine_threads
from station.line.signalling.messages import Changing, RaiseFault

log = structlog.get_logger()


class MissingPlan:
    """Owns the building of the plan. `begin` is called by whoever loads an engine, the end comes on the thread that
    builds."""

    def __init__(self, post: Callable[[Changing | RaiseFault], None], take_up: Callable[[Path, str], str]) -> None:
        """`take_up(engine, problem)` loads the engine in this folder anew; `problem` says why it still has no plan. It
        returns why the engine cannot be used; empty when it runs, or when it is no longer the station's.
        """
        self._post = post
        self._take_up = take_up
        self.building = PlanBuilding()

    def begin(self, problem: PlanUnusable, path: Path | None, engine: EngineSection) -> None:
        """The engine in the folder `path` has no plan: builds one where that is wanted and helps, else faults."""
        log.warning("no TensorRT plan", problem=str(problem))
        if engine.missing_plan == "refuse" or not problem.rebuilding_helps or path is None:
            self._post(RaiseFault(ErrorCode.PLAN_UNUSABLE, str(problem)))
            return
        self._post(Changing(OfflineReason.BUILDING_PLAN))
        threads = engine_threads(engine.threads)
        self.building.start(path, precision=engine.precision, threads=threads, on_end=partial(self.ended, path))

    def ended(self, path: Path, problem: str) -> None:
        """The building has ended, with a plan or with a problem. Called on the thread that builds."""
        if refused := self._take_up(path, problem):
            self._post(Changing(None))
            self._post(RaiseFault(ErrorCode.PLAN_UNUSABLE, refused))
