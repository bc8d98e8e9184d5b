"""Maintenance's Monday: rejects climb, as the lamp has aged. A new one; then refresh, compare, activate, go back."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from benchmarks.people.first_day import LONG_MS, TEACHING_MS, person, sign_in
from benchmarks.people.hands import Day, Hands
from benchmarks.people.stand import Stand
from station.simulation.parts.ageing import Ageing, Kind
from tests.bench.pages import PASSWORD

LAMP = Ageing(Kind.LAMP, 0.3)
"""Of the light that the first engine has learned, by the last of these parts."""
FRIDAY, WEEKEND, MONDAY, AFTER = 60, 160, 60, 220
"""Parts as they were taught; while the lamp gets weaker; with the lamp as weak as that; and with a new one."""
CLIMBED = 3.0
"""At least that many times as many parts are rejected then."""


def maintenances_day(browser: Browser, stand: Stand) -> Day:
    """The lamp gets weaker from part to part, and rejects climb, until somebody does something about it."""
    day = Day("maintenance's Monday")
    stand.line.bring(FRIDAY)
    before = stand.not_passed(FRIDAY)
    stand.line.ages(LAMP, over=WEEKEND)
    stand.line.bring(WEEKEND + MONDAY)
    day.says["rejected as taught"] = before
    day.says["rejected with the old lamp"] = after = stand.not_passed(MONDAY)
    assert after > CLIMBED * before, f"rejects do not climb: {before:.0%}, {after:.0%}"
    with person(browser, stand, day) as mara:
        with day.step("sign in", no_shell=True):
            sign_in(mara, stand, "mara")
        why(mara, day)
        stand.line.is_as_new()
        stand.line.bring(AFTER)  # what a refresh learns from: of the weeks before hardly a part is known to be good
        day.says["rejected with a new lamp"] = again = stand.not_passed(MONDAY)
        assert again < after / CLIMBED, f"rejects stay: {after:.0%}, {again:.0%} with a new lamp"
        refresh(mara, day)
        compare(mara, day)
        activate(mara, stand, day)
        day.says["rejected by the new engine"] = stand.not_passed(MONDAY)
        roll_back(mara, stand, day)
    return day


def why(mara: Hands, day: Day) -> None:
    """Health says the reason, its parts how dark they are, a report since when."""
    page = mara.page
    parts = [line for n in (1210, 1214, 1221) for line in (f"station show {n} --output p.png", "xdg-open p.png")]
    with day.step(
        "why do rejects climb: health, three rejected parts, a report",
        "station status",
        "station monitoring",
        "station counts --by hour",
        "station counts --by reason",
        "station report --since 8h",
        "xdg-open report.html",
        "station parts --verdict fail --since 8h",
        *parts,
    ):
        mara.bar("Maintenance")
        mara.tab("Maintenance", "Health")
        lamp = page.locator("table").filter(has_text="First reason").get_by_role("link", name=re.compile("^lamp: "))
        expect(lamp).to_be_visible()
        mara.click(lamp)
        expect(page.locator("table.parts")).to_contain_text(re.compile(r"mean grey \d+.*, taught \d+"))
        mara.click(page.locator("table.parts a").first)
        for _ in range(2):
            mara.link("Older →")
        mara.bar("Reports")
        mara.click(page.get_by_label("a period", exact=True))
        mara.type("From", "8h")
        mara.button("Make")
        done = page.get_by_role("link", name="Show the report")
        done.wait_for(timeout=LONG_MS)
        mara.click(done)
        expect(page.locator("main")).to_contain_text("lamp: ", timeout=LONG_MS)


def refresh(mara: Hands, day: Day) -> None:
    """A candidate from the newest parts."""
    page = mara.page
    with day.step("refresh: a candidate from the newest parts", "station refresh --parts 200"):
        mara.bar("Maintenance")
        mara.tab("Maintenance", "Teach")
        mara.choose("Newest parts", "200")
        mara.button("Refresh")
        look, problem = page.get_by_role("link", name="Look at candidate"), page.locator("#work .bad")
        look.or_(problem).first.wait_for(timeout=TEACHING_MS)
        assert not problem.is_visible(), f"the refresh has failed: {problem.inner_text()}"
        mara.click(look)
        page.get_by_role("heading", name="Engine 2").wait_for()


def compare(mara: Hands, day: Day) -> None:
    """Verified, and beside the active one on the same parts."""
    page = mara.page
    with day.step("verify, and compare with the active one", "station engine verify 2", "station engine compare 1 2",
                  "xdg-open comparison.html"):  # fmt: skip
        mara.button("Verify")
        expect(page.locator("#work")).to_contain_text("Hashes and golden images agree.", timeout=LONG_MS)
        mara.link("Compare with the active one")
        mara.button("Compare")
        expect(page.locator("table.compared")).to_be_visible(timeout=LONG_MS)


def activate(mara: Hands, stand: Stand, day: Day) -> None:
    """With a reason and the password; the line goes on with it."""
    page = mara.page
    with day.step("activate it", 'station engine activate 2 --why "weekly refresh"'):
        mara.click(page.get_by_role("link", name="To activating"))
        mara.type("Why", "weekly refresh")
        mara.type("Your own password", PASSWORD)
        mara.click(page.get_by_role("button", name="Activate 2"))
        expect(page.locator(".active-engine h2")).to_contain_text("2", timeout=LONG_MS)
    stand.bench.wait_ready()
    stand.line.bring(MONDAY)


def roll_back(mara: Hands, stand: Stand, day: Day) -> None:
    """To the one before."""
    page = mara.page
    with day.step("go back to the one before", 'station engine rollback --why "as before"'):
        mara.click(page.locator("summary", has_text="Go back to 1"))
        mara.type("Why", "as before")
        mara.type("Your own password", PASSWORD)
        mara.button("Go back to 1")
        expect(page.locator(".active-engine h2")).to_contain_text("1", timeout=LONG_MS)
    stand.bench.wait_ready()
