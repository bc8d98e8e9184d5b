"""Every page in a real browser: nothing serious for axe, in every size, light and dark, and it fits the width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from station.hmi.engines.versions import store_at
from station.reports.production.making import Order, make
from station.reports.production.reading import Period
from station.reports.production.stored import as_json
from tests.bench.browser import serious_findings, visitor
from tests.bench.engine_store import serving_with_store
from tests.bench.pages import COOKIE, Pages
from tests.bench.sample_parts import WALL_TIME

OPEN = ("/live", "/login", "/welcome", "/nothing")
OF_OPERATORS = ("/review", "/parts", "/parts?verdict=FAIL&part=abc", "/parts/s1/2", "/parts/s1/12", "/account")
OF_QUALITY = ("/reports", "/reports/of_a_test")
OF_INTEGRATORS = (
    "/setup",
    "/setup/zones",
    "/setup/limits",
    "/setup/settings",
    "/setup/plc",
    "/setup/challenge",
    "/setup/what-if?decision.reject_score=0.7",
    "/setup/difference?decision.reject_score=0.7",
    "/setup/difference?decision.reject_score=x",
)
OF_ADMINS = ("/users", "/audit")
PATHS = {
    "": OPEN,
    "operator": OF_OPERATORS,
    "quality": OF_QUALITY,
    "integrator": OF_INTEGRATORS,
    "admin": OF_ADMINS,
}
"""By the role of who looks."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("engines")) as pages:
        yield pages


def store_a_report(pages: Pages) -> None:
    order = Order(Period("day", WALL_TIME - 3600, WALL_TIME + 3600))
    report, _ = make(pages.site.records, order, station="x", deadline_ms=500.0, now=WALL_TIME + 7200)
    (pages.folder / "reports").mkdir(exist_ok=True)
    (pages.folder / "reports" / "of_a_test.json").write_bytes(as_json(report))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("size", "theme"), [("phone", "light"), ("phone", "dark"), ("panel", "dark"), ("desktop", "light")]
)
def test_axe_finds_nothing_serious(pages: Pages, browser: Browser, axe: str, size: str, theme: str) -> None:
    store_a_report(pages)
    for role, paths in PATHS.items():
        cookie = {"name": COOKIE, "value": pages.token(role), "url": pages.address} if role else None
        with visitor(browser, size=size, theme=theme, cookie=cookie) as context:
            page = context.new_page()
            for path in paths:
                page.goto(pages.address + path)
                assert serious_findings(page, axe) == [], path
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{path} is {wide} px wider than the window"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("panel", "light")])
def test_axe_finds_nothing_serious_in_maintenance(
    engines: Pages, browser: Browser, axe: str, size: str, theme: str
) -> None:
    store = engines.site.station.engine_store
    assert store is not None
    first, second, third = (row.name for row in reversed(store_at(store).rows))
    compared = f"/compare?first={first}&second={second}"
    paths = (
        "/health",
        "/challenge",
        "/engines",
        f"/engines/{second}",
        f"/engines/{third}",
        "/teach",
        "/teach?from=line",
        compared,
    )
    cookie = {"name": COOKIE, "value": engines.token("maintenance"), "url": engines.address}
    with visitor(browser, size=size, theme=theme, cookie=cookie) as context:
        page = context.new_page()
        for path in paths:
            page.goto(engines.address + path)
            assert serious_findings(page, axe) == [], path
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px wider than the window"
