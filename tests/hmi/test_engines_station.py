"""Maintenance in Chromium before a real station: verify, compare, activate, be refused, go back; on record by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from engines.store.history import Action
from engines.store.store import EngineStore
from station.records.audit import audit_rows
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench, bad, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.engine_store import fill_store
from tests.bench.pages import PASSWORD
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system
SLOW: dict[str, Any] = {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("station")
    with Bench(folder, with_engine=False, engine__path=None, engine__store="engines", records__pass_image_share=1.0,
               **SLOW) as bench:  # fmt: skip
        fill_store(folder / "engines" / "default", folder, width=WIDTH, height=HEIGHT)
        bench.start()
        yield bench


@pytest.fixture(scope="module")
def address(bench: Bench) -> Iterator[PagesProcess]:
    pages = PagesProcess(bench.config_path)
    yield pages
    pages.end()


def store_of(bench: Bench) -> EngineStore:
    return EngineStore(bench.directory / "engines" / "default")


def change(page: Page, button: str, why: str) -> None:
    page.get_by_label("Why").last.fill(why)
    page.get_by_label("Your own password").last.fill(PASSWORD)
    page.get_by_role("button", name=button).click()


def test_from_the_candidate_to_active_and_back(bench: Bench, address: PagesProcess, browser: Browser, axe: str) -> None:
    assert bench.part(good()).passed
    assert bench.part(bad()).reject
    wait_for(lambda: len(bench.rows()) == 2, "the parts on record")
    first, second, third = (version.name for version in store_of(bench).versions())
    with visitor(browser, cookie=address.cookie("maintenance")) as context:
        page = context.new_page()
        page.goto(f"{address.address}/engines")
        expect(page.locator(".active-engine")).to_contain_text(first)
        page.get_by_role("link", name="2", exact=True).click()
        page.get_by_role("button", name="Verify").click()
        expect(page.locator("#work")).to_contain_text("Hashes and golden images agree.")
        page.get_by_role("link", name="Compare with the active one").click()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator(".ways")).to_contain_text("FAIL")
        assert page.locator(".tile").count() == 1, "the bad part, which the second one passes to people"
        assert serious_findings(page, axe) == []
        page.get_by_role("link", name=f"To activating {second}").click()
        change(page, "Activate 2", "fewer rejects")
        expect(page.locator(".active-engine")).to_contain_text(second)
        assert bench.status()["engine_id"].startswith(second.partition("-")[2])

        # What nobody has decided is refused with the question, and everything stays.
        page.goto(f"{address.address}/engines/{third}")
        change(page, "Activate 3", "new")
        expect(page.get_by_role("alert")).to_contain_text("were not learned")
        assert page.get_by_label("Why").last.input_value() == "new", "what was typed stays"
        page.get_by_label("defects: leave them out").check()
        change(page, "Activate 3", "they are defects")
        expect(page.locator(".active-engine")).to_contain_text(third)

        page.locator("summary", has_text="Go back to 2").click()
        change(page, "Go back to 2", "too many rejects")
        expect(page.locator(".active-engine")).to_contain_text(second)
    events = [(event.action, event.who, event.after) for event in store_of(bench).events()][-3:]
    assert events == [
        (Action.ACTIVATE, "operator maintenance", second),
        (Action.ACTIVATE, "operator maintenance", third),
        (Action.ROLLBACK, "operator maintenance", second),
    ]
    with closing(open_reader(bench.directory / "work" / "records")) as records:
        rows = [row for row in audit_rows(records, 100) if row.action == "engine"]
    assert [(row.who, row.result) for row in rows] == [
        ("operator maintenance", "done"),
        ("operator maintenance", "refused"),
        ("operator maintenance", "done"),
        ("operator maintenance", "done"),
    ]
    assert "fewer rejects" in rows[0].detail
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed


def test_parts_are_collected_shown_and_a_wrong_password_changes_nothing(
    bench: Bench, address: PagesProcess, browser: Browser, tmp_path: Path
) -> None:
    before = store_of(bench).active()
    with visitor(browser, size="panel", cookie=address.cookie("maintenance")) as context:
        page = context.new_page()
        page.goto(f"{address.address}/teach?from=line")
        page.get_by_label("Next parts").select_option("30")
        page.get_by_role("button", name="Collect").click()
        expect(page.locator("#work")).to_contain_text("collecting parts from the line")
        for _ in range(30):
            bench.part(good())
        expect(page.locator("#work")).to_have_count(0)
        page.reload()
        expect(page.locator(".tile")).to_have_count(30)
        page.locator(".tile label").first.click()
        expect(page.locator("#kept")).to_have_text("29")
        page.locator(".tile input").nth(1).focus()
        page.keyboard.press("Space")
        expect(page.locator("#kept")).to_have_text("28")
        page.goto(f"{address.address}/engines/{store_of(bench).versions()[0].name}")
        page.get_by_label("Why").last.fill("x")
        page.get_by_label("Your own password").last.fill("wrong")
        page.get_by_role("button", name="Activate 1").click()
        expect(page.locator("main")).to_contain_text("the password is wrong; nothing was changed")
    assert store_of(bench).active() == before
