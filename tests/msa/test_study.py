"""Plans, blind orders, what is kept, and what of it counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.msa.analysis import analysed
from station.msa.document import disagreements, figures, verdict
from station.msa.page import csv
from station.msa.storage import Rating, plan, rate, ratings_of, studies, study_named
from station.msa.study import KnownPart, Study, StudyError, checked, parts_from
from station.msa.trials import trials_of_station
from station.records.challenge_memory import read_memory
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.schema import open_reader, open_writer
from station.results import Verdict
from tests.msa.aiag import RATINGS, STUDY

PARTS = (KnownPart("1", True), KnownPart("2", False), KnownPart("3", False, borderline=True))
SMALL = Study("small", PARTS, 2, seed=7)


def test_orders_are_blind_and_stay() -> None:
    order = [part.name for part in STUDY.order("A", 1)]
    assert sorted(order) == sorted(part.name for part in STUDY.parts)
    assert order == [part.name for part in STUDY.order("A", 1)]
    assert len({tuple(part.name for part in STUDY.order(who, trial)) for who in "ABC" for trial in (1, 2, 3)}) == 9


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "../x"}, "letters, digits"),
        ({"name": ""}, "letters, digits"),
        ({"parts": PARTS[:1]}, "2 to 500"),
        ({"trials": 0}, "1 to 20"),
        ({"parts": (PARTS[0], PARTS[0], PARTS[1])}, "twice"),
        ({"parts": (KnownPart(" 1", True), PARTS[1])}, "no space"),
        ({"parts": (KnownPart("1\n", True), PARTS[1])}, "one line"),
        ({"appraisers": ("station",)}, "station itself"),
        ({"parts": (PARTS[1], PARTS[2])}, "one kind"),
    ],
)
def test_plans_that_cannot_be(changes: dict[str, object], problem: str) -> None:
    values = {"name": "small", "parts": PARTS, "trials": 2, "seed": 7, **changes}
    with pytest.raises(StudyError, match=problem):
        checked(Study(**values))  # type: ignore[arg-type]


def test_advice_of_aiag() -> None:
    assert len(SMALL.advice) == 2  # too few parts and trials; kinds and borderline are right
    assert [note for note in STUDY.advice if "borderline" in note]


def test_parts_from_lines() -> None:
    found = parts_from(["part,reference", "17, good", "", "18;defective;borderline"])
    assert found == (KnownPart("17", True), KnownPart("18", False, borderline=True))
    for wrong in ("17", "17,maybe", "17,good,x"):
        with pytest.raises(StudyError, match="line 1"):
            parts_from([wrong])


def test_ratings_are_kept_once_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "msa.db"
    assert studies(file) == []
    plan(file, SMALL)
    with pytest.raises(StudyError, match="already"):
        plan(file, SMALL)
    with pytest.raises(StudyError, match="there are: small"):
        study_named(file, "other")
    rate(file, SMALL, [Rating("anna", 1, "1", True)], "anna")
    with pytest.raises(StudyError, match="already"):
        rate(file, SMALL, [Rating("anna", 1, "2", True), Rating("anna", 1, "1", False)], "anna")
    assert [(one.part, one.accepted) for one in ratings_of(file, "small")] == [("1", True)]
    for wrong in (Rating("anna", 3, "1", True), Rating("station", 1, "1", True), Rating("", 1, "1", True)):
        with pytest.raises(StudyError):
            rate(file, SMALL, [wrong], "anna")
    with sqlite3.connect(file) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE ratings SET accepted = 0")
    connection.close()


def test_only_named_people_take_part(tmp_path: Path) -> None:
    named = Study("named", PARTS, 1, 1, appraisers=("anna",))
    plan(tmp_path / "msa.db", named)
    with pytest.raises(StudyError, match="does not take part"):
        rate(tmp_path / "msa.db", named, [Rating("otto", 1, "1", True)], "otto")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "msa.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StudyError, match="version 9"):
        studies(file)


def test_a_trial_that_is_not_whole_counts_in_no_figure() -> None:
    found = analysed(SMALL, [Rating("anna", 1, "1", True)])
    assert (found.appraisers, found.grade) == ((), None)
    assert "1 of 3 parts" in found.unfinished[0]
    assert "nothing can be said" in verdict(found)
    assert figures(found) == []


def test_rows_of_the_document() -> None:
    found = analysed(STUDY, RATINGS)
    assert figures(found)[0][:3] == ("A", "effectiveness", "84.0 %")
    assert disagreements(found)[0][1] == "defective"
    assert csv(found).splitlines()[0].startswith("kind,appraiser,figure")


def test_what_a_station_said_is_read_from_its_records(tmp_path: Path) -> None:
    """Whole trials count, oldest first; one that was given up does not, and none is a challenge test that passed."""
    steps = tuple(Step(part.name, 10 + number, Verdict.FAIL, ReasonCode.NONE, Outcome.WRONG)
                  for number, part in enumerate(SMALL.parts))  # fmt: skip
    masters = tuple(MasterPart(part.name, Verdict.PASS if part.good else Verdict.FAIL) for part in SMALL.parts)
    whole = Run(1, "anna", 5.0, masters, steps=steps, verdict=RunVerdict.PASSED, end_s=9.0, study="small")
    given_up = replace(whole, number=2, steps=steps[:1], verdict=RunVerdict.ABORTED)
    with closing(open_writer(tmp_path / "records.db")) as connection:
        for run in (whole, given_up, replace(whole, number=3, study="other"), replace(whole, number=4, study="")):
            row = upsert_challenge(ChallengeRow(run, "r", "", ""))
            connection.execute(row.sql, row.values)
        trials = trials_of_station(connection := open_reader(tmp_path), SMALL)
        connection.close()
    assert ([run.number for run in trials.runs], trials.given_up, trials.under_way) == ([1], 1, None)
    assert [(one.appraiser, one.trial, one.accepted) for one in trials.ratings] == [("station", 1, False)] * 3
    assert read_memory(tmp_path / "records.db", "r", 99.0).passed_s == 9.0
    with closing(open_writer(tmp_path / "records.db")) as connection:
        connection.execute("DELETE FROM challenges WHERE run = 4")
    assert read_memory(tmp_path / "records.db", "r", 99.0).passed_s is None
