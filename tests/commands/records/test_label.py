"""`station label`: a label is kept, shown, corrected; the record stays as it was, a doubtful id labels nothing."""

from __future__ import annotations

import csv
import io

import pytest

from station.labels.labels import read_labels
from station.labels.schema import LABELS_FILE
from station.records.schema import DATABASE_FILE
from tests.bench.sample_parts import PartMaker
from tests.commands.records.conftest import Station, record


def test_a_label_is_kept_shown_and_corrected(station: Station) -> None:
    before = (station.records / DATABASE_FILE).read_bytes()
    words = (
        "label",
        1002,
        "defective",
        "--class",
        "scratch",
        "--new-class",
        "minor",
        "--why",
        "[b]rim[/]",
        "--who",
        "anna",
    )
    assert station.said(*words) == "part 1002 (FAIL): defective (scratch), says anna: [b]rim[/]\n"
    assert "label: defective (scratch), says anna: [b]rim[/]" in station.said("show", 1002)
    (part,) = station.data("parts", "--verdict", "fail", "--recipe", "default", "--shift", "night@2026-10-24")
    assert (part["part_id"], part["label"], part["defect_class"]) == (1002, "defective", "scratch")
    rows = list(csv.DictReader(io.StringIO(station.said("parts", "--csv"))))
    assert [row["label"] for row in rows] == ["", "defective", "", "", "", ""]
    assert station.said("label", 1002, "good", "--who", "ben") == "part 1002 (FAIL): good, says ben\n"
    assert station.said("label", 2, "withdraw", "--acquisition") == "part 1002 (FAIL): has no label\n"
    assert read_labels(station.config.parent / LABELS_FILE) == []
    assert (station.records / DATABASE_FILE).read_bytes() == before


def test_a_refused_label_leaves_no_class(station: Station) -> None:
    words = ("label", 1002, "good", "--class", "scratch", "--new-class", "minor")
    assert "only a defective part has a class" in station.refused(*words)
    assert "no view of camera" in station.refused(
        "label", 1002, "defective", "--class", "scratch", "--new-class", "minor", "--camera", "end"
    )
    assert "there are: none yet" in station.refused("label", 1002, "defective", "--class", "scratch")


def test_of_several_parts_with_the_id_none_is_labelled(station: Station) -> None:
    record(station.records, [PartMaker("s2").without_frame(2)], "s2")
    station.capsys.readouterr()
    said = station.refused("label", 1002, "good")
    assert "nothing was labelled" in said
    assert "2 --acquisition --session s2: ERROR" in said
    assert "2 --acquisition --session s1: FAIL" in said
    assert not (station.config.parent / LABELS_FILE).exists()
    assert "part 1002 (FAIL)" in station.said("label", 2, "good", "--acquisition", "--session", "s1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("last", "good"), "a label needs the number of its part"),
        ((7, "good"), "no part with part id 7"),
        ((1002, "defective", "--class", "scratch"), 'no class "scratch"; there are: none yet'),
        ((1002, "defective", "--new-class", "minor"), "--new-class says how severe --class NAME is"),
        ((1002, "good", "--camera", "end"), 'no view of camera "end"'),
        ((1002, "withdraw"), "has no label that could be withdrawn"),
        ((1002, "good", "--who", "a\nb"), "one line of 1 to 64 letters"),
    ],
)
def test_bad_input_is_a_sentence(words: tuple[object, ...], said: str, station: Station) -> None:
    assert said in station.refused("label", *words)
