"""Agreement studies on the pages: planned, rated blindly part by part, and shown after the last one."""

from __future__ import annotations

import re
from dataclasses import replace

from station.hmi.words import languages
from station.msa.analysis import analysed
from station.msa.document import agreement, figures, limits_in_words, verdict
from station.msa.storage import Rating, plan, rate, ratings_of, studies_beside, study_named
from station.msa.study import KnownPart, Study
from station.reports.production.language import Language
from station.results import Verdict
from tests.bench.pages import Client, Pages
from tests.bench.sample_parts import PartMaker
from tests.msa.aiag import RATINGS, STUDY

EVIL = "<script>alert(1)</script>"


def post(client: Client, path: str, **fields: str) -> tuple[int, str]:
    got = client.post(path, {"csrf": client.csrf("/account"), **fields})
    problem = re.search(r'role="alert">([^<]*)<', got.text)
    return got.status, problem.group(1) if problem else got.headers.get("location", "")


def test_quality_plans_and_bad_plans_are_a_sentence(pages: Pages) -> None:
    client = pages.client("quality")
    asked = {
        "name": "web",
        "trials": "1",
        "parts": f"{EVIL},good\n18,defective,borderline",
        "appraisers": "",
        "labelled": "5",
    }
    assert post(client, "/agreement", **asked) == (303, "/agreement/web")
    assert study_named(studies_beside(pages.site.records), "web").defective == 1
    for change, problem in (
        ({"name": "web"}, "already"),
        ({"name": "b", "trials": "x"}, "a whole number"),
        ({"name": "b", "parts": "17"}, "line 1"),
        ({"name": "b", "parts": "", "labelled": "40"}, "label more"),
    ):
        status, sentence = post(client, "/agreement", **{**asked, **change})
        assert (status, problem in sentence) == (400, True), sentence
    shown = client.get("/agreement/web")
    assert shown.status == 200
    assert EVIL not in shown.text
    assert client.get("/agreement/none").status == 404
    assert pages.client("operator").get("/agreement").text.count("Plan a study") == 0
    assert post(pages.client("operator"), "/agreement", **asked)[0] == 403


def test_rating_is_blind_and_stays(pages: Pages) -> None:
    pages.record([PartMaker(session="msa").inspected(number, Verdict.FAIL) for number in (1, 2)], "msa")
    parts = (KnownPart("1", True, False, "msa", 1), KnownPart("2", False, False, "msa", 2))
    file = studies_beside(pages.site.records)
    study = Study("blind", parts, 1, 3)
    plan(file, study)
    rate(file, study, [Rating("otto", 1, "1", False), Rating("otto", 1, "2", False)], "otto")
    client = pages.client("operator")
    assert "otto" in client.get("/agreement/blind").text  # has not begun: sees what others said
    first, second = study.order("operator", 1)
    page = client.get("/agreement/blind/rate").text
    assert "part 1 of 2" in page
    assert client.get("/agreement/blind/rate/1/1.jpg").body.startswith(b"\xff\xd8")
    assert client.get("/agreement/blind/rate/1/2.jpg").status == 404
    assert post(client, "/agreement/blind/rate", part=first.name, said="maybe")[0] == 400
    assert post(client, "/agreement/blind/rate", part=first.name, said="accept")[0] == 303
    assert post(client, "/agreement/blind/rate", part=first.name, said="reject")[0] == 303  # a second tap
    assert [(one.part, one.accepted) for one in ratings_of(file, "blind")][2:] == [(first.name, True)]
    between = client.get("/agreement/blind").text
    assert "otto" not in between
    assert "after your last part" in between
    assert client.get("/agreement/blind/file/csv").status == 404
    post(client, "/agreement/blind/rate", part=second.name, said="reject")
    assert "You have rated every part" in client.get("/agreement/blind/rate").text
    shown = client.get("/agreement/blind", **{"Accept-Language": "de"}).text
    assert "otto" in shown
    assert "nach der Tabelle der AIAG" in shown
    got = {kind: client.get(f"/agreement/blind/file/{kind}") for kind in ("pdf", "html", "csv")}
    assert {answer.status for answer in got.values()} == {200}
    assert got["pdf"].body.startswith(b"%PDF-")
    assert client.get("/agreement/blind/file/exe").status == 404


def test_the_station_is_asked_to_show_the_parts(pages: Pages) -> None:
    plan(studies_beside(pages.site.records), Study("run", (KnownPart("1", True), KnownPart("2", False)), 1, 3))
    status, problem = post(pages.client("operator"), "/agreement/run/run")
    assert status == 409  # the daemon does not run here
    assert problem


def test_every_sentence_of_a_study_has_a_german_one() -> None:
    say = Language("de", languages()["de"].gettext).figure
    given = [replace(one, appraiser="station" if one.appraiser == "A" else one.appraiser) for one in RATINGS]
    found = analysed(STUDY, given)
    small = analysed(Study("small", (*STUDY.parts[:2], STUDY.parts[2]), 1, 1), [])
    texts = [limits_in_words(), *found.notes, *small.notes]
    texts += [row[5] for row in figures(found)] + verdict(found).split("; ")[:1]
    for text in texts:
        assert say(text) != text, text
    for who, *_ in agreement(found):
        assert not {"what is known", "its trials", "station"} & set(say(who).split(", ")), who
