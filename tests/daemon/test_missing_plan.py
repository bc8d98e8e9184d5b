"""The engine of a station has no plan: one is built, off line, or it is a fault."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from engines.errors import PlanUnusable
from station.codes import ErrorCode
from station.configuration.recipe import EngineSection
from station.daemon.missing_plan import MissingPlan
from station.line.signalling.messages import Changing, RaiseFault
from station.records.audit import AuditEntry
from tests.bench.changeovers import Heard, changeover

END_S = 20.0
ENGINE = 'runtime = "tensorrt"\npath = "engine"'


@pytest.mark.parametrize(
    ("policy", "rebuilding_helps"), [("refuse", True), ("build", False)], ids=["nobody wants it built", "of no use"]
)
def test_a_plan_that_is_not_built_is_a_fault(policy: str, rebuilding_helps: bool) -> None:
    posted: list[object] = []
    missing = MissingPlan(posted.append, lambda _path, _problem: "")
    section = EngineSection.model_validate({"missing_plan": policy})
    missing.begin(PlanUnusable("no plan", rebuilding_helps=rebuilding_helps), Path("engine"), section)
    assert posted == [RaiseFault(ErrorCode.PLAN_UNUSABLE, "no plan")]
    assert not missing.building.is_under_way


@pytest.mark.parametrize(
    ("refused", "expected"),
    [("", []), ("golden image", [Changing(None), RaiseFault(ErrorCode.PLAN_UNUSABLE, "golden image")])],
)
def test_the_end_of_a_build_takes_the_engine_up(refused: str, expected: list[object]) -> None:
    posted: list[object] = []
    taken: list[tuple[Path, str]] = []

    def take_up(path: Path, problem: str) -> str:
        taken.append((path, problem))
        return refused

    MissingPlan(posted.append, take_up).ended(Path("engine"), "")
    assert taken == [(Path("engine"), "")]
    assert posted == expected


def test_the_end_of_a_build_waits_for_a_change_that_was_faster(tmp_path: Path) -> None:
    """Else the plan would not be taken up: "another change is under way"."""
    heard = Heard()
    made = changeover(tmp_path, heard, ENGINE)
    end = threading.Thread(target=made.missing_plan.ended, args=(made.configuration.engine_path, "no plan"))
    with made.changes._turn:
        end.start()
        with pytest.raises(queue.Empty):
            heard.get(timeout=0.3)
    end.join(END_S)
    assert not end.is_alive()
    entry, back, fault = (heard.get(timeout=END_S) for _ in range(3))
    assert isinstance(entry, AuditEntry)
    assert (entry.result, entry.detail) == ("refused", "no plan")
    assert back == Changing(None)
    assert fault == RaiseFault(ErrorCode.PLAN_UNUSABLE, "no plan")


def test_the_plan_of_an_engine_that_was_replaced_meanwhile_is_no_fault(tmp_path: Path) -> None:
    heard = Heard()
    changeover(tmp_path, heard, ENGINE).missing_plan.ended(tmp_path / "the engine of the recipe before", "no plan")
    assert heard.refusal() == "the station has another engine by now"
