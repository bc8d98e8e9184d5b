"""What a person waits for at the pages: the first paint on a phone, a login, the next part of a review.

    python -m benchmarks.page_times [--rounds 30] [--slower 4] [--json FILE]

`station hmi` as a process of its own with 5 MP pictures on record, and Debian's Chromium. Times as the browser knows
them, from what the person did until the pixels are there:

* first paint: first contentful paint of Live and of Parts on 390 x 844 with nothing kept, the processor of the
  phone `--slower` times slower than this one;
* login: the POST alone as the pages answer it (hash of the password, cookie), and from the click to the first paint of
  the page behind it;
* review: from the key to the next part with its picture decoded and painted.

Each with its median, its p95 and its budget (docs/decisions/0027-hmi.md), and with the processor time that the pages
spend on it, which says something where other programs run, too. Times are for a machine that nothing else uses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from benchmarks.hmi_line import Served
from station.access.accounts import PEOPLE_ROLES
from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.labels.classes import DefectClass, insert_class
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer, changing
from station.line.recording.stage import Recorder, RecorderSettings
from station.results import Verdict
from station.simulation.run.processes import end_with_starter
from tests.bench.browser import chromium, visitor
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client, write_configuration
from tests.bench.sample_parts import PartMaker, textured

BUDGET_MS = {"first paint": 1000.0, "login": 200.0, "review": 150.0}
"""Of the p95."""
SHAPE = (1944, 2592, 3)
SECTION = "[review]\nblind_share = 0.0\npass_share = 0.0\nfail_share = 0.0\n"
LISTENING = """
const shown = () => document.querySelector("#review .part")?.dataset.item;
addEventListener("keydown", (event) => {
  if (event.key !== "g") return;
  const began = performance.now();
  const item = shown();
  const look = async () => {
    const image = document.querySelector("figure.view img");
    if (!image || shown() === item) { requestAnimationFrame(look); return; }
    await image.decode();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      took.push(performance.now() - began);
    }));
  };
  look();
}, true);
window.took = [];
"""
"""Runs before the script of the page: from the key to the picture of the next part."""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
TOOK = "window.took"
Times = list[float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--slower", type=float, default=4.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    end_with_starter()
    with tempfile.TemporaryDirectory(prefix="page-times-") as temporary:
        folder = Path(temporary)
        config = write_configuration(folder, SECTION)
        recorded(config, options.rounds)
        accounts = accounts_of(load_station(config))
        token = accounts.welcome("anna", accounts.invite("anna", PEOPLE_ROLES, "x", via="shell"), PASSWORD, HOST)
        found: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "slower": options.slower}
        served = Served(config)
        try:
            address = f"http://{HOST}:{served.port}"
            cookie = {"name": COOKIE, "value": token, "url": address}
            with chromium() as browser:

                def step(what: str, budget: float | None, run: Callable[[], Times]) -> None:
                    began = served.cpu_s()
                    times = run()
                    spent = {"cpu_of_the_pages_ms": round(1000 * (served.cpu_s() - began) / len(times), 1)}
                    found[what] = summary(times, budget) | spent
                    print(what, found[what], flush=True)

                rounds, slower = options.rounds, options.slower
                for name, path in (("live", "/live"), ("parts", "/parts")):
                    step(
                        f"first paint, {name}",
                        BUDGET_MS["first paint"],
                        lambda at=address + path: first_paints(browser, at, cookie, rounds, slower),  # type: ignore[misc]
                    )
                step("login, the POST", BUDGET_MS["login"], lambda: posts(served.port, rounds))
                step("login, click to paint", None, lambda: logins(browser, address, rounds))
                step(
                    "review, key to the next picture",
                    BUDGET_MS["review"],
                    lambda: reviews(browser, address, cookie, rounds),
                )
        finally:
            served.kill()
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(one.get("kept", True) for one in found.values() if isinstance(one, dict)) else 1


def recorded(config: Path, rounds: int) -> None:
    """Parts for a person to decide about, with pictures as a camera of 5 MP has them, and a class."""
    records = load_station(config).records_dir
    small = textured(1, (SHAPE[0] // 8, SHAPE[1] // 8, 3))
    picture = np.asarray(cv2.resize(small, SHAPE[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)  # as a lens draws
    make = PartMaker(pixels=lambda _: picture)
    recorder = Recorder(RecorderSettings(records, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    for number in range(1, rounds + 5):
        recorder.record(make.inspected(number, Verdict.REVIEW))
        time.sleep(0.3)  # the disk takes 15 MB each, and the queue to it is short
    if not recorder.stop(200):
        raise SystemExit("the parts were not recorded")
    with closing(open_writer(labels_beside(records))) as labels, changing(labels):
        insert_class(labels, DefectClass("scratch", "minor", None, 1), Reviewer("quinn", "quality"))


def first_paints(browser: Browser, address: str, cookie: dict[str, str], rounds: int, slower: float) -> Times:
    """ms, each time in a browser that has kept nothing."""
    found = []
    for _ in range(rounds):
        with visitor(browser, size="phone", cookie=cookie) as context:
            page = context.new_page()
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
            page.goto(address)
            found.append(painted(page))
    return found


def painted(page: Page) -> float:
    """ms from the begin of the navigation."""
    for _ in range(500):
        if (at := asked(page, PAINT)) is not None:
            return float(at)
        page.wait_for_timeout(20)
    raise SystemExit(f"{page.url}: nothing was painted")


def asked(page: Page, script: str) -> Any:
    """What the page says; None while another one takes its place."""
    with suppress(PlaywrightError):
        return page.evaluate(script)
    return None


def posts(port: int, rounds: int) -> Times:
    """ms of the pages' answer to a right password."""
    found = []
    for _ in range(rounds):
        client = Client(port)
        form = client.get("/login").text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
        began = time.perf_counter()
        got = client.post("/login", {**fields, "name": "anna", "password": PASSWORD})
        found.append(1000 * (time.perf_counter() - began))
        if got.status != 303:
            raise SystemExit(f"login: {got.status} {got.text[:500]}")
    return found


def logins(browser: Browser, address: str, rounds: int) -> Times:
    """ms from the click to the first paint of the page behind it."""
    found = []
    for _ in range(rounds):
        with visitor(browser) as context:
            page = context.new_page()
            page.goto(f"{address}/login?next=/parts")
            page.get_by_label("Name").fill("anna")
            page.get_by_label("Password").fill(PASSWORD)
            began = page.evaluate("Date.now()")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/parts")
            at = painted(page)
            found.append(page.evaluate("performance.timeOrigin") + at - began)
    return found


def reviews(browser: Browser, address: str, cookie: dict[str, str], rounds: int) -> Times:
    """ms from the key that decides to the picture of the next part."""
    with visitor(browser, cookie=cookie) as context:
        page = context.new_page()
        page.add_init_script(LISTENING)
        page.goto(f"{address}/review")
        for number in range(rounds):
            page.locator("#review[data-ready] figure.view img").first.wait_for()
            page.wait_for_timeout(400)  # a person looks; meanwhile the next two parts are loaded
            page.keyboard.press("g")
            for _ in range(500):
                if (asked(page, f"{TOOK}.length") or 0) > number:
                    break
                page.wait_for_timeout(20)
        times: Times = page.evaluate(TOOK)
    return [float(one) for one in times]


def summary(times: Sequence[float], budget: float | None) -> dict[str, Any]:
    """Of times in ms; `kept`: whether the p95 is within the budget."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    found = {"n": len(ordered), "median_ms": round(statistics.median(ordered), 1), "p95_ms": round(p95, 1)}
    return found if budget is None else found | {"budget_ms": budget, "kept": p95 <= budget}


if __name__ == "__main__":
    raise SystemExit(main())
