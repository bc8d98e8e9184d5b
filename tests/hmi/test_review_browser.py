"""Review in Chromium: by key, by finger, two people at once, and nothing lost when the station does not answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

from station.labels.classes import DefectClass, insert_class
from station.labels.labels import read_labels
from station.labels.reviewing import regions_of
from station.labels.schema import open_writer
from station.labels.writing import Reviewer, changing
from station.results import Verdict
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages import HOST, Pages, serving
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for
from tests.hmi.test_review import SECTION, people, words

pytestmark = pytest.mark.system
__all__ = ["people"]
PARTS = 24


@pytest.fixture
def queue(tmp_path: Path, people: None) -> Iterator[Pages]:
    with serving(tmp_path, SECTION) as pages:
        make = PartMaker()
        reviews = [make.inspected(number, Verdict.REVIEW) for number in range(1, PARTS + 1)]
        pages.record([make.inspected(100, Verdict.PASS), *reviews])
        with closing(open_writer(pages.site.labels)) as labels, changing(labels):
            insert_class(labels, DefectClass("scratch", "minor", None, 1), Reviewer("quinn", "quality"))
        yield pages


def enter(context: BrowserContext, pages: Pages, name: str = "anna") -> Page:
    context.add_cookies([{"name": "who", "value": name, "domain": HOST, "path": "/"}])
    page = context.new_page()
    page.goto(f"{pages.address}/review")
    return page


def shown(page: Page, number: int) -> None:
    expect(page.locator("#review[data-ready] .about b")).to_have_text(f"part {1000 + number}")


def test_ten_parts_by_key_with_class_undo_and_heat_map(queue: Pages, browser: Browser, axe: str) -> None:
    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        assert serious_findings(page, axe) == []
        expect(page.locator("#heat")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("h")
        expect(page.locator("#heat")).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("b")
        expect(page.locator("figure.good")).to_be_visible()
        for number in range(1, 11):
            shown(page, number)
            if number % 3 == 0:
                page.keyboard.press("1")
            page.keyboard.press("d" if number % 3 == 0 else "g")
        shown(page, 11)
        page.keyboard.press("z")
        shown(page, 10)
        page.keyboard.press("d")
        shown(page, 11)
        page.keyboard.press("l")
        shown(page, 12)
        assert page.locator("figure.view img.plain").evaluate("each => each.naturalWidth") > 0
    labels = {one.part_id - 1000: (one.label, one.defect_class) for one in read_labels(queue.site.labels)}
    expected = {n: ("defective", "scratch") if n % 3 == 0 else ("good", None) for n in range(1, 10)}
    assert labels == expected | {10: ("defective", None)}
    with closing(sqlite3.connect(queue.site.labels)) as db:
        took = [ms for (ms,) in db.execute("SELECT took_ms FROM decisions WHERE kind = 'decide'")]
    assert all(0 < ms < 60_000 for ms in took)


def test_ten_parts_by_finger_on_the_panel_with_a_region(queue: Pages, browser: Browser, axe: str) -> None:
    with visitor(browser, size="panel", theme="dark") as context:
        page = enter(context, queue)
        shown(page, 1)
        assert serious_findings(page, axe) == []
        button = page.locator("button.yes").bounding_box()
        assert button is not None
        assert button["height"] >= 70
        page.locator("#region").tap()
        canvas = page.locator(".view .canvas")
        box = canvas.bounding_box()
        assert box is not None
        for x, y in ((0.2, 0.2), (0.6, 0.2), (0.6, 0.7), (0.2, 0.2)):
            canvas.tap(position={"x": x * box["width"], "y": y * box["height"]})
        expect(page.locator(".drawn polygon")).to_have_count(2)
        page.reload()
        expect(page.locator(".drawn polygon")).to_have_count(2)
        page.locator("button.no").tap()
        for number in range(2, 11):
            shown(page, number)
            page.locator("button.yes").tap()
        shown(page, 11)
    assert words(queue) == {1001: "defective"} | dict.fromkeys(range(1002, 1011), "good")
    with closing(open_writer(queue.site.labels)) as labels:
        (region,) = regions_of(labels, 1)
    assert region.camera == "top"
    assert region.polygon == tuple(
        (pytest.approx(x, abs=0.02), pytest.approx(y, abs=0.02)) for x, y in ((0.2, 0.2), (0.6, 0.2), (0.6, 0.7))
    )


def test_two_people_never_get_the_same_part(queue: Pages, browser: Browser) -> None:
    with visitor(browser) as first, visitor(browser) as second:
        pages = enter(first, queue, "anna"), enter(second, queue, "ben")
        seen: list[str] = []
        for _ in range(6):
            here = [page.locator("#review[data-ready] .about b").inner_text() for page in pages]
            assert here[0] != here[1]
            seen += here
            for page, title in zip(pages, here, strict=True):
                page.keyboard.press("g")
                page.locator("#review[data-ready] .about b", has_not_text=title).wait_for()
    assert len(set(seen)) == 12
    assert len(words(queue)) == 12


def pending(page: Page) -> Any:
    """The decision that the page has not heard of yet; while the page goes to another one, that is not known."""
    try:
        return page.evaluate("sessionStorage.getItem('review-pending')")
    except PlaywrightError:
        return "not known"


def test_a_decision_outlives_a_station_that_does_not_answer_a_lost_reply_and_an_ended_login(
    queue: Pages, browser: Browser
) -> None:
    failures = ["refused", "reply lost", "login"]

    def fail(route: Route) -> None:
        if not failures:
            route.continue_()
            return
        failure = failures.pop(0)
        if failure == "reply lost":
            route.fetch()  # saved, and the page never hears of it
        if failure == "login":
            route.fulfill(status=401, body="")
        else:
            route.abort()

    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        page.route("**/decide", fail)
        page.locator("[name=note]").fill("at the rim")
        page.locator("[name=note]").press("Escape")
        page.keyboard.press("d")
        expect(page.locator("#notice")).to_contain_text("Sign in again")
        expect(page.locator("#notice a")).to_have_attribute("href", "/login?next=/review")
        page.goto(f"{queue.address}/review")
        expect(page.locator("#notice")).to_be_hidden()
        page.wait_for_url("**/review")
        shown(page, 2)
        # Saved before its reply was lost, so the page may show the next part before it has heard so again.
        wait_for(lambda: pending(page) is None, "the reply")
    (label,) = read_labels(queue.site.labels)
    assert (label.part_id, label.label, label.comment) == (1001, "defective", "at the rim")
    with closing(sqlite3.connect(queue.site.labels)) as db:
        assert db.execute("SELECT COUNT(*) FROM decisions").fetchone()[0] == 1


def test_somebody_was_faster_and_both_are_shown(queue: Pages, browser: Browser) -> None:
    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        with closing(sqlite3.connect(queue.site.labels)) as db:
            columns = "session, acquisition_id, part_id, wall_time, label, comment, reviewer, role, at, kind, saw"
            db.execute(
                f"INSERT INTO decisions ({columns}) VALUES "
                "('s1', 1, 1001, 0, 'defective', '', 'ben', 'operator', 1, 'decide', '{}')"
            )
            db.commit()
        page.keyboard.press("g")
        shown(page, 2)
        expect(page.locator("#notice")).to_contain_text("ben has decided this part meanwhile: defective")
    assert words(queue) == {1001: "defective"}


def test_the_next_part_comes_into_the_open_page_with_pictures_that_are_there(queue: Pages, browser: Browser) -> None:
    asked: list[str] = []
    with visitor(browser) as context:
        page = enter(context, queue)
        page.on("request", lambda request: asked.append(request.url))
        for number in range(1, 5):
            shown(page, number)
            page.evaluate("number => { window.seen = [...(window.seen || []), number]; }", number)
            ahead = page.locator(".ahead img")
            expect(ahead).to_have_count(4)
            page.wait_for_function("[...document.querySelectorAll('.ahead img')].every(one => one.complete)")
            page.keyboard.press("g")
        shown(page, 5)
        assert page.evaluate("window.seen") == [1, 2, 3, 4]
        assert page.locator("figure.view img.plain").evaluate("each => each.naturalWidth") > 0
        assert page.evaluate("document.activeElement.className") == "about"
    assert len([url for url in asked if "/review/picture.jpg" in url and "part=5&view=0&layer=plain" in url]) == 1


def test_a_double_click_decides_one_part(queue: Pages, browser: Browser) -> None:
    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        page.locator("button.yes").dblclick()
        shown(page, 2)
        page.locator("button.yes").click()
        shown(page, 3)
    assert words(queue) == {1001: "good", 1002: "good"}


def test_a_station_that_falls_silent_between_two_parts_is_waited_for_and_asked_again(
    queue: Pages, browser: Browser
) -> None:
    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        page.route("**/review", lambda route: route.abort())
        page.keyboard.press("g")
        expect(page.locator("#notice")).to_contain_text("Your decision is saved; the next part comes")
        assert pending(page) is None
        page.keyboard.press("d")  # of a part that is decided: nothing
        page.unroute("**/review")
        shown(page, 2)
        page.route("**/later", lambda route: route.abort())
        page.keyboard.press("l")
        expect(page.locator("#notice")).to_contain_text("Nothing was changed")
        page.unroute("**/later")
        page.keyboard.press("l")
        shown(page, 3)
    assert words(queue) == {1001: "good"}


def test_another_page_in_place_of_the_next_part_is_shown_as_it_is(queue: Pages, browser: Browser) -> None:
    with visitor(browser) as context:
        page = enter(context, queue)
        shown(page, 1)
        page.route("**/review", lambda route: route.fulfill(content_type="text/html", body="<h1>Sign in</h1>"))
        page.keyboard.press("g")  # as after an ended login, or without the right
        expect(page.locator("h1")).to_have_text("Sign in")
