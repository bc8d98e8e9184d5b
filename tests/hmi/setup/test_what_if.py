"""What if, from the page: which parts change, good and defective ones, before anything is saved."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from playwright.sync_api import Browser, expect

from station.hmi.work import Work
from tests.bench.bench import bad, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages import Pages
from tests.bench.waiting import wait_for
from tests.hmi.setup.conftest import Stand


@pytest.mark.system
@pytest.mark.timeout(400)
def test_from_limits_to_the_parts_that_change_and_on_to_saving(stand: Stand, browser: Browser, axe: str) -> None:
    bench = stand.bench
    before = bench.config_path.read_bytes()
    for picture in (good(), bad(), bad(), good()):
        bench.part(picture)
    wait_for(lambda: len(bench.rows()) == 4, "the parts on record")
    with visitor(browser, cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        for part, word in zip(bench.rows()[1:], ("good", "defective"), strict=False):
            page.goto(f"{stand.pages.address}/parts/{part.session}/{part.acquisition_id}")
            with page.expect_navigation():  # it is saved before the next page is asked for
                page.locator(f'[name="label"][value="{word}"]').first.click()
        page.goto(f"{stand.pages.address}/setup/limits")
        page.locator('input[name="decision.reject_score"]').fill("1")
        page.locator('input[name="decision.review_score"]').fill("1")
        page.get_by_role("button", name="What if?").click()
        expect(page.locator(".asked li")).to_have_count(2)
        assert serious_findings(page, axe) == []
        page.get_by_role("button", name="Try it on them").click()
        expect(page.locator("#result")).to_contain_text("parts decided again")
        expect(page.locator(".worse")).to_contain_text("1 · at most 100.00 %")
        expect(page.locator(".thumbnails li").first).to_contain_text("labelled defective")
        expect(page.locator(".thumbnails li.escapes")).to_have_count(1)
        wait_for(lambda: page.locator(".thumbnails img").first.evaluate("each => each.naturalWidth") > 0, "a thumbnail")
        assert serious_findings(page, axe) == []
        page.reload()
        expect(page.locator("#result")).to_be_visible()
        page.get_by_text("On to saving").click()
        expect(page.locator(".difference tbody tr")).to_have_count(2)
        page.goto(f"{stand.pages.address}/setup/what-if?decision.reject_score=0.9")
        expect(page.locator("#result")).to_have_count(0)
    assert bench.config_path.read_bytes() == before, "nothing was saved"


def test_what_is_no_limit_has_nothing_to_try(pages: Pages) -> None:
    client = pages.client("integrator")
    camera = next(iter(pages.site.station.settings.cameras))
    got = client.get(f"/setup/what-if?cameras.{camera}.exposure_time_us=100")
    assert (got.status, "there is nothing to try" in got.text) == (400, True)
    got = client.get("/setup/what-if?decision.reject_score=x")
    assert (got.status, "a number, as 0.55" in got.text) == (400, True)
    fields = {"csrf": client.csrf(), "set": "decision.reject_skore=1"}
    got = client.post("/setup/what-if/start", fields)
    assert (got.status, "unknown key" in got.text) == (400, True)
    assert client.get("/setup/thumbnail/s1/99999999999999999999/top.jpg").status == 404
    assert client.get("/setup/thumbnail/s1/1/nobody.jpg").status == 404
    assert client.get("/setup/thumbnail/s1/1/top.jpg").headers["content-type"] == "image/jpeg"


def test_the_result_of_other_limits_is_not_shown(pages: Pages) -> None:
    active = pages.site.station
    result: Mapping[str, object] = {
        "event": "done", "sets": ["decision.reject_score=0.7"], "based_on": [active.checksum, ""], "newest": 2000,
        "from_images": False, "parts": 5, "before": {"PASS": 5}, "after": {"PASS": 5}, "moves": {}, "changed": [],
        "changed_parts": 0, "good": {"n": 0}, "defective": {"n": 0}, "notes": {"other engine": 3, "odd": 1},
    }  # fmt: skip
    client = pages.client("integrator")
    before = pages.site.works._work
    pages.site.works._work = Work("what-if", "what if", "anna", "done", result=result)
    try:
        same = client.get("/setup/what-if?decision.reject_score=0.7").text
        assert "5 parts decided again" in same
        assert "not known: nobody has labelled any" in same
        assert "3 parts were judged by another engine" in same
        assert "decided again" not in client.get("/setup/what-if?decision.reject_score=0.8").text
    finally:
        pages.site.works._work = before
