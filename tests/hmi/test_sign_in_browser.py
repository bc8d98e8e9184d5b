"""Signing in in Chromium: let in, refused, kept out after wrong tries; a login that ends in a review loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from station.labels.labels import read_labels
from station.results import Verdict
from tests.bench.browser import visitor
from tests.bench.pages import COOKIE, PASSWORD, Pages, serving
from tests.bench.sample_parts import PartMaker

pytestmark = pytest.mark.system


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with serving(tmp_path) as pages:
        make = PartMaker()
        pages.record([make.inspected(number, Verdict.REVIEW) for number in range(1, 4)])
        yield pages


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_let_in_refused_and_kept_out(pages: Pages, browser: Browser) -> None:
    pages.token("operator")
    with visitor(browser) as context:
        page = context.new_page()
        page.goto(f"{pages.address}/parts")
        sign_in(page, "operator", "wrong words here")
        refused = page.get_by_role("alert").inner_text()
        sign_in(page, "operator", PASSWORD)
        expect(page.get_by_role("heading", name="Parts")).to_be_visible()
        page.goto(f"{pages.address}/users")
        expect(page.locator("main")).to_contain_text("Your roles do not allow this.")
        context.clear_cookies()
        for _ in range(5):
            page.goto(f"{pages.address}/login")
            sign_in(page, "operator", "wrong words here")
            expect(page.get_by_role("alert")).to_be_visible()
        sign_in(page, "operator", PASSWORD)
        expect(page.get_by_role("alert")).to_have_text(refused)


def test_a_login_that_ends_in_a_review_loses_nothing(pages: Pages, browser: Browser) -> None:
    cookie = {"name": COOKIE, "value": pages.token("operator"), "url": pages.address}
    with visitor(browser, cookie=cookie) as context:
        page = context.new_page()
        page.goto(f"{pages.address}/review")
        expect(page.locator("#review[data-ready] .about b")).to_have_text("part 1001")
        page.locator("[name=note]").fill("at the rim")
        page.locator("[name=note]").press("Escape")
        pages.site.accounts.set_roles("operator", ["operator"], "test", via="test")  # which ends his logins
        page.keyboard.press("d")
        expect(page.locator("#notice")).to_contain_text("Sign in again")
        page.locator("#notice a").click()
        sign_in(page, "operator", PASSWORD)
        expect(page.locator("#review[data-ready] .about b")).to_have_text("part 1002")
    (label,) = read_labels(pages.site.labels)
    assert (label.part_id, label.label, label.comment) == (1001, "defective", "at the rim")
