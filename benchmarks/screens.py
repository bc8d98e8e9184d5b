"""Every page of a station that runs, in every size, light and dark: a picture a page, for the documents and to look at.

    python -m benchmarks.screens [--output docs/images/pages] [--work DIR] [--pages live,parts,...] [--language de]

The station is that of `benchmarks.peoples_days`: with --work the one that lies there since those days, else they are
gone through first. Somebody with every role looks at 390 x 844, 1280 x 800 (as a panel) and 1920 x 1080: light above,
dark below, side by side in OUTPUT/NAME.webp.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser

from benchmarks.people.first_day import integrators_day
from benchmarks.people.monday import maintenances_day
from benchmarks.people.shift import operators_day
from benchmarks.people.stand import Stand
from engines.store.store import EngineStore
from station.access.accounts import PEOPLE_ROLES
from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.browser import SIZES, chromium, visitor
from tests.bench.pages import COOKIE, HOST, PASSWORD

PAGES = {
    "live": "/live",
    "batch": "/live/batch",
    "review": "/review",
    "parts": "/parts",
    "part": "",
    "reports": "/reports",
    "report": "",
    "recipes": "/recipes",
    "setup": "/setup",
    "setup-zones": "/setup/zones",
    "setup-limits": "/setup/limits",
    "setup-what-if": "/setup/what-if?decision.reject_score=0.8",
    "setup-difference": "/setup/difference?decision.reject_score=0.8",
    "setup-settings": "/setup/settings",
    "setup-plc": "/setup/plc",
    "setup-challenge": "/setup/challenge",
    "engines": "/engines",
    "engine": "",
    "compare": "",
    "teach": "/teach",
    "health": "/health",
    "virtual": "/virtual",
    "trends": "/trends",
    "process": "/process",
    "agreement": "/agreement",
    "challenge": "/challenge",
    "second": "/second",
    "users": "/users",
    "audit": "/audit",
    "account": "/account",
    "login": "/login",
    "welcome": "/welcome",
    "error": "/nothing-of-that-name",
}
"""Name of the picture -> path; those without one depend on what the days have left."""
HEIGHT_PX = 560
"""Of each view in the picture."""
QUALITY = 45
SETTLES_MS = 1500
THEMES = ("light", "dark")
LOOKS = tuple((size, theme) for size in SIZES for theme in THEMES)
OPEN = (PAGES["login"], PAGES["welcome"])
"""Without a login."""
WHO = "anna"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images/pages"))
    parser.add_argument("--work", type=Path, help="of benchmarks.peoples_days; default: a temporary folder")
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--language", default="en", choices=("en", "de"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screens-") as temporary:
        work = options.work or Path(temporary)
        with Stand(work) as stand, chromium() as browser:
            if stand.code:
                for day in (integrators_day, operators_day, maintenances_day):
                    day(browser, stand)
            else:
                stand.bench.wait_ready()
            stand.line.is_as_new()
            stand.line.start_belt()
            if "setup-what-if" in options.pages:
                try_limits(browser, stand)
            paths = {name: PAGES[name] or path_of(name, stand) for name in options.pages.split(",")}
            views = {look: seen_with(browser, stand, look, paths, options.language) for look in LOOKS}
    for name in paths:
        rows = [np.hstack([views[size, theme][name] for size in SIZES]) for theme in THEMES]
        file = options.output / f"{name}.webp"
        cv2.imwrite(str(file), np.vstack(rows), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
        print(f"{file}: {file.stat().st_size // 1000} kB", flush=True)
    return 0


def cookie_of(stand: Stand) -> dict[str, str]:
    """The login of a person with every role."""
    accounts = accounts_of(load_station(stand.bench.config_path))
    if WHO in [user.name for user in accounts.users()]:
        token = accounts.sign_in(WHO, PASSWORD, HOST)
    else:
        token = accounts.welcome(WHO, accounts.invite(WHO, PEOPLE_ROLES, "screens", via="shell"), PASSWORD, HOST)
    return {"name": COOKIE, "value": token, "url": stand.address}


def path_of(name: str, stand: Stand) -> str:
    """Where a page of this station is whose address others do not have."""
    work = stand.bench.directory / "work"
    versions = [version.name for version in EngineStore(stand.bench.directory / "engines" / "flange").versions()]
    match name:
        case "part":
            with closing(open_reader(work / "records")) as connection:
                rejected = [row for row in parts(connection) if row.verdict == "FAIL" and row.score is not None]
            return f"/parts/{rejected[-1].session}/{rejected[-1].acquisition_id}"
        case "report":
            return f"/reports/{max((work / 'reports').glob('*.json')).stem}"
        case "engine":
            return f"/engines/{versions[-1]}"
        case "compare":
            return f"/compare?first={versions[0]}&second={versions[-1]}"
    raise SystemExit(f"no page {name}: {', '.join(PAGES)}")


def try_limits(browser: Browser, stand: Stand) -> None:
    """A what-if to look at: it lives as long as the pages do."""
    with visitor(browser, cookie=cookie_of(stand)) as context:
        page = context.new_page()
        page.goto(stand.address + PAGES["setup-what-if"])
        page.get_by_role("button", name="Try it on them").click()
        page.locator("#result").wait_for()


def seen_with(
    browser: Browser, stand: Stand, look: tuple[str, str], paths: Mapping[str, str], language: str
) -> dict[str, NDArray[np.uint8]]:
    """What these pages look like in one size, light or dark."""
    size, theme = look
    found = {}
    with visitor(browser, size=size, theme=theme, language=language, cookie=cookie_of(stand)) as context:
        page = context.new_page()
        for name, path in sorted(paths.items(), key=lambda each: each[1] in OPEN):
            if path in OPEN:
                context.clear_cookies()
            page.goto(stand.address + path)
            if size == "panel":  # as [hmi] display = "panel" does
                page.evaluate("document.documentElement.dataset.display = 'panel'")
            page.wait_for_timeout(SETTLES_MS)
            image = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            found[name] = scaled(np.asarray(image, np.uint8))
    print(f"{size}, {theme}", flush=True)
    return found


def scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = round(image.shape[1] * HEIGHT_PX / image.shape[0])
    return np.asarray(cv2.resize(image, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    raise SystemExit(main())
