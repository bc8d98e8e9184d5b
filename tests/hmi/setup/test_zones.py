"""Zones drawn with mouse, finger and keys: as the station takes them, and the next part is judged by them."""

from __future__ import annotations

import sys

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.bench.bench import bad, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages import PASSWORD
from tests.bench.waiting import wait_for
from tests.hmi.setup.conftest import Stand

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.system


def opened(page: Page, stand: Stand, query: str = "") -> Locator:
    page.goto(f"{stand.pages.address}/setup/zones{query}")
    page.locator("#zones[data-ready]").wait_for()
    wait_for(lambda: page.locator(".canvas img").evaluate("each => each.naturalWidth") > 0, "the picture")
    return page.locator("#drawn")


def point(svg: Locator, x: float, y: float) -> tuple[float, float]:
    """On the screen."""
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page: Page, svg: Locator, *places: tuple[float, float]) -> None:
    page.mouse.move(*point(svg, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*point(svg, *place), steps=4)
    page.mouse.up()


def corners(page: Page, number: int) -> list[tuple[float, float]]:
    text = page.locator(f'[name="zone{number}.polygon"]').input_value()
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def has_corners(page: Page, number: int, *places: tuple[float, float]) -> None:
    """Waits until the zone has these: the browser makes a tap of two touches when it comes to it."""
    expected = [(pytest.approx(x, abs=0.02), pytest.approx(y, abs=0.02)) for x, y in places]
    wait_for(lambda: corners(page, number) == expected, f"zone {number} to have corners at {places}")


def has_as_many(page: Page, number: int, count: int) -> None:
    wait_for(lambda: len(corners(page, number)) == count, f"zone {number} to have {count} corners")


@pytest.mark.timeout(400)
def test_a_zone_is_drawn_and_the_next_part_is_judged_by_it(stand: Stand, browser: Browser, axe: str) -> None:
    bench = stand.bench
    assert not bench.part(bad()).passed
    wait_for(lambda: bool(bench.rows()), "the part on record")
    with visitor(browser, cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        svg = opened(page, stand)
        page.locator("#rectangle").click()
        drag(page, svg, (0.05, 0.05), (0.6, 0.7))
        has_corners(page, 0, (0.05, 0.05), (0.6, 0.05), (0.6, 0.7), (0.05, 0.7))
        drag(page, svg, (0.6, 0.7), (0.7, 0.85))
        has_corners(page, 0, (0.05, 0.05), (0.6, 0.05), (0.7, 0.85), (0.05, 0.7))
        drag(page, svg, (0.3, 0.3), (0.4, 0.35))
        has_corners(page, 0, (0.15, 0.1), (0.7, 0.1), (0.8, 0.9), (0.15, 0.75))
        page.locator("#undo").click()
        has_corners(page, 0, (0.05, 0.05), (0.6, 0.05), (0.7, 0.85), (0.05, 0.7))
        page.locator('[name="zone0.name"]').fill("hole")
        page.locator('[name="zone0.ignore"]').check()
        assert serious_findings(page, axe) == []
        page.reload()
        expect(page.locator("#restored")).to_be_visible()
        assert page.locator('[name="zone0.name"]').input_value() == "hole"
        page.get_by_role("button", name="See the difference").click()
        expect(page.locator(".difference")).to_contain_text("Zone hole")
        expect(page.locator(".difference")).to_contain_text("4 corners, ignored")
        page.locator("[name=why]").fill("the hole varies")
        page.locator("[name=proof]").fill(PASSWORD)
        page.get_by_role("button", name="Save and take up").click()
        expect(page.locator(".notice.good")).to_contain_text("the station uses it")
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(bad()).passed
        svg = opened(page, stand)
        expect(page.locator("#restored")).to_be_hidden()
        has_corners(page, 0, (0.05, 0.05), (0.6, 0.05), (0.7, 0.85), (0.05, 0.7))
        page.locator(".choose").first.click()
        page.locator("#delete").click()
        page.get_by_role("button", name="See the difference").click()
        expect(page.locator(".difference")).to_contain_text("not there")
        page.locator("[name=why]").fill("back")
        page.locator("[name=proof]").fill(PASSWORD)
        page.get_by_role("button", name="Save and take up").click()
        expect(page.locator(".notice.good")).to_contain_text("the station uses it")
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert not bench.part(bad()).passed
    assert "zones" not in tomllib.loads(bench.config_path.read_text()).get("decision", {})


@pytest.mark.timeout(400)
def test_by_finger_and_by_key_and_a_bow_tie_is_refused(stand: Stand, browser: Browser, axe: str) -> None:
    stand.bench.part(good())
    wait_for(lambda: bool(stand.bench.rows()), "the part on record")
    with visitor(browser, size="panel", theme="dark", cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        svg = opened(page, stand)
        page.locator("#rectangle").tap()
        for place in ((0.1, 0.1), (0.3, 0.3)):
            page.touchscreen.tap(*point(svg, *place))
        has_corners(page, 0, (0.1, 0.1), (0.3, 0.1), (0.3, 0.3), (0.1, 0.3))
        page.locator("#polygon").tap()
        for place in ((0.5, 0.5), (0.9, 0.5), (0.7, 0.9), (0.5, 0.5)):
            page.touchscreen.tap(*point(svg, *place))
        has_corners(page, 1, (0.5, 0.5), (0.9, 0.5), (0.7, 0.9))
        svg.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        has_corners(page, 1, (0.505, 0.501), (0.9, 0.5), (0.7, 0.9))
        page.keyboard.press(".")
        page.keyboard.press("+")
        has_as_many(page, 1, 4)
        page.keyboard.press("Delete")
        has_as_many(page, 1, 3)
        page.keyboard.press("n")
        expect(page.locator(".choose").first).to_have_attribute("aria-pressed", "true")
        for _ in range(60):
            page.keyboard.press("ArrowRight")
        expect(page.locator(".wrong-outline").first).to_be_visible()
        assert serious_findings(page, axe) == []
        page.get_by_role("button", name="See the difference").tap()
        expect(page.locator(".notice.bad")).to_contain_text("crosses itself")
        page.get_by_text("Back, and correct it").tap()
        page.locator("#zones[data-ready]").wait_for()
        expect(page.locator(".wrong-outline").first).to_be_visible()
        has_as_many(page, 0, 4)


@pytest.mark.timeout(400)
def test_who_may_only_look_draws_nothing(stand: Stand, browser: Browser) -> None:
    stand.bench.part(good())
    wait_for(lambda: bool(stand.bench.rows()), "the part on record")
    with visitor(browser, cookie=stand.pages.cookie("quality")) as context:
        page = context.new_page()
        svg = opened(page, stand)
        drag(page, svg, (0.1, 0.1), (0.5, 0.5))
        expect(page.locator("[data-zone]")).to_have_count(0)
        expect(page.locator("#rectangle")).to_have_count(0)
