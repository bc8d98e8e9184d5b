"""Live in a real browser: a part arrives, what is old looks old, verdict and pictures are of one part."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from station.results import Verdict
from tests.bench.browser import SIZES, serious_findings, visitor
from tests.bench.pages import COOKIE, Pages, serving
from tests.bench.waiting import wait_for
from tests.hmi.live_memory import RUNS, LiveMemoryStation, station_in
from tests.hmi.live_watching import (
    lead,
    leads_seen,
    look_on,
    moments_of_two_parts,
    now,
    open_live,
    passed_as_current,
    record,
    wait_lead,
)

VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving(tmp_path_factory.mktemp("pages")) as pages:
        yield pages


@pytest.fixture
def station(pages: Pages) -> Iterator[LiveMemoryStation]:
    with station_in(pages.site.station.runtime_dir) as station:
        yield station


@pytest.fixture
def page(pages: Pages, station: LiveMemoryStation, browser: Browser) -> Iterator[Page]:
    cookie = {"name": COOKIE, "value": pages.token("operator"), "url": pages.address}
    with visitor(browser, cookie=cookie) as context:
        page = open_live(context, pages.address)
        wait_lead(page, "WAITING")
        yield page


def passes(page: Page, station: LiveMemoryStation) -> int:
    """A part passes, and the page shows it; its id."""
    number = station.part(Verdict.PASS)
    wait_lead(page, "PASS")
    return number


def test_a_part_arrives_with_verdict_pictures_reason_and_place_in_the_strip(
    page: Page, station: LiveMemoryStation
) -> None:
    station.part(Verdict.FAIL, ("top", "side"))
    wait_lead(page, "FAIL")
    expect(page.locator("#word")).to_have_text("FAIL")
    expect(page.locator("#why")).to_have_text("anomaly score above the reject limit")
    expect(page.locator("#part")).to_have_text("part 1001")
    assert [canvas.get_attribute("aria-label") for canvas in page.locator("#views canvas").all()] == [
        "top: FAIL",
        "side: FAIL",
    ]
    expect(page.locator("#strip button")).to_have_count(1)


def test_a_station_that_does_not_turn_is_old_and_then_no_data(page: Page, station: LiveMemoryStation) -> None:
    passes(page, station)
    record(page)
    since = now(page)
    station.turns = False
    wait_lead(page, "NODATA")
    look_on(page, since)
    assert passed_as_current(page, since) == []
    leads, longest_gap_ms = leads_seen(page)
    # Two seconds are between them: where the page itself stood nearly as long, nobody could see that it was old.
    assert leads[-2:] == ["OLD", "NODATA"] or longest_gap_ms > 1500, leads
    expect(page.locator("#word")).to_have_text("NO DATA")
    expect(page.locator("#why")).to_contain_text("the station does not answer")
    expect(page.locator("#part")).to_have_text("")
    station.turns = True
    wait_lead(page, "WAITING", "PASS")


def test_a_page_that_was_not_seen_is_empty_until_a_message_comes(page: Page, station: LiveMemoryStation) -> None:
    passes(page, station)
    shown = page.evaluate(
        """() => {
          const live = document.getElementById("live");
          dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
          return [live.dataset.lead, document.getElementById("word").textContent,
                  getComputedStyle(document.getElementById("views")).visibility];
        }"""
    )
    assert shown == ["EMPTY", "–", "hidden"]
    wait_lead(page, "PASS", "WAITING")


def test_a_computer_that_slept_shows_nothing_of_before(page: Page, station: LiveMemoryStation) -> None:
    """The wall clock has gone on while nothing ran: so it is after a suspend."""
    passes(page, station)
    page.evaluate("() => { const real = Date.now; Date.now = () => real() + 3600000; }")
    wait_for(lambda: lead(page) != "PASS", "the page to notice")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("OFFLINE", {"online": False, "offline": 3}),
        ("CAMERA", {"cameras": {"top": {"streams": False, "state": "down", "detail": ""}}}),
        ("PLC", {"warnings": [1]}),
        ("FAULT", {"fault": 1, "fault_detail": "lost frame"}),
    ],
)
def test_what_stops_the_line_leads_and_stays_until_it_is_seen(
    page: Page, station: LiveMemoryStation, kind: str, change: dict[str, object]
) -> None:
    passes(page, station)
    record(page)
    since = now(page)
    station.changes(**change)
    wait_lead(page, kind)
    expect(page.locator("#last")).to_have_text("last part · PASS")
    if kind != "OFFLINE":
        expect(page.locator("#needs li")).to_have_count(1)
        station.state = dict(RUNS)
        expect(page.locator("#needs li.gone")).to_have_count(1)
        page.locator("#seen").click()
        expect(page.locator("#needs li")).to_have_count(0)
    if kind == "OFFLINE":
        look_on(page, since)
        assert passed_as_current(page, since) == []


def test_without_its_socket_the_page_says_so_and_shows_no_part(
    pages: Pages, station: LiveMemoryStation, browser: Browser
) -> None:
    station.part(Verdict.PASS)
    with visitor(browser) as context:
        context.route_web_socket("**/live/socket", lambda socket: socket.close())
        page = open_live(context, pages.address)
        wait_lead(page, "NODATA")
        expect(page.locator("#word")).to_have_text("NO DATA")
        expect(page.locator("#why")).to_contain_text("the pages do not answer")
        expect(page.locator("#action")).to_contain_text("check the network")
        expect(page.locator("#strip button")).to_have_count(0)


def test_no_part_for_ten_seconds_is_waiting(page: Page, station: LiveMemoryStation) -> None:
    passes(page, station)
    wait_lead(page, "WAITING")
    expect(page.locator("#why")).to_contain_text(re.compile(r"no part for \d{2}"))
    expect(page.locator("#last")).to_have_text("last part · PASS")


def test_a_held_part_says_so_and_is_let_go(page: Page, station: LiveMemoryStation) -> None:
    station.part(Verdict.FAIL)
    wait_lead(page, "FAIL")
    passes(page, station)
    page.locator("#strip button").nth(1).click()
    wait_lead(page, "HELD")
    expect(page.locator("#last")).to_have_text("HELD · FAIL")
    station.part(Verdict.PASS)
    expect(page.locator("#strip button")).to_have_count(3)
    assert lead(page) == "HELD", "a part that comes does not take its place"
    page.locator("#strip button").nth(2).click()
    wait_lead(page, "PASS", "WAITING")


def test_the_strip_stands_still_under_a_mouse_that_aims_and_goes_on(page: Page, station: LiveMemoryStation) -> None:
    station.part(Verdict.FAIL)
    expect(page.locator("#strip .FAIL")).to_have_count(1)
    page.locator("#strip").hover()
    passes(page, station)
    expect(page.locator("#strip button")).to_have_count(1)
    page.mouse.move(5, 5)
    station.part(Verdict.REVIEW)
    expect(page.locator("#strip button")).to_have_count(3)


def test_a_tap_holds_the_part_that_lay_under_it_when_the_finger_came_down(
    page: Page, station: LiveMemoryStation
) -> None:
    station.part(Verdict.FAIL)
    wait_lead(page, "FAIL")
    strip = page.locator("#strip")
    strip.locator("button").first.dispatch_event("pointerdown", {"pointerType": "touch"})
    passes(page, station)
    expect(strip.locator("button")).to_have_count(2)
    strip.locator("button").first.dispatch_event("click", {"detail": 1})
    wait_lead(page, "HELD")
    expect(page.locator("#last")).to_have_text("HELD · FAIL")


def test_a_part_that_came_before_anybody_looked_is_found_under_parts(
    pages: Pages, station: LiveMemoryStation, browser: Browser
) -> None:
    number = station.part(Verdict.FAIL)
    station.part(Verdict.PASS)
    with visitor(browser) as context:
        page = open_live(context, pages.address)
        page.locator("#strip .FAIL").click()
        expect(page.locator("#asked")).to_contain_text("not kept here")
        expect(page.locator("#asked a")).to_have_attribute("href", f"/parts?part={1000 + number}")


def test_simulated_parts_have_a_frame_around_the_page(page: Page, station: LiveMemoryStation) -> None:
    expect(page.locator("#simulation")).to_be_hidden()
    station.changes(simulated=True)
    expect(page.locator("#simulation")).to_be_visible()
    expect(page.locator("body.simulated")).to_have_count(1)


def test_a_request_is_not_shown_as_done_before_the_station_has_said_so(page: Page, station: LiveMemoryStation) -> None:
    """No daemon listens here: what is asked is refused, and the reason stands there."""
    passes(page, station)
    page.locator("#offline").click()
    expect(page.locator("#asked")).to_contain_text("refused: no station listens")


def test_verdict_and_pictures_are_never_of_two_parts(page: Page, station: LiveMemoryStation) -> None:
    stop = threading.Event()

    def line() -> None:
        number = 0
        while not stop.wait(0.02):
            station.part(VERDICTS[number % 3], ("top", "side"))
            number += 1

    thread = threading.Thread(target=line, name="line")
    thread.start()
    try:
        looked, wrong = moments_of_two_parts(page, 200, patience_s=45.0)
    finally:
        stop.set()
        thread.join()
    assert looked > 0
    assert wrong == [], f"{len(wrong)} of {looked} moments show two parts"


@pytest.mark.parametrize("size", SIZES)
def test_it_fits_every_window_and_axe_finds_nothing_serious(
    pages: Pages, station: LiveMemoryStation, browser: Browser, axe: str, size: str
) -> None:
    station.changes(warnings=[3, 6], simulated=True)
    station.part(Verdict.FAIL, ("top", "side"))
    for theme in ("light", "dark"):
        with visitor(browser, size=size, theme=theme, language="de") as context:
            page = open_live(context, pages.address)
            wait_lead(page, "FAIL", "WAITING")
            assert serious_findings(page, axe) == []
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
