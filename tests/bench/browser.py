"""Debian's Chromium, driven by Playwright: it reaches the pages of the test and no other host. axe-core looks at pages.

A page that asks for anything outside of the station fails the test, and so does an error in its console.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.bench.made_once import made_once
from tests.bench.npm import npm_packages
from tests.bench.pages import HOST
from tests.bench.programs import require_program

AXE = "axe-core@4.14.1"
SIZES = {"phone": (390, 844), "panel": (1280, 800), "desktop": (1920, 1080)}
SERIOUS = ("serious", "critical")
COLOURS = ("color-contrast", "link-in-text-block")
"""Rules that look at colours: what else a page has is the same light and dark."""
PATIENCE_MS = 100_000.0
"""Far longer than a page takes: only a failure, or a machine with much else to do, waits for its end."""
ARGUMENTS = (
    "--no-sandbox",  # tests run as root in a container, with little shared memory
    "--disable-gpu",
    "--disable-dev-shm-usage",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Skips the calling test where there is none."""
    program = require_program("chromium")
    expect.set_options(timeout=PATIENCE_MS)  # its own 5 s are short for a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visitor(
    browser: Browser,
    *,
    size: str = "desktop",
    theme: str = "light",
    language: str = "en",
    cookie: dict[str, str] | None = None,
) -> Iterator[BrowserContext]:
    """Somebody with a browser of his own; `cookie`: name, value and url of his login. At the end: it asked no foreign
    host, and no script failed.
    """
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        locale=language,
        reduced_motion="reduce",
        has_touch=size != "desktop",
    )
    context.set_default_timeout(PATIENCE_MS)
    if cookie is not None:
        context.add_cookies([cookie])  # type: ignore[list-item]  # a typed dict of the library
    foreign: list[str] = []
    said: list[str] = []

    def look(request: Request) -> None:
        if urlsplit(request.url.removeprefix("blob:")).hostname != HOST:  # a blob is made by the page itself
            foreign.append(request.url)

    context.on("request", look)
    context.on("weberror", lambda error: said.append(str(error.error)))
    try:
        yield context
    finally:
        context.close()
    assert not foreign, f"the pages asked a foreign host: {foreign}"
    assert not said, f"a script failed: {said}"


def axe_source(factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, fetched once in a run. Skips without a network."""
    return made_once(factory, "axe", lambda folder: (npm_packages(folder, AXE) / "axe-core" / "axe.min.js").read_text())


def serious_findings(page: Page, axe: str, rules: Sequence[str] = (), beside: Sequence[str] | None = None) -> list[str]:
    """What axe-core finds on a page and calls serious or critical: rule and place.

    `rules`: only these. `beside`: only in elements whose place is not one of these, see `places_shown`.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)  # through the debugger, which the policy of the page does not bind
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate(_RUN, [options, beside])
    return [
        f"{rule['id']} at {node['target']}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def places_shown(page: Page) -> list[str]:
    """Where in the tree of the page the elements are that can be seen."""
    places: list[str] = page.evaluate(f"() => {{ {_SHOWN} return [...shown.keys()]; }}")
    return places


_SHOWN = """
  const shown = new Map();
  for (const each of document.querySelectorAll("body *")) {
    if (!each.checkVisibility({ visibilityProperty: true, checkVisibilityCSS: true })) continue;
    let place = each.localName;
    for (let at = each; at.parentElement; at = at.parentElement) {
      let before = 0;
      for (let one = at.previousElementSibling; one; one = one.previousElementSibling) before++;
      place += `,${before}`;
    }
    shown.set(place, each);
  }
"""
_RUN = f"""async ([options, beside]) => {{
  let where = document;
  if (beside !== null) {{
    {_SHOWN}
    for (const place of beside) shown.delete(place);
    if (!shown.size) return [];
    where = {{ include: [...shown.values()] }};
  }}
  return (await axe.run(where, options)).violations;
}}"""
