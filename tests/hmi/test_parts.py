"""Parts and one part over HTTP: search, pages, CSV, pictures, labels; what others wrote is text."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from station.codes import ReasonCode
from station.hmi import site as site_module
from station.results import Decision, Reason, Verdict
from tests.bench.pages import Client, Pages, serving, some_parts
from tests.bench.sample_parts import PartMaker

EVIL = '=1+1 <script>alert(1)</script> "'


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """120 parts, and one with a recipe and a reason that somebody made up."""
    with serving(tmp_path_factory.mktemp("parts")) as pages:
        make = PartMaker()
        decision = Decision(Verdict.FAIL, (Reason(ReasonCode.REGION_AREA, EVIL),))
        evil = replace(make.inspected(900, Verdict.FAIL), decision=decision, recipe=EVIL)
        pages.record([*some_parts(make, 121), evil])
        yield pages


@pytest.fixture
def operator(pages: Pages) -> Client:
    return pages.client("operator")


def ids(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'<a class="big-target"[^>]*>(\d+)</a>', text)]


def test_older_parts_come_page_by_page_and_every_part_once(operator: Client) -> None:
    path, seen = "/parts", []
    while path:
        text = operator.get(path).text
        seen += ids(text)
        found = re.search(r'href="([^"]*)" rel="next"', text)
        path = found.group(1).replace("&amp;", "&") if found else ""
    assert seen == [1900, *range(1121, 1000, -1)]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("part=1007", [1007]),
        ("verdict=FAIL", [1900, 1118, 1114]),
        ("verdict=FAIL&verdict=REVIEW", [1900, 1119, 1118]),
        ("verdict=ERROR", [1121]),
        (f"reason={int(ReasonCode.REGION_AREA)}", [1900]),
        ("recipe=nothing", []),
        ("since=2027-02-01", []),
    ],
)
def test_the_filter_stands_in_the_address(operator: Client, asked: str, first: list[int]) -> None:
    assert ids(operator.get(f"/parts?{asked}").text)[:3] == first


@pytest.mark.parametrize(
    "asked", ["part=abc", "part=-1", "since=yesterdayish", "verdict=OK", "reason=99999", "before=x", f"part={10**30}"]
)
def test_a_wrong_filter_is_a_sentence(operator: Client, asked: str) -> None:
    got = operator.get(f"/parts?{asked}")
    assert (got.status, 'role="alert"' in got.text) == (400, True)


def test_what_others_wrote_is_text_on_the_page_and_in_a_spreadsheet(operator: Client) -> None:
    for path in ("/parts", "/parts/s1/900"):
        text = operator.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    rows = list(csv.DictReader(io.StringIO(operator.get("/parts.csv").text)))
    assert (len(rows), rows[0]["part_id"]) == (122, "1900")
    assert not rows[0]["recipe"].startswith("=")


def test_one_part_with_everything(operator: Client) -> None:
    text = operator.get("/parts/s1/2?verdict=FAIL").text
    assert "Part 1002" in text
    assert "0.500" in text  # its score
    assert "signalled" in text  # the trace
    assert "is no longer on this station, and its pictures of good parts neither" in text
    newer = re.search(r'rel="prev" href="([^"]*)"', text)
    assert newer is not None
    assert newer.group(1) == "/parts/s1/6?verdict=FAIL"  # the next one that failed
    assert 'rel="next"' not in text
    assert re.findall(r'<polygon class="region" points="([^"]*)"', text) == ["25.5,36.5 34.5,36.5 34.5,44.5"]


def test_the_picture_is_that_of_the_view_and_never_a_path(operator: Client) -> None:
    got = operator.get("/parts/s1/2/top/image.jpg")
    assert (got.status, got.headers["content-type"], got.body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    for path in ("/parts/s1/2/side/image.jpg", "/parts/s1/2/top/map.jpg", "/parts/s1/2/..%2f..%2f/image.jpg",
                 "/parts/s1/121/top/image.jpg", "/parts/none/2/top/image.jpg", f"/parts/s1/{10**30}"):  # fmt: skip
        assert operator.get(path).status == 404, path


def test_a_label_is_kept_taken_back_and_said_by_its_person(pages: Pages, operator: Client) -> None:
    sent = {"csrf": operator.csrf("/parts/s1/3"), "class": "", "comment": EVIL}
    got = operator.post("/parts/s1/3/label?verdict=REVIEW", sent | {"label": "defective"})
    assert (got.status, got.headers["location"]) == (303, "/parts/s1/3?verdict=REVIEW")
    text = operator.get("/parts/s1/3").text
    assert "defective, says operator" in text
    assert "<script>alert" not in text
    assert "defective" in operator.get("/parts?part=1003").text
    assert operator.post("/parts/s1/3/label", sent | {"label": "withdraw"}).status == 303
    assert "Nobody has said anything" in operator.get("/parts/s1/3").text
    for wrong in (
        {"label": "perhaps"},
        {"label": "defective", "class": "unknown"},
        {"label": "good", "comment": "x" * 2000},
    ):
        assert operator.post("/parts/s1/3/label", sent | wrong).status == 400
    assert pages.client("maintenance").post("/parts/s1/3/label", sent).status == 403


def test_a_look_that_takes_too_long_is_given_up(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stands still would hold the write-ahead log of the line."""
    monkeypatch.setattr(site_module, "LOOK_S", -1.0)
    monkeypatch.setattr(site_module, "STEPS", 1)
    got = operator.get("/parts")
    assert got.status == 503
    assert "was given up; choose a shorter time" in got.text


def test_quality_keeps_a_part_and_takes_its_evidence(pages: Pages) -> None:
    quality = pages.client("quality")
    token = quality.csrf()
    refused = quality.post("/parts/s1/3/quarantine", {"csrf": token, "action": "keep", "why": ""})
    assert (refused.status, "reason for the quarantine" in refused.text) == (400, True)
    assert quality.post("/parts/s1/3/quarantine", {"csrf": token, "action": "burn", "why": "x"}).status == 400
    kept = quality.post("/parts/s1/3/quarantine", {"csrf": token, "action": "keep", "why": EVIL})
    assert (kept.status, kept.headers["location"]) == (303, "/parts/s1/3#record")
    text = quality.get("/parts/s1/3").text
    assert "In the quarantine" in text
    assert "&lt;script&gt;" in text
    assert "Release from the quarantine" in text
    assert "Release from the quarantine" not in pages.client("operator").get("/parts/s1/3").text
    got = quality.get("/parts/s1/3/evidence.zip")
    assert (got.status, got.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        assert json.loads(archive.read("labels.json"))["quarantine"][0]["why"] == EVIL
        assert json.loads(archive.read("about.json"))["made_by"] == "quality"
    assert quality.post("/parts/s1/3/quarantine", {"csrf": token, "action": "release", "why": "settled"}).status == 303
    assert "In the quarantine" not in quality.get("/parts/s1/3").text
