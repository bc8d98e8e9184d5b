"""The operator's shift at the panel: watch, see to an alarm, review by key and by finger, the challenge test."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from benchmarks.people.first_day import LONG_MS, person, sign_in
from benchmarks.people.hands import Day, Hands
from benchmarks.people.stand import Stand, picture
from tests.bench.waiting import wait_for

REVIEWED = 10
DEFECTIVE = (3, 7)
"""Of the ten, which somebody finds defective."""


def operators_day(browser: Browser, stand: Stand) -> Day:
    """The belt runs before and after."""
    day = Day("the operator's shift")
    stand.line.bring(90)
    stand.line.start_belt()
    with person(browser, stand, day) as otto:
        with day.step("sign in", no_shell=True):
            sign_in(otto, stand, "otto")
        watch(otto, day)
        alarm(otto, stand, day)
        by_key(otto, day)
    with person(browser, stand, day, size="panel", theme="dark") as otto:
        with day.step("sign in at the panel", no_shell=True):
            sign_in(otto, stand, "otto")
        by_finger(otto, day)
        challenge(otto, stand, day)
    stand.line.start_belt()
    return day


def watch(otto: Hands, day: Day) -> None:
    """The newest verdict, and a rejected part looked at while the line goes on."""
    page = otto.page
    with day.step(
        "watch: is the line good? What was wrong with the last reject?",
        "station status",
        "station parts --verdict fail",
        "station show 1012 --output part.png",
        "xdg-open part.png",
    ):
        otto.bar("Live")
        expect(page.locator("#word")).to_have_text("PASS", timeout=LONG_MS)
        page.locator("#live[data-lead=FAIL]").wait_for(timeout=LONG_MS)
        page.locator("#strip").hover()  # it stands still under a mouse
        otto.click(page.locator("#strip .tile.FAIL").first)
        expect(page.locator("#word")).to_have_text("HELD", timeout=LONG_MS)
        expect(page.locator("#last")).to_contain_text("FAIL")


def alarm(otto: Hands, stand: Stand, day: Day) -> None:
    """The cable of the camera is pulled and put back."""
    page = otto.page
    shell = ("station status", "station status")
    with day.step("an alarm: read what to do, see the station come back, acknowledge", *shell):
        stand.bench.scene.lose_device()
        expect(page.locator("#live")).to_have_attribute("data-lead", "CAMERA", timeout=LONG_MS)
        expect(page.locator("#needs")).to_contain_text("cable of the camera")
        stand.bench.scene.restore_device()
        expect(page.locator("#live")).not_to_have_attribute("data-lead", "CAMERA", timeout=LONG_MS)
        otto.button("Seen")
        expect(page.locator("#nothing")).to_be_visible(timeout=LONG_MS)


def by_key(otto: Hands, day: Day) -> None:
    """Ten parts with G and D."""
    with day.step("review ten parts by keyboard", *in_a_shell()):
        otto.bar("Review")
        for number in range(REVIEWED):
            about = shown(otto)
            otto.press("d" if number in DEFECTIVE else "g")
            otto.page.locator("#review[data-ready] .about b", has_not_text=about).wait_for()


def by_finger(otto: Hands, day: Day) -> None:
    """Ten parts with the large buttons."""
    with day.step("review ten parts by touch", *in_a_shell()):
        otto.bar("Review")
        for number in range(REVIEWED):
            about = shown(otto)
            otto.button("DEFECTIVE" if number in DEFECTIVE else "GOOD", exact=False)
            otto.page.locator("#review[data-ready] .about b", has_not_text=about).wait_for()


def shown(otto: Hands) -> str:
    """The part that is to be decided now."""
    return otto.page.locator("#review[data-ready] .about b").inner_text(timeout=LONG_MS)


def in_a_shell() -> list[str]:
    """The list, and of each part its picture and a label."""
    words = ["defective" if number in DEFECTIVE else "good" for number in range(REVIEWED)]
    of_parts = [
        line
        for number, word in enumerate(words, start=1012)
        for line in (f"station show {number} --output part.png", "xdg-open part.png", f"station label {number} {word}")
    ]
    return ["station parts --verdict review", *of_parts]


def challenge(otto: Hands, stand: Stand, day: Day) -> None:
    """Three master parts, put on one after the other."""
    page = otto.page
    masters = {"scratch": picture(9001, "scratch"), "stain": picture(9002, "stain"), "good part": picture(9003)}
    with day.step("challenge test with three master parts", "station challenge start", "station challenge status",
                  "station challenge confirm", "station challenge status", "station challenge confirm",
                  "station challenge status", "station challenge confirm", "station challenge status"):  # fmt: skip
        stand.line.stop_belt()
        otto.bar("Maintenance")
        otto.button("Start a test")
        for name, master in masters.items():
            expect(page.locator(".guide .huge")).to_have_text(name, timeout=LONG_MS)
            otto.button("It is on")
            wait_for(lambda: stand.bench.plc.ready, "TriggerReady")
            stand.bench.part(master)
        expect(page.locator(".guide .huge")).to_contain_text("PASSED", timeout=LONG_MS)
