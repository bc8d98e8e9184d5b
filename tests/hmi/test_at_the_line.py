"""What an operator does beside watching, in Chromium before a real station: another recipe, and the challenge test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.bench.bench import Bench, bad, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system
MASTERS = '[[challenge.parts]]\nname = "bright spot"\n[[challenge.parts]]\nname = "good part"\nexpected = "pass"\n'
SLOW: dict[str, Any] = {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("station"), recipe__active="flange", **SLOW) as bench:
        for number, name in enumerate(("flange", "cover"), start=1):
            recipe = bench.write_recipe(name, number)
            recipe.write_text(f"{recipe.read_text()}description = '<b>{name}</b>'\n{MASTERS}")
        (bench.directory / "recipes" / "odd.toml").write_text("number = 0\n")
        bench.start()
        yield bench


@pytest.fixture(scope="module")
def served(bench: Bench) -> Iterator[PagesProcess]:
    served = PagesProcess(bench.config_path)
    yield served
    served.end()


def test_another_recipe_is_active_when_the_station_has_said_so(
    bench: Bench, served: PagesProcess, browser: Browser, axe: str
) -> None:
    with visitor(browser, size="panel", cookie=served.cookie("operator")) as context:
        page = context.new_page()
        page.goto(f"{served.address}/parts")
        page.get_by_role("banner").get_by_role("link", name="flange").tap()
        expect(page.locator("main")).to_contain_text("<b>cover</b>")
        expect(page.get_by_role("button", name="Change to odd")).to_have_count(0)
        expect(page.locator(".notice.bad")).to_contain_text("number")
        assert serious_findings(page, axe) == []
        page.get_by_role("button", name="Change to cover").tap()
        expect(page.locator(".notice.good")).to_have_text("cover is active.")
        assert bench.status()["recipe"] == "cover"
        (bench.directory / "recipes" / "flange.toml").write_text(
            "number = 1\n[cameras.top]\nfeatures = { Gamma = 0.8 }\n"
        )
        page.get_by_role("button", name="Change to flange").tap()
        expect(page.get_by_role("alert").first).to_contain_text("refused")
        assert bench.status()["recipe"] == "cover"
        (bench.directory / "recipes" / "flange.toml").unlink()
        page.get_by_role("button", name="Change to flange").tap()
        expect(page.get_by_role("alert").first).to_contain_text("There is no such recipe any more.")


def test_a_challenge_test_is_guided_from_part_to_part(bench: Bench, served: PagesProcess, browser: Browser) -> None:
    with visitor(browser, size="panel", theme="dark", cookie=served.cookie("operator")) as context:
        page = context.new_page()
        page.goto(f"{served.address}/live")
        page.get_by_role("link", name="Maintenance").tap()
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        page.get_by_role("button", name="Start a test").tap()
        for name, master in (("bright spot", bad()), ("good part", good())):
            expect(page.locator(".guide .huge")).to_have_text(name)
            page.get_by_role("button", name="It is on").tap()
            wait_for(lambda: bench.plc.ready, "TriggerReady")
            bench.part(master)
        expect(page.locator(".guide .huge")).to_contain_text("PASSED")
