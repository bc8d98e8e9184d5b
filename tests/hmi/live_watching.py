"""Looking at a Live page by its own clock: what it shows at every moment, and of which part its pictures are."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.bench.browser import PATIENCE_MS
from tests.bench.waiting import wait_for
from tests.hmi.live_memory import BITS, CELL_PX

CURRENT_MS = 1500
"""People.md 6: for so long, at most, may a verdict be shown as current that is not."""
GAP_MS = 200
"""Between two looks: the page was not running, and nobody could have seen anything else."""

RECORD = """() => {
  const live = document.getElementById("live");
  window.looks = [];
  setInterval(() => window.looks.push(
    [performance.now(), live.dataset.lead, document.getElementById("word").textContent]), 20);
  return performance.now();
}"""

COMPARE = """([bits, cell, count, patience]) => new Promise((done) => {
  const end = performance.now() + patience;
  const live = document.getElementById("live");
  const found = [];
  const look = () => {
    const canvases = [...document.querySelectorAll("#views canvas")];
    if (live.dataset.part && canvases.length) {
      const numbers = canvases.map((canvas) => {
        const context = canvas.getContext("2d");
        let number = 0;
        for (let bit = 0; bit < bits; bit += 1) {
          const at = context.getImageData((bit + 0.5) * cell, cell / 2, 1, 1).data;
          if (at[0] > 128) number |= 1 << bit;
        }
        return number;
      });
      const word = document.getElementById("word").textContent;
      const last = found[found.length - 1];
      if (!last || last[0] !== live.dataset.part) found.push([live.dataset.part, word, numbers]);
      else if (last[1] !== word || String(last[2]) !== String(numbers)) found.push([live.dataset.part, word, numbers]);
    }
    if (found.length >= count || performance.now() > end) done(found);
    else requestAnimationFrame(look);
  };
  look();
})"""
"""At every frame of the browser: the id of the part, the word, and the numbers that its pictures show."""


def open_live(context: BrowserContext, address: str) -> Page:
    """The page, as soon as it begins to come: what it waits for, the test waits for."""
    page = context.new_page()
    page.goto(f"{address}/live", wait_until="commit")
    page.locator("#live").wait_for()
    return page


def wait_lead(page: Page, *kinds: str) -> None:
    """Waits until one of these leads."""
    wait_for(lambda: lead(page) in kinds, f"{kinds} to lead", PATIENCE_MS / 1000)


def lead(page: Page) -> str:
    return str(page.evaluate("document.getElementById('live').dataset.lead"))


def record(page: Page) -> float:
    """Begins to look every 20 ms; the time of the page's clock."""
    return float(page.evaluate(RECORD))


def now(page: Page) -> float:
    """The page's clock, ms."""
    return float(page.evaluate("performance.now()"))


def look_on(page: Page, since_ms: float) -> None:
    """Until it was looked so long after this moment that nothing may be shown as current any more.

    Asked of the looks and not of the clock: a page that was held up has a clock that went on and nothing seen yet.
    """
    last = "window.looks.length ? window.looks.at(-1)[0] : 0"
    wait_for(lambda: float(page.evaluate(last)) > since_ms + CURRENT_MS + 100, "looks", PATIENCE_MS / 1000)


def leads_seen(page: Page) -> tuple[list[str], float]:
    """What led, one after the other, and the longest time between two looks, ms."""
    looks = page.evaluate("window.looks")
    leads = [kind for number, (_, kind, _) in enumerate(looks) if number == 0 or kind != looks[number - 1][1]]
    return leads, max((after[0] - before[0] for before, after in pairwise(looks)), default=0.0)


def passed_as_current(page: Page, since_ms: float) -> list[Any]:
    """Moments later than allowed at which PASS was still shown as current."""
    looks = page.evaluate("window.looks")
    assert looks[-1][0] > since_ms + CURRENT_MS, "not looked long enough"
    wrong = []
    before = 0.0
    for at, kind, word in looks:
        if at > since_ms + CURRENT_MS and at - before < GAP_MS and (kind == "PASS" or word == "PASS"):
            wrong.append((at - since_ms, kind, word))
        before = at
    return wrong


def moments_of_two_parts(page: Page, count: int, patience_s: float) -> tuple[int, list[Any]]:
    """How many changes of the page were seen, and those at which its word or a picture was of another part.

    Ends after this many changes, or after this time.
    """
    found = page.evaluate(COMPARE, [BITS, CELL_PX, count, 1000 * patience_s])
    words = ("PASS", "FAIL", "REVIEW")
    wrong = [
        (part, word, numbers)
        for part, word, numbers in found
        if set(numbers) != {int(part) % (1 << BITS)} or word != words[(int(part) - 1) % 3]
    ]
    return len(found), wrong
