"""Kinds of defects by how often they came: people stand above the engine; a number means one class for good."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.commands.main import main
from station.labels.classes import DefectClass, add_class, change_class, class_numbers, classes
from station.labels.labels import decide
from station.labels.pareto import NO_KIND, pareto
from station.labels.schema import LABELS_FILE, LabelError, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import part_row
from station.results import InspectionRecord, Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker

ANNA = Reviewer("anna", "shell")
SCRATCH = DefectClass("scratch", "major", number=3)


def of_kind(number: int, verdict: Verdict, kind: str) -> InspectionRecord:
    record = PartMaker().inspected(number, verdict)
    (view,) = record.views
    assert view.scores is not None
    return replace(record, views=(replace(view, scores=replace(view.scores, kind=kind)),))


@pytest.fixture(scope="module")
def written() -> list[InspectionRecord]:
    kinds = ["scratch"] * 4 + ["hole"] * 3 + ["unknown", ""]
    failed = [of_kind(number, Verdict.FAIL, kind) for number, kind in enumerate(kinds, start=1)]
    return [*failed, of_kind(10, Verdict.PASS, "scratch")]


@pytest.fixture
def place(tmp_path: Path, written: list[InspectionRecord]) -> Path:
    recorder = Recorder(RecorderSettings(tmp_path / "records", pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    for record in written:
        recorder.record(record)
    assert recorder.stop(20)
    return tmp_path


@pytest.fixture
def labels(place: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(place / LABELS_FILE)) as connection:
        add_class(connection, SCRATCH, ANNA)
        yield connection


def counted(place: Path) -> dict[str, tuple[int, int]]:
    found = pareto(place / "records", place / LABELS_FILE, WALL_TIME, WALL_TIME + 100)
    return {one.name: (one.confirmed, one.suggested) for one in found}


def test_what_people_say_stands_above_what_the_engine_suggests(
    place: Path, labels: sqlite3.Connection, written: list[InspectionRecord]
) -> None:
    assert counted(place) == {"scratch": (0, 4), "hole": (0, 3), NO_KIND: (0, 1), "unknown": (0, 1)}
    rows = [part_row(record) for record in written]
    decide(labels, rows[0], "good", ANNA)
    decide(labels, rows[4], "defective", ANNA, defect_class="scratch")
    decide(labels, rows[5], "defective", ANNA)
    decide(labels, rows[9], "defective", ANNA, defect_class="scratch")  # it had passed
    assert counted(place) == {"scratch": (2, 3), "hole": (0, 2), NO_KIND: (0, 1), "unknown": (0, 1)}
    found = pareto(place / "records", place / LABELS_FILE, WALL_TIME, WALL_TIME + 100)
    assert [round(one.together, 2) for one in found] == [0.56, 0.78, 0.89, 1.0]
    assert found[0].of_class == SCRATCH
    assert found[1].of_class is None
    assert pareto(place / "records", place / LABELS_FILE, WALL_TIME + 100, WALL_TIME + 200) == []


def test_a_number_means_one_class_for_good(place: Path, labels: sqlite3.Connection) -> None:
    assert class_numbers(place / LABELS_FILE) == {"scratch": 3}
    change_class(labels, "scratch", replace(SCRATCH, severity="minor"), ANNA)
    change_class(labels, "scratch", None, ANNA)
    assert class_numbers(place / LABELS_FILE) == {}
    with pytest.raises(LabelError, match='number 3 is or was that of class "scratch"'):
        add_class(labels, DefectClass("hole", "major", number=3), ANNA)
    with pytest.raises(LabelError, match="allowed: 1 to 65535"):
        add_class(labels, DefectClass("hole", "major", number=0), ANNA)
    add_class(labels, SCRATCH, ANNA)
    assert class_numbers(place / "nothing" / LABELS_FILE) == {}


def test_the_shell_keeps_the_catalogue_and_counts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--records", str(place / "records"), "--config", str(place / "none.toml")]
    assert main(["classes", "set", "hole", *where]) == 2
    assert "--severity" in capsys.readouterr().err
    assert main(["classes", "set", "hole", "--severity", "critical", "--colour", "#1f5fa8", *where]) == 0
    assert main(["classes", "set", "hole", "--number", "8", *where]) == 0
    assert "station reload" in capsys.readouterr().out
    assert main(["classes", "list", "--json", *where]) == 0
    kept = {"name": "hole", "severity": "critical", "colour": "#1f5fa8", "key": None, "number": 8}
    assert json.loads(capsys.readouterr().out) == [kept]
    with closing(open_writer(place / LABELS_FILE)) as connection:
        assert classes(connection) == [DefectClass("hole", "critical", "#1f5fa8", None, 8)]
    span = ["--since", "2026-01-01", "--until", "2028-01-01"]
    assert main(["classes", "pareto", "--json", *span, *where]) == 0
    found = [(one["name"], one["suggested"], one["number"]) for one in json.loads(capsys.readouterr().out)]
    assert found[:2] == [("scratch", 4, None), ("hole", 3, 8)]
    assert main(["classes", "pareto", *span, *where]) == 0
    assert "no kind" in capsys.readouterr().out
