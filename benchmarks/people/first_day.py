"""From a fresh installation to a line that inspects: accounts, the first engine, light, zones, limits, recipe, PLC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from benchmarks.people.hands import Day, Hands
from benchmarks.people.stand import Stand, picture
from tests.bench.browser import visitor
from tests.bench.pages import PASSWORD

LONG_MS, TEACHING_MS = 120_000, 1_200_000
PEOPLE = {"otto": "operator", "ina": "integrator", "mara": "maintenance"}
EDIT = ("sudoedit /etc/station/recipes/flange.toml",)
TAKE_UP = ("station check", "station reload")


@contextmanager
def person(browser: Browser, stand: Stand, day: Day, *, size: str = "desktop", theme: str = "light") -> Iterator[Hands]:
    """Somebody at a browser of his own, which has no login yet; where he gets stuck, stuck.png shows what he saw."""
    with visitor(browser, size=size, theme=theme) as context:
        page = context.new_page()
        page.set_default_timeout(LONG_MS)
        try:
            yield Hands(page, day, touches=size != "desktop")
        except Exception:
            page.screenshot(path=stand.bench.directory.parent / "stuck.png")
            raise


def first_password(hands: Hands, stand: Stand, name: str, code: str) -> None:
    """With the one-time code, which a person gets on paper."""
    hands.open(f"{stand.address}/welcome")
    hands.type("Name", name)
    hands.type("One-time code", code)
    hands.type("New password, at least 10 letters", PASSWORD)
    hands.type("Once more", PASSWORD)
    hands.button("Save and sign in")
    hands.page.get_by_role("navigation", name="Pages").wait_for()


def sign_in(hands: Hands, stand: Stand, name: str) -> None:
    """Leads to Live."""
    hands.open(stand.address)
    hands.link("Sign in")
    hands.type("Name", name)
    hands.type("Password", PASSWORD)
    hands.button("Sign in")
    hands.page.get_by_role("navigation", name="Pages").wait_for()


def save(hands: Hands, why: str) -> None:
    """The end of every change of settings: why, the password once more, and the station takes it up."""
    hands.type("Why", why)
    hands.type("Your own password", PASSWORD)
    hands.button("Save and take up")
    expect(hands.page.get_by_role("status")).to_contain_text("the station uses it", timeout=LONG_MS)


def accounts(browser: Browser, stand: Stand, day: Day) -> dict[str, str]:
    """The first admin, and three people; name to one-time code."""
    codes: dict[str, str] = {}
    with person(browser, stand, day) as admin:
        with day.step("first account, with the code that the installation has printed", no_shell=True):
            first_password(admin, stand, "admin", stand.code)
        with day.step(
            "three people with a role each", *(f"station user add {n} --role {r}" for n, r in PEOPLE.items())
        ):
            admin.link("admin")
            admin.link("People")
            for name, role in PEOPLE.items():
                form = admin.page.locator("form").filter(has_text="Add a person")
                admin.type("Name", name, within=form)
                admin.click(form.get_by_label(role, exact=True))
                admin.type("Your own password", PASSWORD, within=form)
                admin.button("Add")
                shown = admin.page.get_by_role("status")
                expect(shown).to_contain_text(f"Code for {name}")
                codes[name] = shown.locator(".big").inner_text()
    return codes


def integrators_day(browser: Browser, stand: Stand) -> Day:
    """Everything of the first day; the belt runs at its end."""
    day = Day("the integrator's first day")
    codes = accounts(browser, stand, day)
    with person(browser, stand, day) as ina:
        with day.step("own password", no_shell=True):
            first_password(ina, stand, "ina", codes["ina"])
        camera(ina, stand, day)
        with person(browser, stand, day) as mara:
            first_engine(mara, stand, day, codes["mara"])
        zones(ina, day)
        limits(ina, stand, day)
        recipe(ina, day)
        plc(ina, stand, day)
    with person(browser, stand, day) as otto, day.step("the operator's own password", no_shell=True):
        first_password(otto, stand, "otto", codes["otto"])
    return day


def camera(ina: Hands, stand: Stand, day: Day) -> None:
    """Light and focus with test pictures, off line, so that they are no parts."""
    page = ina.page
    with day.step(
        "camera: a test picture, light and focus looked at, another exposure",
        "station offline",
        "station camera grab --producer /opt/vendor/producer.cti --output grabbed",
        "xdg-open grabbed/0001.png",
        *EDIT,
        "[cameras.top]",
        "exposure_time_us = 450.0",
        *TAKE_UP,
        "station online",
    ):
        go_off_line(ina)
        ina.bar("Setup")
        with jogged(stand):
            ina.button("Trigger test")
            expect(page.locator("#trial-said")).to_contain_text("test picture taken after", timeout=LONG_MS)
        expect(page.locator("#light-said")).not_to_be_empty()
        ina.type("Exposure, µs", "450")
        ina.button("See the difference")
        save(ina, "less blur")
        ina.bar("Live")
        ina.button("Go on line")
        expect(page.locator("#asked")).to_contain_text("done")


@contextmanager
def jogged(stand: Stand) -> Iterator[None]:
    """Somebody moves a part through the light barrier, to and fro, until the end of the block."""
    ends = threading.Event()

    def jog() -> None:
        while not ends.wait(0.3):
            stand.bench.scene.pulse_line1()

    stand.bench.scene.show(picture(1), 1)
    thread = threading.Thread(target=jog, name="jog")
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def go_off_line(hands: Hands) -> None:
    """On Live; nothing to do where the station is off line already."""
    hands.bar("Live")
    hands.page.locator("#online:visible, #offline:visible").first.wait_for()
    if hands.page.locator("#offline").is_visible():
        hands.button("Go off line")
        expect(hands.page.locator("#asked")).to_contain_text("done")


def first_engine(mara: Hands, stand: Stand, day: Day, code: str) -> None:
    """Taught from the line by maintenance, looked at, activated."""
    page = mara.page
    with day.step("maintenance: own password", no_shell=True):
        first_password(mara, stand, "mara", code)
    with day.step(
        "the first engine: 60 parts collected, one left out, taught, looked at, activated",
        "station teach --parts 60 --output /var/lib/station/taught/first",
        "xdg-open /var/lib/station/taught/first/dossier/dossier.html",
        "sudo -u station station engine import /var/lib/station/taught/first",
        'sudo -u station station engine activate latest --why "the first one"',
    ):
        mara.bar("Maintenance")
        mara.tab("Maintenance", "Teach")
        mara.link("Collected from the line")
        mara.choose("Next parts", "60")
        mara.button("Collect")
        expect(page.locator("#work")).to_contain_text("collecting parts from the line")
        stand.line.bring(60)
        expect(page.locator("#work")).to_have_count(0, timeout=LONG_MS)
        expect(page.locator(".tile")).to_have_count(60, timeout=LONG_MS)
        mara.click(page.locator(".tile label").first)
        mara.button("Teach from these")
        look = page.get_by_role("link", name="Look at candidate")
        look.wait_for(timeout=TEACHING_MS)
        mara.click(look)
        mara.type("Why", "the first one")
        mara.type("Your own password", PASSWORD)
        mara.click(page.get_by_role("button", name="Activate 1"))
        expect(page.locator(".active-engine")).to_contain_text("ACTIVE", timeout=LONG_MS)
    stand.bench.wait_ready()
    stand.line.bring(40)


def zones(ina: Hands, day: Day) -> None:
    """A rectangle that counts for nothing."""
    page = ina.page
    block = (
        "[[decision.zones]]",
        'name = "bore"',
        "ignore = true",
        "polygon = [[0.43, 0.43], [0.57, 0.43], [0.57, 0.57], [0.43, 0.57]]",
    )
    with day.step("a zone: what lies in the bore counts for nothing", *EDIT, *block, *TAKE_UP,
                  "station check --picture zones.png", "xdg-open zones.png"):  # fmt: skip
        ina.bar("Setup")
        ina.tab("Set-up", "Zones")
        page.locator("#zones[data-ready]").wait_for()
        ina.button("New rectangle")
        ina.drag(page.get_by_role("application", name="Outlines of the zones"), (0.43, 0.43), (0.57, 0.57))
        ina.type("Name", "bore")
        ina.click(page.get_by_label("Ignore what lies in it").first)
        ina.button("See the difference")
        save(ina, "the bore is drilled later")


def limits(ina: Hands, stand: Stand, day: Day) -> None:
    """Another limit: first what it would have meant."""
    page = ina.page
    stand.bench.wait_ready()
    stand.line.bring(40)
    with day.step(
        "another reject limit: what it would have meant, then saved",
        "station what-if --set decision.reject_score=0.6",
        "station show 1012 --output part.png",
        "xdg-open part.png",
        *EDIT,
        "[decision]",
        "reject_score = 0.6",
        *TAKE_UP,
    ):
        ina.tab("Set-up", "Limits")
        field = page.locator('input[name="decision.reject_score"]')
        ina.click(field)
        field.fill("0.6")
        day.now.keys += 3
        ina.button("What if?")
        ina.button("Try it on them")
        expect(page.locator("#result")).to_contain_text("parts decided again", timeout=LONG_MS)
        ina.link("On to saving")
        save(ina, "fewer false rejects")


def recipe(ina: Hands, day: Day) -> None:
    """Another product and back."""
    page = ina.page
    shell = ("station recipe list", "station recipe select flange-export", "station recipe select flange")
    with day.step("another recipe, and back", *shell):
        for name, before in (("flange-export", "flange"), ("flange", "flange-export")):
            ina.link(before, within=page.get_by_role("banner"))
            ina.button(f"Change to {name}")
            expect(page.get_by_role("status").first).to_contain_text(f"{name} is active", timeout=LONG_MS)


def plc(ina: Hands, stand: Stand, day: Day) -> None:
    """Every point while a part passes."""
    page = ina.page
    stand.bench.wait_ready()
    with day.step("PLC test: watch the points while a part passes", "station plc monitor"):
        ina.bar("Setup")
        ina.tab("Set-up", "PLC points")
        row = page.get_by_role("row").filter(has=page.get_by_text("PartId", exact=True)).first
        before = row.locator(".value").inner_text()
        stand.line.bring(2)
        expect(row.locator(".value")).not_to_have_text(before)


__all__ = ["LONG_MS", "PEOPLE", "Page", "integrators_day", "person", "save", "sign_in"]
