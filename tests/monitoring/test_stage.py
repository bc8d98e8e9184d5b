"""The thread: warnings come and go, learning outlives restarts, spoilt memory and failures are said, nothing waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from station.codes import ReasonCode, WarningCode
from station.line.signalling.messages import Warn
from station.monitoring import stage as module
from station.monitoring.memory import FILE
from station.monitoring.seen import SeenPart, seen_of
from station.monitoring.stage import Monitoring, MonitoringSettings
from station.monitoring.watch import Watch, WatchSettings
from station.results import Decision, Verdict
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for
from tests.monitoring.line import Line

NORMAL = Line()


@dataclass
class Heard:
    """A monitoring stage without a station, and what it says."""

    folder: Path
    warnings: list[Warn] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = MonitoringSettings(self.folder / FILE, WatchSettings(3600, 1, 0.01, 0.005), 5)
        self.stage = Monitoring(settings, self.warnings.append, lambda *said: self.events.append(said))

    def feed(self, line: Line, count: int, seed: int = 1) -> None:
        for part in line.parts(count, np.random.default_rng(seed)):
            self.put(part)

    def put(self, part: SeenPart) -> None:
        wait_for(lambda: self.stage._inbox.qsize() < 1000, "the thread to follow")
        self.stage._inbox.put(part)

    def settled(self) -> None:
        wait_for(lambda: self.stage._inbox.qsize() == 0, "the thread to follow")


def test_a_darker_lamp_is_a_warning_until_it_is_as_before(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    heard.stage.start()
    heard.stage.engine_is("e1", 0.01, 0.05)
    heard.feed(NORMAL, 1200)
    heard.feed(replace(NORMAL, grey=100.0), 400, seed=2)
    wait_for(lambda: Warn(WarningCode.LIGHT_CHANGED, True) in heard.warnings, "the warning")
    heard.feed(NORMAL, 1500, seed=3)
    wait_for(lambda: Warn(WarningCode.LIGHT_CHANGED, False) in heard.warnings, "its end")
    assert heard.stage.stop(10)
    kinds = [kind for kind, _, _ in heard.events]
    assert kinds == ["monitoring_change", "monitoring_normal"]
    assert "check lamp" in heard.events[0][2]
    assert "grey: top: normal" in heard.events[0][2]


def test_what_was_learned_and_what_stands_outlive_a_restart(tmp_path: Path) -> None:
    first = Heard(tmp_path)
    first.stage.start()
    first.feed(NORMAL, 1200)
    first.feed(replace(NORMAL, grey=100.0), 400, seed=2)
    first.settled()
    assert first.stage.stop(10)
    second = Heard(tmp_path)
    second.stage.start()
    second.feed(NORMAL, 1)
    wait_for(lambda: Warn(WarningCode.LIGHT_CHANGED, True) in second.warnings, "the warning that stood")
    assert second.stage.status["state"] == "changed"
    assert second.stage.status["drift"]
    assert second.stage.learn_again(10)
    wait_for(lambda: Warn(WarningCode.LIGHT_CHANGED, False) in second.warnings, "its end")
    assert second.stage.stop(10)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 9}', '{"format": 1, "watches": {"x": {}}}', "[" * 100_000]
)
def test_a_memory_that_cannot_be_used_is_said_and_learning_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    heard = Heard(tmp_path)
    heard.stage.start()
    heard.feed(NORMAL, 3)
    assert heard.stage.learn_again(10)
    assert heard.stage.is_alive
    assert heard.stage.stop(10)
    assert heard.events[0][0] == "monitoring_begins_anew"


def test_a_failure_is_a_warning_and_the_line_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("spoilt")

    monkeypatch.setattr(Watch, "add", fails)
    heard = Heard(tmp_path)
    heard.stage.start()
    heard.feed(NORMAL, 1)
    wait_for(lambda: heard.warnings == [Warn(WarningCode.NOT_WATCHED, True)], "the warning")
    assert heard.events == [("monitoring_failed", "error", "nothing watches for drift: RuntimeError: spoilt")]
    heard.stage.record(PartMaker().inspected(1, Verdict.PASS))
    assert heard.stage.stop(10)


def test_parts_are_left_out_rather_than_waited_for(tmp_path: Path) -> None:
    heard = Heard(tmp_path)  # its thread does not run
    maker = PartMaker()
    for number in range(module.MAX_WAITING + 7):
        heard.stage.record(maker.inspected(1, Verdict.PASS) if number == 0 else RECORD)
    assert heard.stage._inbox.qsize() == module.MAX_WAITING
    heard.stage.start()
    heard.feed(NORMAL, 1)
    wait_for(lambda: heard.stage.status["left_out"] == 7, "the count")
    assert heard.stage.stop(10)


RECORD = PartMaker().inspected(1, Verdict.PASS)


def test_of_a_record_the_numbers_are_taken() -> None:
    seen = seen_of(PartMaker().inspected(1, Verdict.FAIL))
    assert seen is not None
    (view,) = seen.views
    assert (seen.verdict, seen.score, view.grey, view.saturated) == (Verdict.FAIL, 0.5, 100.0, 0.01)
    assert view.sharpness == pytest.approx(55.0 / 100.0**2)
    assert view.defect is not None


def test_what_says_nothing_of_production_is_left_out() -> None:
    maker = PartMaker()
    record = maker.inspected(1, Verdict.PASS)
    assert seen_of(replace(record, late=True)) is None
    assert seen_of(replace(record, part=replace(record.part, challenge=3))) is None
    assert seen_of(replace(record, engine_id="")) is None
    offline = replace(record, decision=Decision.error(ReasonCode.OFFLINE), views=())
    assert seen_of(offline) is None
    late = seen_of(replace(offline, decision=Decision.error(ReasonCode.DEADLINE)))
    assert late is not None
    assert late.not_inspected
    assert math.isnan(late.score)
