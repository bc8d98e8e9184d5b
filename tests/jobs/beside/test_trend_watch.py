"""What wears out becomes a warning by a timer, over restarts; where nobody can look, that is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from station.codes import WarningCode
from station.jobs.beside.trend_watch import FILE, TrendWatch
from station.line.signalling.messages import Warn
from tests.bench.ageing_days import write_ageing_days
from tests.bench.waiting import wait_for

COMES, GOES = Warn(WarningCode.WEARS_OUT, True), Warn(WarningCode.WEARS_OUT, False)
ADVICE = {"cause": "the lamp ages", "place": "top", "action": "a", "what": "w", "text": "top: the lamp <b>ages",
          "days": 9.0, "earliest": 5.0, "latest": None}  # fmt: skip


@dataclass
class Heard:
    """A watch of trends without a station, and what it says."""

    records: Path
    every_s: float = 3600.0
    warnings: list[Warn] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[TrendWatch]:
        watch = TrendWatch(
            self.records, self.every_s, self.warnings.append, lambda *said: self.events.append(said), first_s=0.05
        )
        watch.start()
        try:
            yield watch
        finally:
            assert watch.stop(10)


def keep(records: Path, *advice: dict[str, Any]) -> None:
    (records.parent / FILE).write_text(json.dumps({"format": 1, "at": 5.0, "days": 30, "advice": advice}))


@pytest.mark.system
def test_a_lamp_that_ages_is_a_warning_and_stands_over_a_restart_until_the_next_look(tmp_path: Path) -> None:
    records = tmp_path / "records"
    write_ageing_days(records)
    heard = Heard(records)
    with heard.running() as watch:
        wait_for(lambda: COMES in heard.warnings, "the warning")
        wait_for((records.parent / FILE).exists, "what is kept")
        (advice,) = watch.status["advice"]
    assert (advice["cause"], advice["place"], watch.status["state"]) == ("the lamp ages", "top", "known")
    assert 0 < advice["earliest"] <= advice["days"] <= advice["latest"]
    (event,) = heard.events
    assert event[:2] == ("trend", "warning")
    assert "order and exchange the lamp" in event[2]

    again = Heard(records)
    with again.running() as watch:
        wait_for(lambda: COMES in again.warnings, "the warning that stood")
        assert watch.status["advice"] == [advice]
        stood_at = json.loads((records.parent / FILE).read_text())["at"]
        wait_for(lambda: watch.status["at"] > stood_at, "the next look")
    assert again.events == [], "nothing new is said after a restart"

    keep(records, ADVICE, ADVICE | {"place": "left"})
    over = Heard(records)
    with over.running():
        wait_for(lambda: bool(over.events), "what is over")
    assert [kind for kind, _, _ in over.events] == ["trend_over"], "the left lamp is well; the other one stands"
    assert over.warnings == [COMES]


@pytest.mark.system
def test_where_nothing_wears_out_the_warning_goes(tmp_path: Path) -> None:
    records = tmp_path / "records"
    write_ageing_days(records, a_day=0.0)
    keep(records, ADVICE)
    heard = Heard(records)
    with heard.running() as watch:
        wait_for(lambda: heard.warnings == [COMES, GOES], "the warning to go")
        assert watch.status["advice"] == []
        assert watch.status["days"] == 30


@pytest.mark.system
def test_what_cannot_be_looked_at_is_said_and_what_stood_stands(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    (records / "records.db").write_text("no database")
    keep(records, ADVICE)
    heard = Heard(records, every_s=0.05)
    with heard.running() as watch:
        wait_for(lambda: watch.status["state"] == "failed", "the failure")
        assert "could not be looked through" in watch.status["problem"]
        assert len(watch.status["advice"]) == 1
    assert heard.warnings == [COMES]
    assert [kind for kind, _, _ in heard.events] == ["trends_failed"], "said once"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 9}', '{"format": 1, "advice": [3]}', '{"format": 1, "advice": 3}', "[" * 100_000,
     '{"format": 1, "at": 1, "days": 2, "advice": [{"cause": 1}]}'],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    heard = Heard(tmp_path / "records")
    with heard.running():
        wait_for(lambda: bool(heard.events), "the event")
    assert heard.events[0][0] == "trends_begin_anew"
    assert heard.warnings == []
