"""Reports on the pages: made as a work of its own, shown in their look, kept as files; text of others stays text."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from station.hmi.pages import reports
from station.hmi.words import languages
from station.hmi.work import Works
from station.records.engines.virtual import VirtualRun
from station.reports.production.figures import figures_of
from station.reports.production.language import Language
from station.reports.production.making import CAMERA_NOTE
from station.reports.production.reading import Parts, Said, Word
from tests.bench.browser import visitor
from tests.bench.pages import COOKIE, Client, Pages
from tests.bench.sample_parts import WALL_TIME
from tests.bench.slow_work import slow_work
from tests.bench.waiting import wait_for

SINCE, UNTIL = "2027-01-15T08:00Z", "2027-01-15T10:00Z"
UNCHANGED = r"kappa|Wilson|Clopper-Pearson|bootstrap|p50|p95|p99|max|ms|s$|[0-9.,%() -]|\[review\] \w+"
"""What is the same in every language."""
EVIL = "<script>alert(1)</script>"


def make(client: Client, **fields: str) -> tuple[int, str]:
    """Status and where it leads, or the problem."""
    token = client.csrf("/account")
    got = client.post("/reports/make", {"csrf": token, **fields})
    problem = re.search(r'role="alert">([^<]*)<', got.text)
    return got.status, problem.group(1) if problem else got.headers.get("location", "")


def done(client: Client) -> bool:
    return json.loads(client.get("/work.json").text)["phase"] in ("done", "failed")


@pytest.mark.system
def test_a_report_is_made_shown_and_kept(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: WALL_TIME + 7200)
    client = pages.client("quality")
    asked = {"of": "period", "since": SINCE, "until": UNTIL, "pdf": "1", "csv": "1", "parquet": "1"}
    monkeypatch.setattr(reports, "_period", lambda _: ([f"--since={SINCE}", f"--until={UNTIL}"], EVIL))
    assert make(client, **asked) == (303, "/reports")
    wait_for(lambda: done(client), "the report")
    text = client.get("/reports").text
    assert "Failed" not in text, text
    assert EVIL not in text
    (stem,) = set(re.findall(r'href="/reports/([^/"]+)/csv"', text))
    shown = client.get(f"/reports/{stem}").text
    for words in ("true detection rate", "not known", "FAIL: 10 anomaly", "by quality"):
        assert words in shown, words
    assert "style=" not in shown
    got = {kind: client.get(f"/reports/{stem}/{kind}") for kind in ("pdf", "csv", "parquet", "html", "json")}
    assert {answer.status for answer in got.values()} == {200}
    assert got["pdf"].body.startswith(b"%PDF-")
    assert got["parquet"].body.startswith(b"PAR1")
    assert all(answer.headers["content-disposition"].startswith("attachment") for answer in got.values())
    assert client.get(f"/reports/{stem}", **{"Accept-Language": "de"}).text.count("Erkennungsrate") == 2


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"of": "period"}, "When does the period begin?"),
        ({"of": "period", "since": "<b>"}, "is no time; allowed:"),
        ({"of": "period", "since": "2100-01-01"}, "There is nothing in this period"),
        ({"of": "period", "since": "8h", "until": "9h"}, "There is nothing in this period"),
        ({"of": "shift", "shift": "last", "since": "8h"}, "A shift, or a period?"),
        ({"shift": "night"}, "no shift &#34;night&#34;"),
        ({"shift": "last", "recipe": "x" * 300}, "There is no recipe of such a name."),
        ({"shift": "last", "recipe": "a\x00b"}, "There is no recipe of such a name."),
    ],
)
def test_bad_input_is_a_sentence_and_the_form_stays(pages: Pages, fields: dict[str, str], problem: str) -> None:
    status, said = make(pages.client("quality"), **fields)
    assert (status, problem in said) == (400, True), said


def test_what_is_not_installed_is_said_before_it_is_asked_for(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "NEEDS", {".pdf": ("no_such_package", "Typst")})
    client = pages.client("quality")
    assert "No PDF: Typst is not installed here" in client.get("/reports").text
    assert make(client, shift="last", pdf="1") == (400, "Typst is not installed: choose without it.")


def test_only_files_of_reports_are_served(pages: Pages) -> None:
    folder = pages.folder / "reports"
    folder.mkdir(exist_ok=True)
    (folder / "secret.toml").write_text("x")
    (folder / "link.html").symlink_to(pages.folder / "station.toml")
    (folder / "old.csv").write_text("figure\n")
    (folder / "odd.json").write_text("{")
    client = pages.client("quality")
    for path in ("secret/toml", "link/html", "link", "..%2Fstation/toml", "none", "old/pdf", "old"):
        assert client.get(f"/reports/{path}").status == 404, path
    assert client.get("/reports/old/csv").text == "figure\n"
    damaged = client.get("/reports/odd")
    assert (damaged.status, "damaged or of another version" in damaged.text) == (503, True)
    assert client.get("/reports").status == 200


@pytest.mark.system
def test_who_leaves_comes_back_to_the_same_work(
    pages: Pages, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = slow_work(tmp_path, monkeypatch)
    cookie = {"name": COOKIE, "value": pages.token("operator"), "url": pages.address}
    with visitor(browser, size="panel", cookie=cookie) as context:
        page = context.new_page()
        page.goto(pages.address + "/reports")
        page.get_by_role("button", name="Make").click()
        expect(page.locator("#work h2")).to_contain_text("Under way: shift day")
        expect(page.locator("#work .step")).to_have_text("parts 5 / 20")
        page.goto(pages.address + "/parts")
        assert make(pages.client("quality"), shift="last")[0] == 409
        page.goto(pages.address + "/reports")
        expect(page.locator("#work progress")).to_have_attribute("value", "5")
        gate.open("no PDF")
        expect(page.locator("#work h2")).to_contain_text("Done: shift day")
        expect(page.locator("#work")).to_contain_text("Not all of it: no PDF")
        gate.file.unlink()
        page.get_by_role("button", name="Make").click()
        page.get_by_role("button", name="Give up").click()
        expect(page.locator("#work")).to_contain_text("given up by operator")


def test_every_sentence_of_a_report_has_a_german_one(pages: Pages) -> None:
    parts = Parts(
        wall_time=np.arange(40.0), signalled_ms=np.full(40, 20.0), verdict=np.array(["PASS"] * 30 + ["FAIL"] * 10),
        late=np.zeros(40, np.bool_), key=[("s1", n) for n in range(40)], part_id=list(range(40)), recipe=["r"] * 40,
        engine_id=["e"] * 40, score=np.zeros(40),
    )  # fmt: skip
    good, bad = Word("good", None, None), Word("defective", None, None)
    keys = [("s1", n) for n in range(40)]
    words = dict.fromkeys(keys[:30], good) | dict.fromkeys(keys[30:], bad)
    known = Said(words, set(keys), [60.0, 90.0], 120.0, 40, 3, [], [("good", "good"), ("good", "defective")] * 4)
    nobody = Said({}, set(), [], 0.0, 0, 0, [], [])
    said = Language("de", languages()["de"].gettext).figure
    run = VirtualRun(0.0, "", "e", "r", 6, 14, 80, 4, False, ())
    for said_by, challenges in ((known, [run]), (nobody, [])):
        for figure in figures_of(parts, said_by, 2, deadline_ms=500.0, hours=8.0, challenges=challenges):
            for text in (figure.value, figure.interval, figure.of, figure.how):
                for piece in re.split(r"[;,] ", text):
                    is_name = re.sub(UNCHANGED, "", piece) == ""
                    assert is_name or said(text) != text, (figure.name, piece)
                    assert is_name or piece not in said(text).split("; "), (figure.name, piece)
    assert said(CAMERA_NOTE) != CAMERA_NOTE
    assert said("<b>name of others</b>") == "<b>name of others</b>"


def test_who_asks_gets_the_report_in_his_language(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(Works, "start", lambda _works, _kind, _what, _by, arguments: started.append(list(arguments)))
    client = pages.client("quality")
    for language in ("de", "en"):
        asked = {"csrf": client.csrf("/account"), "shift": "last"}
        assert client.post("/reports/make", asked, **{"Accept-Language": language}).status == 303
    assert [f"--language={one}" in arguments for one, arguments in zip(("de", "en"), started, strict=True)] == [
        True
    ] * 2
