"""The pages of a training: the colours of the station's pages, nothing serious in a real browser, and they enlarge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from engines.training.dossier.selection import pictured
from engines.training.dossier.write import write_dossier
from station.hmi.rendering import STATIC
from station.reports.drawing import VERDICT_FILL, VERDICT_TEXT
from tests.bench.browser import axe_source, serious_findings
from tests.bench.engines.small_training import SmallTraining
from tests.bench.places import ROOT

LOOK = ROOT / "engines" / "training" / "pages" / "look.css"


def tokens(css: str) -> dict[str, str]:
    """Name -> value, of one block."""
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", css))


def test_the_colours_are_those_of_the_stations_pages() -> None:
    ours, theirs = LOOK.read_text(), (STATIC / "station.css").read_text()
    light, dark = ours.split("@media (prefers-color-scheme: dark)")
    of_light, of_dark = theirs.split('[data-theme="dark"]', 1)
    assert tokens(light).items() <= tokens(of_light).items()
    assert tokens(dark.split("*, ::before")[0]).items() <= tokens(of_dark.split("@media")[0]).items()
    for verdict, name in (("PASS", "pass"), ("FAIL", "fail"), ("REVIEW", "review")):
        assert tokens(light)[name] == VERDICT_FILL[verdict]
        assert tokens(light)[f"{name}-text"] == VERDICT_TEXT[verdict]


@pytest.fixture(scope="module")
def dossier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("look") / "dossier"
    training = SmallTraining(dirty=tuple(range(10)), known_good=(20,))
    record = training.collect()
    maps = {image: training.anomaly_map(image) for image in pictured(record)}
    write_dossier(folder, record, training.image, maps, weights=training.weights)
    return folder / "dossier.html"


@pytest.fixture
def page(browser: Browser, dossier: Path) -> Iterator[Page]:
    """The dossier from its file, which asks for nothing but its own files."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(dossier.as_uri())
    yield page
    context.close()
    assert said == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "blob"}


@pytest.mark.system
def test_pictures_enlarge_from_a_file_and_keys_go_through_them(page: Page) -> None:
    links = page.locator("a[data-large]")
    links.first.click()
    large = page.locator("#large img")
    expect(large).to_be_visible()
    first = large.get_attribute("src")
    assert large.evaluate("each => each.naturalWidth") > 0
    page.keyboard.press("ArrowRight")
    expect(large).not_to_have_attribute("src", str(first))
    page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("src", str(first))
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()


@pytest.mark.system
def test_a_tick_stands_in_the_veto(page: Page) -> None:
    box = page.locator("#first input[data-name]").first
    box.check()
    assert str(box.get_attribute("data-name")) in page.locator("#veto-text").input_value()


@pytest.mark.system
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious_and_it_fits(
    browser: Browser, dossier: Path, tmp_path_factory: pytest.TempPathFactory, width: int, theme: str
) -> None:
    axe = axe_source(tmp_path_factory)
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(dossier.as_uri())
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert serious_findings(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()
