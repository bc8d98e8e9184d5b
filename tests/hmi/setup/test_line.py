"""A picture by a trigger test, the points of the PLC, and the challenge parts; with a real station behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from station.control import ControlError, request
from tests.bench.bench import Bench, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for
from tests.hmi.setup.conftest import Stand

pytestmark = pytest.mark.system
PARTS = """
[challenge]
every_parts = 500

[[challenge.parts]]
name = "scratch 3 mm <b>"
reason = "SCORE_ABOVE_LIMIT"

[[challenge.parts]]
name = "good"
expected = "pass"
"""


@pytest.fixture(scope="module")
def one_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    slow: dict[str, Any] = {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000, "camera__trigger": "plc"}
    with Bench(tmp_path_factory.mktemp("station"), **slow) as bench:
        bench.config_path.write_text(bench.config_path.read_text() + PARTS)
        pages = PagesProcess(bench.config_path)
        try:
            yield Stand(bench, pages)
        finally:
            pages.end()


def trigger(stand: Stand) -> dict[str, Any]:
    return request(stand.bench.directory / "work" / "control.sock", {"command": "trigger"}, 60.0)


@pytest.mark.timeout(300)
def test_a_picture_while_off_line_makes_no_part(stand: Stand, browser: Browser, axe: str) -> None:
    bench = stand.bench
    bench.scene.show(good())
    with visitor(browser, cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        page.goto(f"{stand.pages.address}/setup")
        expect(page.get_by_role("button", name="Trigger test")).to_be_disabled()
        with pytest.raises(ControlError, match="the station is on line: take it off line first"):
            trigger(stand)
        request(bench.directory / "work" / "control.sock", {"command": "offline"})
        wait_for(lambda: not bench.status()["online"], "off line")
        expect(page.get_by_role("button", name="Trigger test")).to_be_enabled()
        before = bench.status()["counters"]
        page.get_by_role("button", name="Trigger test").click()
        expect(page.locator("#trial-said")).to_contain_text("test picture taken after, ms:")
        expect(page.locator("#age")).to_contain_text("test picture")
        expect(page.locator("#mean")).to_have_text("64")
        page.locator("#again-and-again").check()
        bright = good()
        bright[:] = 200
        bench.scene.show(bright)
        expect(page.locator("#mean")).to_have_text("200")
        page.locator("#again-and-again").uncheck()
        assert serious_findings(page, axe) == []
    assert bench.status()["counters"] == before
    assert bench.rows() == []
    request(bench.directory / "work" / "control.sock", {"command": "online"})
    wait_for(lambda: bench.plc.ready, "TriggerReady")


@pytest.mark.timeout(300)
def test_points_of_the_plc_follow_what_happens(stand: Stand, browser: Browser, axe: str) -> None:
    with visitor(browser, size="panel", cookie=stand.pages.cookie("maintenance")) as context:
        page = context.new_page()
        page.goto(f"{stand.pages.address}/setup/plc")
        expect(page.locator("#r-online .value")).to_have_text("1")
        expect(page.locator("#w-trigger_enable .value")).to_have_text("1")
        heartbeat = page.locator("#r-heartbeat .value").inner_text()
        expect(page.locator("#r-heartbeat .value")).not_to_have_text(heartbeat)
        request(stand.bench.directory / "work" / "control.sock", {"command": "offline"})
        expect(page.locator("#r-online .value")).to_have_text("0")
        expect(page.locator("#r-offline_reason .words")).to_contain_text("by a person")
        assert serious_findings(page, axe) == []
        request(stand.bench.directory / "work" / "control.sock", {"command": "online"})
        stand.bench.kill()
        expect(page.locator("#problem")).to_be_visible()
        expect(page.locator(".stale")).to_have_count(1)
    assert json.loads(stand.pages.client("maintenance").get("/setup/points.json").text)["problem"]


@pytest.mark.timeout(300)
def test_the_master_parts_in_their_order(stand: Stand) -> None:
    client = stand.pages.client("quality")
    text = client.get("/setup/challenge").text
    assert text.index("scratch 3 mm &lt;b&gt;") < text.index("<b>good</b>")
    assert "SCORE_ABOVE_LIMIT" in text
    assert "500" in text
    answer = client.post("/setup/trigger", {"csrf": client.csrf()})
    assert (answer.status, "Your roles do not allow this" in answer.text) == (403, True)
