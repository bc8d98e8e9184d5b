"""What each camera sees now: the picture of the last part, its figures, and what to do about light and focus."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from station.configuration.decision import QualitySection
from station.hmi.setup.advice import bright_end, of_focus, of_light, rounded
from station.hmi.words import languages
from station.live.figures import LEVELS, histogram
from tests.bench.bench import HEIGHT, WIDTH, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.waiting import wait_for
from tests.hmi.setup.conftest import Stand

WORDS = languages()["en"]


def flat(*levels: int) -> list[int]:
    """A histogram with the same share at each of these grey levels."""
    counts = [0] * LEVELS
    for level in levels:
        counts[level // 4] += 1000 // len(levels)
    return counts


def test_a_histogram_counts_the_brightest_channel_and_loses_no_pixel() -> None:
    pixels = np.zeros((40, 500, 3), np.uint8)
    pixels[:, :250, 1] = 255
    pixels[0, 499] = 128
    counts = histogram(pixels)
    assert (len(counts), counts[-1], counts[32]) == (LEVELS, 500, 1)
    assert histogram(np.full((7, 5), 100, np.uint8))[25] == 1000


def test_light_is_said_to_be_too_much_too_little_or_well() -> None:
    def said(saturated: float, *levels: int, exposure: float | None = 500.0) -> tuple[bool, str]:
        found = of_light({"saturated_share": saturated, "histogram": flat(*levels)}, exposure, WORDS)
        return found.acts, found.text

    too_bright = "Too bright: what is white has no structure left. Try an exposure of 350 µs, or give less light."
    assert said(0.1, 255) == (True, too_bright)
    acts, text = said(0.0, 20, 49)
    assert acts
    assert "grey 52" in text
    assert "1900 µs" in text
    assert said(0.0, 60, 199)[0] is False
    assert "set exposure_time_us" in said(0.0, 20, exposure=None)[1]
    assert said(0.0, *range(256))[0] is False
    assert bright_end([]) == 255.0
    assert [rounded(us) for us in (8.76, 87.6, 1234.0, 98765.0)] == [8.8, 88.0, 1200.0, 99000.0]


def test_focus_is_held_against_its_limit() -> None:
    limit = QualitySection(min_sharpness=100.0)
    assert of_focus({"sharpness": 99.0}, limit, WORDS).acts
    assert not of_focus({"sharpness": 101.0}, limit, WORDS).acts
    assert not of_focus({"sharpness": None}, limit, WORDS).acts
    assert "No limit" in of_focus({"sharpness": 1.0}, QualitySection(), WORDS).text


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_picture_of_the_last_part_with_its_figures(stand: Stand, browser: Browser, axe: str) -> None:
    bright = good()
    bright[: HEIGHT // 2] = 255
    with visitor(browser, cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        page.goto(f"{stand.pages.address}/setup")
        stand.bench.part(bright)
        expect(page.locator("#saturated")).to_have_text("50.00")
        expect(page.locator("#light-said")).to_contain_text("Too bright")
        expect(page.locator("#light-said")).to_contain_text("350 µs")
        picture = page.locator("#picture")
        expect(picture).to_be_visible()
        wait_for(lambda: picture.evaluate("each => each.naturalWidth") == WIDTH, "the picture")
        before = float(page.locator("#sharpness").inner_text())
        noise = np.random.default_rng(1).integers(40, 90, (HEIGHT, WIDTH)).astype(np.uint8)
        stand.bench.part(noise)
        expect(page.locator("#saturated")).to_have_text("0.00")
        assert float(page.locator("#sharpness").inner_text()) > before
        assert page.locator("#best").inner_text() == page.locator("#sharpness").inner_text()
        stand.bench.part(good())
        expect(page.locator("#sharpness")).to_have_text("0")
        assert float(page.locator("#best").inner_text()) > before
        page.locator("#again").click()
        expect(page.locator("#mean")).to_have_text("64")
        assert serious_findings(page, axe) == []
        stand.bench.kill()
        expect(page.locator("#missing")).to_contain_text("the station does not answer")
        expect(picture).to_be_hidden()


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_page_says_the_same_without_a_script(stand: Stand) -> None:
    client = stand.pages.client("maintenance")
    stand.bench.part(good())

    def said() -> str:
        return re.sub(r"\s+", " ", client.get("/setup").text)

    wait_for(lambda: 'id="mean">64<' in said(), "the figures of the part")
    assert "500 µs" in said()
    assert client.get("/setup?camera=nobody").status == 404
    assert client.get("/setup/picture?camera=%00").status == 404
    assert client.get("/setup/picture?have=x").status == 200
