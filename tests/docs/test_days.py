"""docs/days.md says of three people's days what was counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.people.document import write
from tests.bench.places import ROOT

DAYS = ROOT / "docs" / "days.md"
COUNTED = ROOT / "benchmarks" / "results" / "peoples_days.json"


def test_its_tables_are_those_of_the_results(tmp_path: Path) -> None:
    written = tmp_path / "days.md"
    written.write_text(DAYS.read_text())
    write(COUNTED, written)
    assert written.read_text() == DAYS.read_text()


def test_other_figures_are_written_and_a_day_without_its_heading_is_said(tmp_path: Path) -> None:
    counted = json.loads(COUNTED.read_text())
    counted[-1]["steps"][0]["clicks"] += 1000
    counted[-1]["says"] = {"rejected": 0.25}
    results, written = tmp_path / "days.json", tmp_path / "days.md"
    results.write_text(json.dumps(counted))
    written.write_text(DAYS.read_text())
    write(results, written)
    assert "| sign in | 1004 |" in written.read_text()
    assert "On the line, of the parts of that time: rejected 25 %." in written.read_text()
    write(COUNTED, written)
    assert written.read_text() == DAYS.read_text()
    written.write_text("# Days\n")
    with pytest.raises(ValueError, match="has no table under ## The integrator's first day"):
        write(COUNTED, written)
