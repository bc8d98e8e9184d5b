"""A night and a day on record, in Berlin, at the change of the clocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.commands.main import main
from station.line.recording.stage import Recorder, RecorderSettings
from station.results import Decision, InspectionRecord, Reason, Verdict
from station.simulation.parts.pictures import Canvas
from station.simulation.run.workspace import configuration
from tests.bench.sample_parts import PartMaker

MIDNIGHT = 1_792_886_400.0
"""2026-10-25 00:00 UTC, 02:00 in Berlin; at 01:00 UTC the clock shows 02:00 again."""
SHIFTS = """time_zone = "Europe/Berlin"
shifts = [{ name = "day", start = "06:00" }, { name = "night", start = "22:00" }]
"""
Record = Callable[..., None]


@dataclass(frozen=True)
class Station:
    """A configuration and its records; `said` runs a command of it."""

    config: Path
    records: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: object) -> tuple[int, str, str]:
        code = main([*map(str, words), "--config", str(self.config)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def said(self, *words: object) -> str:
        code, out, err = self.run(*words)
        assert (code, err) == (0, "")
        return out

    def data(self, *words: object) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.said(*words, "--json"))
        return found

    def refused(self, *words: object) -> str:
        code, out, err = self.run(*words)
        assert (code, out) == (2, "")
        return err


def at(record: InspectionRecord, hours: float, **changes: object) -> InspectionRecord:
    """The record of a part that was triggered this long after `MIDNIGHT`."""
    part = replace(record.part, wall_time=MIDNIGHT + hours * 3600)
    return replace(record, part=part, **changes)  # type: ignore[arg-type]


def record(folder: Path, parts: list[InspectionRecord], session: str = "s1") -> None:
    recorder = Recorder(RecorderSettings(folder, pass_image_share=0.0, min_free_mb=0), session)
    recorder.start()
    for part in parts:
        recorder.record(part)
    assert recorder.stop(20)


@pytest.fixture
def station(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Station:
    """Parts 1001 to 1006: two of the night before, twice the same hour of the clock, day, a challenge part."""
    text = configuration(Canvas(64, 64, 1), tmp_path / "engine", 1502, trigger="line")
    config = tmp_path / "station.toml"
    config.write_text(text.replace("[station]\n", f"[station]\n{SHIFTS}"), encoding="utf-8")
    make = PartMaker()
    evil = Decision(Verdict.FAIL, (Reason(ReasonCode.REGION_AREA, "=1+1 [bold]x[/] \x1b[31m"),))
    challenge = make.inspected(6, Verdict.FAIL)
    record(
        tmp_path / "records",
        [
            at(make.inspected(1, Verdict.PASS), -3.5),
            at(make.inspected(2, Verdict.FAIL), 0.5),
            at(make.inspected(3, Verdict.REVIEW), 1.5, recipe="other"),
            at(make.without_frame(4), 5.5),
            at(make.inspected(5, Verdict.FAIL), 21.5, decision=evil),
            at(replace(challenge, part=replace(challenge.part, challenge=3)), 23.5),
        ],
    )
    capsys.readouterr()  # the log of the recorder
    return Station(config, tmp_path / "records", capsys)
