"""What a person does in a browser, counted: clicks, keys, and what the machine let him wait.

Everything is found as a person finds it, by the words on the page; nothing is asked of the station behind its back.
The time that hands need is not measured but computed, for pages and for the shell alike, by the keystroke-level model
(Card, Moran, Newell 1980): 0.28 s a key, 1.3 s to point and click, 1.35 s to think before each step of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page

KEY_S, POINT_S, THINK_S = 0.28, 1.3, 1.35


@dataclass
class Step:
    """One thing that a person wants done."""

    what: str
    shell: tuple[str, ...] | None
    """What he types today in place of it, a line each; None: a shell cannot do it."""
    clicks: int = 0
    """Of the mouse, or touches."""
    keys: int = 0
    waited_s: float = 0.0
    """From the first click to the end, as the browser had it, with a person who never stops to think."""

    def as_json(self) -> dict[str, Any]:
        """With what hands need, on the pages and in a shell; line feeds count as keys."""
        shell = None
        if self.shell is not None:
            keys = sum(len(line) + 1 for line in self.shell)
            shell = {"lines": len(self.shell), "keys": keys, "hands_s": _s(KEY_S * keys + THINK_S * len(self.shell))}
        thinks = 1 if self.keys + self.clicks else 0
        hands_s = _s(KEY_S * self.keys + POINT_S * self.clicks + THINK_S * thinks)
        counted = {key: value for key, value in asdict(self).items() if key not in ("shell", "waited_s")}
        return {**counted, "hands_s": hands_s, "machine_s": _s(self.waited_s), "shell": shell}


@dataclass
class Day:
    """Of one person or group."""

    name: str
    steps: list[Step] = field(default_factory=list)
    says: dict[str, float] = field(default_factory=dict)
    """What the line did meanwhile: shares of parts."""

    @contextmanager
    def step(self, what: str, *shell: str, no_shell: bool = False) -> Iterator[Step]:
        """Everything counted until the end of the block belongs to it."""
        step = Step(what, None if no_shell else shell)
        self.steps.append(step)
        start = time.monotonic()
        yield step
        step.waited_s = time.monotonic() - start
        print(f"{self.name}: {what}: {step.waited_s:.1f} s", flush=True)

    @property
    def now(self) -> Step:
        """The step that is being done."""
        return self.steps[-1]


class Hands:
    """One person at one browser."""

    def __init__(self, page: Page, day: Day, *, touches: bool = False) -> None:
        self.page = page
        self._day = day
        self._touches = touches

    def open(self, address: str) -> None:
        """Types the one address that a person has to know."""
        self._day.now.keys += len(address) + 1
        self.page.goto(address)

    def click(self, place: Locator) -> None:
        """Or touches."""
        self._day.now.clicks += 1
        if self._touches:
            place.tap()
        else:
            place.click()

    def link(self, name: str, *, within: Locator | None = None) -> None:
        """By its words."""
        self.click((within or self.page).get_by_role("link", name=name, exact=True).first)

    def button(self, name: str, *, exact: bool = True) -> None:
        """By its words."""
        self.click(self.page.get_by_role("button", name=name, exact=exact).last)

    def bar(self, name: str) -> None:
        """A page of the bar that every page has."""
        self.link(name, within=self.page.get_by_role("navigation", name="Pages"))

    def tab(self, group: str, name: str) -> None:
        """A page of set-up or maintenance."""
        self.link(name, within=self.page.get_by_role("navigation", name=group, exact=True))

    def type(self, label: str, text: str, *, nth: int = -1, within: Locator | None = None) -> None:
        """Into the field with this label: one click, then its keys."""
        place = (within or self.page).get_by_label(label, exact=True).nth(nth)
        self._day.now.clicks += 1
        self._day.now.keys += len(text)
        place.fill(text)

    def choose(self, label: str, option: str) -> None:
        """From a list: open it, take one."""
        self._day.now.clicks += 2
        self.page.get_by_label(label).last.select_option(option)

    def press(self, key: str) -> None:
        """One key."""
        self._day.now.keys += 1
        self.page.keyboard.press(key)

    def drag(self, place: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Across a picture, in shares of it: as a click at either end."""
        self._day.now.clicks += 2
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        assert box is not None
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=5)
        self.page.mouse.up()


def _s(seconds: float) -> float:
    return round(seconds, 1)
