"""`station label`: a label is kept, shown, corrected; the record stays as it was, a doubtful id labels nothing."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

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


@pytest.fixture
def repeated(station: Station) -> Station:
    """The PLC has started its counter anew: in session s2 there is a part 1002, too."""
    record(station.records, [PartMaker("s2").without_frame(2)], "s2")
    station.capsys.readouterr()
    return station


S1, S2 = "2026-10-25T02:30:00.000+02:00", "2027-01-15T09:00:02.000+01:00"
"""When the two were triggered, by the clock in Berlin."""


def labelled(station: Station) -> list[tuple[str, str]]:
    return [(one.session, one.label) for one in read_labels(station.config.parent / LABELS_FILE)]


def test_of_several_parts_with_the_id_none_is_labelled_and_each_is_offered(repeated: Station) -> None:
    said = repeated.refused("label", 1002, "good")
    assert "nothing was labelled" in said
    offered = [line.split() for line in said.splitlines()[1:]]
    assert offered == [
        ["ERROR", "--at", S2, "--session", "s2"],
        ["FAIL", "--at", S1, "--session", "s1"],
    ]
    assert not (repeated.config.parent / LABELS_FILE).exists()
    for _, *options in offered:  # each works as it is offered
        repeated.said("label", 1002, "good", *options)
    assert sorted(labelled(repeated)) == [("s1", "good"), ("s2", "good")]


@pytest.mark.parametrize(
    "options",
    [
        ("--session", "s1"),
        ("--at", S1),
        ("--at", "2026-10-25 02:30"),
        ("--at", "2026-10-25T00:30:00Z"),
        ("--at", "2026-10-25"),
    ],
)
def test_session_or_time_says_which_part_is_meant(options: tuple[str, str], repeated: Station) -> None:
    repeated.said("label", 1002, "good", *options)
    assert labelled(repeated) == [("s1", "good")]
    part = json.loads(repeated.said("show", 1002, *options, "--json"))["part"]
    assert (part["session"], part["time"]) == ("s1", S1)
    traced = json.loads(repeated.said("trace", 1002, *options, "--json"))
    assert (traced["part"]["session"], traced["part"]["time"], traced["others"]) == ("s1", S1, [])


def test_a_time_at_which_there_is_no_such_part_names_those_that_there_are(repeated: Station) -> None:
    said = repeated.refused("label", 1002, "good", "--at", "2026-10-25 02:31")
    assert "no part with part id 1002 at 2026-10-25 02:31 is on record" in said
    assert f"--at {S1} --session s1" in said
    assert "names no minute and no second" in repeated.refused("label", 1002, "good", "--at", "8h")


@pytest.mark.parametrize("command", ["show", "trace"])
def test_what_shows_a_part_shows_the_newest_and_offers_the_others(command: str, repeated: Station) -> None:
    assert f"--at {S1} --session s1" in repeated.said(command, 1002)
    found = json.loads(repeated.said(command, 1002, "--json"))
    assert found["part"]["session"] == "s2"
    (other,) = found["others"]
    assert (other["session"], other["acquisition_id"], other["time"], other["verdict"]) == ("s1", 2, S1, "FAIL")


def test_a_script_gets_the_candidates_as_json(repeated: Station) -> None:
    code, out, err = repeated.run("label", 1002, "good", "--json")
    assert (code, err) == (2, "")
    assert [one["session"] for one in json.loads(out)["candidates"]] == ["s2", "s1"]
    kept = json.loads(repeated.said("label", 1002, "good", "--session", "s1", "--who", "anna", "--json"))
    assert (kept["session"], kept["labels"][0]["label"], kept["labels"][0]["who"]) == ("s1", "good", "anna")


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "kept"), [("2", [("s1", "good")]), ("", []), ("3", []), ("x", [])])
def test_a_person_at_a_terminal_is_asked(
    typed: str, kept: list[tuple[str, str]], repeated: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    monkeypatch.setattr("sys.stdout", shown)
    code, _, err = repeated.run("label", 1002, "good")
    assert "  1   ERROR   --at" in shown.getvalue()
    assert "which one? 1 to 2" in shown.getvalue()
    assert (code, "nothing was labelled" in err) == (0 if kept else 2, not kept)
    assert labelled(repeated) == kept


def test_of_a_number_that_every_part_has_the_newest_are_named(station: Station) -> None:
    """A PLC without ids gives every part the id 0."""
    maker = PartMaker("s3")
    same = [maker.without_frame(number) for number in range(1, 31)]
    record(station.records, [replace(one, part=replace(one.part, part_id=0)) for one in same], "s3")
    station.capsys.readouterr()
    said = station.refused("label", 0, "good")
    assert said.count("--session s3") == 20
    assert "and older ones: name their time or session" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("last", "good"), "name the part by its number"),
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
