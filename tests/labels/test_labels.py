"""Labels: what holds is the last word, everything that was said stays, and no record is touched."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.labels.classes import DefectClass, add_class, change_class, classes
from station.labels.labels import decide, read_labels, said_of, withdraw
from station.labels.schema import LABELS_FILE, LabelError, open_reader, open_writer
from station.labels.writing import Reviewer
from station.records.parts import PartRow, part_row
from station.results import Verdict
from tests.bench.sample_parts import PartMaker

ANNA, BEN = Reviewer("anna", "shell"), Reviewer("ben", "shell")
PART = part_row(PartMaker().seen_by(7, {"top": Verdict.FAIL, "side": Verdict.PASS}))
OTHER = part_row(PartMaker().inspected(8, Verdict.PASS))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / LABELS_FILE


@pytest.fixture
def labels(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(file)) as connection:
        yield connection


def words(file: Path, part: PartRow | None = None) -> list[tuple[int, str | None, str, str]]:
    return [(one.acquisition_id, one.camera, one.label, one.reviewer) for one in read_labels(file, part)]


def test_a_label_has_all_that_is_known(labels: sqlite3.Connection, file: Path) -> None:
    add_class(labels, DefectClass("scratch", "minor"), ANNA)
    decide(labels, PART, "defective", ANNA, defect_class="Scratch", comment="at the rim")
    (one,) = read_labels(file)
    assert (one.session, one.acquisition_id, one.part_id, one.wall_time) == ("s1", 7, 1007, PART.wall_time)
    assert (one.label, one.defect_class, one.severity, one.camera) == ("defective", "scratch", "minor", None)
    assert (one.comment, one.reviewer, one.role) == ("at the rim", "anna", "shell")
    assert str(one) == "defective (scratch), says anna: at the rim"
    saw = json.loads(labels.execute("SELECT saw FROM decisions").fetchone()["saw"])
    assert saw == {"verdict": "FAIL", "score": 0.5, "engine_id": "e" * 64, "recipe": "default"}


def test_the_last_word_holds_and_all_of_them_are_kept(labels: sqlite3.Connection, file: Path) -> None:
    decide(labels, PART, "good", ANNA)
    decide(labels, OTHER, "good", ANNA)
    decide(labels, PART, "good", ANNA, comment="again")
    decide(labels, PART, "defective", BEN)
    assert words(file) == [(8, None, "good", "anna"), (7, None, "defective", "ben")]
    withdraw(labels, PART, ANNA)
    assert words(file, PART) == []
    with pytest.raises(LabelError, match="has no label that could be withdrawn"):
        withdraw(labels, PART, ANNA)
    decide(labels, PART, "good", BEN)
    assert words(file, PART) == [(7, None, "good", "ben")]
    said = [(one.label, one.kind, one.refers) for one in said_of(labels, PART)]
    assert said == [
        ("good", "decide", None),
        ("good", "decide", 1),
        ("defective", "overrule", 3),
        ("defective", "undo", 4),
        ("good", "decide", 5),
    ]


def test_a_view_has_a_label_of_its_own(labels: sqlite3.Connection, file: Path) -> None:
    decide(labels, PART, "defective", ANNA)
    decide(labels, PART, "good", ANNA, camera="side")
    assert words(file, PART) == [(7, None, "defective", "anna"), (7, "side", "good", "anna")]
    withdraw(labels, PART, ANNA, camera="side")
    assert words(file, PART) == [(7, None, "defective", "anna")]
    with pytest.raises(LabelError, match='no view of camera "end"'):
        decide(labels, PART, "good", ANNA, camera="end")


def test_parts_of_other_sessions_are_other_parts(labels: sqlite3.Connection, file: Path) -> None:
    decide(labels, PART, "good", ANNA)
    assert words(file, replace(PART, session="s2")) == []


def test_what_was_said_cannot_be_changed(labels: sqlite3.Connection) -> None:
    decide(labels, PART, "good", ANNA)
    for statement in ("UPDATE decisions SET label = 'defective'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            labels.execute(statement)


def test_classes_are_known_before_they_are_used(labels: sqlite3.Connection, file: Path) -> None:
    with pytest.raises(LabelError, match='no class "scratch"; there are: none yet'):
        decide(labels, PART, "defective", ANNA, defect_class="scratch")
    add_class(labels, DefectClass("scratch", "minor"), ANNA)
    add_class(labels, DefectClass("Öl", "cosmetic"), ANNA)
    with pytest.raises(LabelError, match='class "SCRATCH" is there already'):
        add_class(labels, DefectClass("SCRATCH", "major"), BEN)
    with pytest.raises(LabelError, match='no class "scrach"; there are: scratch, Öl'):
        decide(labels, PART, "defective", ANNA, defect_class="scrach")
    with pytest.raises(LabelError, match="only a defective part has a class"):
        decide(labels, PART, "good", ANNA, defect_class="scratch")
    assert classes(labels) == [DefectClass("scratch", "minor"), DefectClass("Öl", "cosmetic")]
    assert read_labels(file) == []


def test_a_class_is_changed_by_another_row_and_old_labels_keep_the_old_one(
    labels: sqlite3.Connection, file: Path
) -> None:
    add_class(labels, DefectClass("scratch", "minor"), ANNA)
    decide(labels, PART, "defective", ANNA, defect_class="scratch")
    change_class(labels, "scratch", DefectClass("groove", "critical", "#1f5fa8", 3), BEN)
    assert classes(labels) == [DefectClass("groove", "critical", "#1f5fa8", 3)]
    (one,) = read_labels(file)
    assert (one.defect_class, one.severity) == ("scratch", "minor")
    for refused, why in (
        (DefectClass("dent", "major", "red"), 'colour "red"'),
        (DefectClass("dent", "major", key=10), "key 10"),
        (DefectClass("Groove", "major"), "is there already"),
        (DefectClass("dent", "major", key=3), 'key 3 is that of class "groove"'),
    ):
        add_class(labels, DefectClass("chip", "minor"), ANNA)
        with pytest.raises(LabelError, match=why):
            change_class(labels, "chip", refused, BEN)
        assert [one.name for one in classes(labels)] == ["chip", "groove"], "nothing was changed"
        change_class(labels, "chip", None, BEN)
    change_class(labels, "groove", None, BEN)
    assert classes(labels) == []
    with pytest.raises(LabelError, match="somebody may have renamed it"):
        change_class(labels, "groove", None, BEN)


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "\x1b[31m", "x" * 65])
def test_names_are_one_line(text: str, labels: sqlite3.Connection) -> None:
    with pytest.raises(LabelError, match="one line of 1 to 64 letters"):
        Reviewer(text, "shell")
    with pytest.raises(LabelError, match="one line of 1 to 64 letters"):
        add_class(labels, DefectClass(text, "minor"), ANNA)


def test_nobody_has_labelled_yet(file: Path) -> None:
    assert read_labels(file) == []
    file.touch()  # somebody was killed when it was made
    assert read_labels(file) == []
    with closing(open_writer(file)) as connection:
        decide(connection, PART, "good", ANNA)
    assert words(file) == [(7, None, "good", "anna")]


def test_its_owner_writes_and_its_group_reads(labels: sqlite3.Connection, file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_reader_needs_no_right_to_write(labels: sqlite3.Connection, file: Path) -> None:
    decide(labels, PART, "good", ANNA)
    with closing(open_reader(file) or pytest.fail("no labels")) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM classes")
    assert os.listdir(file.parent) == [LABELS_FILE], "no file beside it that a reader would have to write"  # noqa: PTH208


def test_what_cannot_be_used_is_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot be written: No such file"):
        open_writer(tmp_path / "nowhere" / LABELS_FILE)
    with closing(open_writer(file)) as connection:
        connection.execute("PRAGMA user_version = 9")
    for opened in (open_writer, open_reader):
        with pytest.raises(LabelError, match="schema version 9, this station knows up to 5"):
            opened(file)
    file.write_bytes(b"no database" * 100)
    with pytest.raises(LabelError, match="cannot be written: file is not a database"):
        open_writer(file)
    with pytest.raises(LabelError, match="cannot be read: file is not a database"):
        open_reader(file)
