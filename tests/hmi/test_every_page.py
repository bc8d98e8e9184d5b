"""Every page in a real browser: nothing serious for axe, in every size, light and dark, and it fits the width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser, Page
from starlette.routing import Route

from station.hmi.app import PAGES
from station.hmi.engines.versions import store_at
from station.msa.storage import plan, rate, studies, studies_beside
from station.reports.production.making import Order, make
from station.reports.production.reading import Period
from station.reports.production.stored import as_json
from tests.bench.browser import COLOURS, SIZES, places_shown, serious_findings, visitor
from tests.bench.engine_store import serving_with_store
from tests.bench.pages import COOKIE, Pages
from tests.bench.sample_parts import WALL_TIME
from tests.msa.aiag import RATINGS, STUDY

OPEN = ("/live", "/login", "/welcome", "/nothing")
OF_OPERATORS = (
    "/review",
    "/live/batch",
    "/parts",
    "/parts?verdict=FAIL&part=abc",
    "/parts/s1/2",
    "/parts/s1/12",
    "/account",
    "/recipes",
)
OF_QUALITY = (
    "/reports",
    "/reports/of_a_test",
    "/agreement",
    "/agreement/aiag",
    "/agreement/aiag/rate",
    "/virtual",
    "/trends",
    "/second",
    "/process",
)
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
OF_MAINTENANCE = (
    "/health",
    "/challenge",
    "/engines",
    "/engines/{second}",
    "/engines/{third}",
    "/teach",
    "/teach?from=line",
    "/compare?first={first}&second={second}",
)
"""On a station with a store of engines."""
ELSEWHERE = {"/setup/settings/{checksum}": "tests/hmi/setup/test_settings.py"}
"""Pages that only a station that runs has, and where they are looked at."""
NO_PAGE = re.compile(
    r"^/$|\.(json|csv|jpg|zip)$|^/(api|metrics|healthz|readyz|appearance|live/part|setup/picture)|/\{kind\}$|/collected/"
)
"""Data, pictures and files; and what leads elsewhere."""
LEADS_ON = {"/maintenance"}


DARK = """<!doctype html><html lang="en"><title>x</title><style>
@media (min-width: 60rem) { .small { display: none; } }
@media (prefers-color-scheme: dark) { body { background: #000; color: #333; } }
</style><main><h1>x</h1><p>both</p><p class="small">small</p></main>"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("engines")) as pages:
        yield pages


def store_a_report(pages: Pages) -> None:
    order = Order(Period("day", WALL_TIME - 3600, WALL_TIME + 3600))
    report, _ = make(pages.site.records, order, station="x", deadline_ms=500.0, now=WALL_TIME + 7200)
    (pages.folder / "reports").mkdir(exist_ok=True)
    (pages.folder / "reports" / "of_a_test.json").write_bytes(as_json(report))


def study_agreement(pages: Pages) -> None:
    file = studies_beside(pages.site.records)
    if not studies(file):
        plan(file, STUDY)
        rate(file, STUDY, RATINGS, "test")


def of_store(pages: Pages) -> Sequence[str]:
    """Pages of maintenance with the versions of this station in them."""
    store = pages.site.station.engine_store
    assert store is not None
    names = dict(zip(("first", "second", "third"), (row.name for row in reversed(store_at(store).rows)), strict=True))
    return [path.format(**names) for path in OF_MAINTENANCE]


def sockets_of(page: Page) -> list[str]:
    """Addresses of the WebSockets that the page opens from now on."""
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    return opened


def look(pages: Pages, browser: Browser, axe: str, role: str, paths: Sequence[str]) -> None:
    """In each size with every rule of axe; dark with those about colours, at the other sizes where they show what the
    desktop does not. In German for the width, whose words are longer.

    No page but Live opens a WebSocket, so every other one works without.
    """
    cookie = {"name": COOKIE, "value": pages.token(role), "url": pages.address} if role else None
    on_desktop: dict[str, Sequence[str]] = {}
    for size in ("desktop", "phone", "panel"):
        with visitor(browser, size=size, cookie=cookie) as context:
            page = context.new_page()
            sockets = sockets_of(page)
            for path in paths:
                page.goto(pages.address + path)
                fits(page, path, size)
                assert serious_findings(page, axe) == [], path
                page.emulate_media(color_scheme="dark")
                assert serious_findings(page, axe, COLOURS, on_desktop.get(path)) == [], f"{path}, dark"
                page.emulate_media(color_scheme="light")
                on_desktop.setdefault(path, places_shown(page))
                assert not sockets or path == "/live", f"{path} opens a WebSocket"
                sockets.clear()
    with visitor(browser, size="phone", language="de", cookie=cookie) as context:
        page = context.new_page()
        for path in paths:
            page.goto(pages.address + path)
            for size in SIZES:
                width, height = SIZES[size]
                page.set_viewport_size({"width": width, "height": height})
                fits(page, f"{path} in German", size)


def fits(page: Page, path: str, size: str) -> None:
    """The page is no wider than the window; on a panel as `[hmi] display = "panel"` shows it."""
    page.evaluate(
        "(display) => { document.documentElement.dataset.display = display; }", "panel" if size == "panel" else "auto"
    )
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{path} is {wide} px wider than the window of a {size}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", PATHS)
def test_axe_finds_nothing_serious(pages: Pages, browser: Browser, axe: str, role: str) -> None:
    store_a_report(pages)
    study_agreement(pages)
    look(pages, browser, axe, role, PATHS[role])


@pytest.mark.timeout(900)
def test_axe_finds_nothing_serious_in_maintenance(engines: Pages, browser: Browser, axe: str) -> None:
    look(engines, browser, axe, "maintenance", of_store(engines))


def test_what_one_size_alone_shows_is_looked_at_and_nothing_twice(browser: Browser, axe: str) -> None:
    """So the tests above can fail: in the dark two texts cannot be read, and one of them only a phone shows."""
    with visitor(browser) as context:
        page = context.new_page()
        page.set_content(DARK)
        assert serious_findings(page, axe) == []
        on_desktop = places_shown(page)
    with visitor(browser, size="phone", theme="dark") as context:
        page = context.new_page()
        page.set_content(DARK)
        assert len(serious_findings(page, axe, COLOURS)) == 2
        (found,) = serious_findings(page, axe, COLOURS, on_desktop)
        assert ".small" in found
        assert serious_findings(page, axe, COLOURS, places_shown(page)) == []


def test_no_page_is_left_out() -> None:
    looked_at = [path.partition("?")[0] for paths in (*PATHS.values(), OF_MAINTENANCE) for path in paths]
    routes = {route.path for each in PAGES for route in each.routes() if isinstance(route, Route)
              if "GET" in (route.methods or ())}  # fmt: skip
    for path in sorted(routes - LEADS_ON - set(ELSEWHERE)):
        if NO_PAGE.search(path):
            continue
        pattern = re.compile(re.sub(r"\{\w+(:int)?\}", "[^/]+", path))
        assert any(pattern.fullmatch(one) for one in looked_at), f"{path}: add it to PATHS, or say why it is no page"
