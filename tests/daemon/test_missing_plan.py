"""The engine of a station has no plan: one is built, off line, or it is a fault."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import cast

import pytest

from engines.errors import PlanUnusable
from station.codes import ErrorCode
from station.configuration import load as config
from station.configuration.recipe import EngineSection
from station.daemon.changeover import Changeover
from station.daemon.missing_plan import MissingPlan
from station.line.acquisition.cameras import Cameras
from station.line.inspection.stage import InspectionStage
from station.line.recording.stage import Recorder
from station.line.signalling.messages import Changing, RaiseFault
from station.line.signalling.stage import Signalling
from station.records.audit import AuditEntry

END_S = 20.0


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


class Heard(queue.SimpleQueue[object]):
    """Stands for signalling and recorder: what is posted, and what is entered."""

    def post(self, message: object) -> None:
        self.put(message)

    def audit(self, entry: object) -> None:
        self.put(entry)

    def event(self, *_: object) -> None:
        return None


def changeover(directory: Path, heard: Heard) -> Changeover:
    path = directory / "station.toml"
    path.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\nruntime = "tensorrt"\npath = "engine"\n')
    made = Changeover(
        config.load(path),
        "session",
        signalling=cast("Signalling", heard),
        inspection=cast("InspectionStage", heard),
        cameras=cast("Cameras", heard),
        recorder=cast("Recorder", heard),
    )
    made._started.set()
    return made


def test_the_end_of_a_build_waits_for_a_change_that_was_faster(tmp_path: Path) -> None:
    """Else the plan would not be taken up: "another change is under way"."""
    heard = Heard()
    made = changeover(tmp_path, heard)
    end = threading.Thread(target=made.missing_plan.ended, args=(made.configuration.engine_path, "no plan"))
    with made._lock:
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
    changeover(tmp_path, heard).missing_plan.ended(tmp_path / "the engine of the recipe before", "no plan")
    entry = heard.get(timeout=END_S)
    assert isinstance(entry, AuditEntry)
    assert (entry.result, entry.detail) == ("refused", "the station has another engine by now")
    assert heard.empty()
