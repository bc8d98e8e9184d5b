"""Every page of a station that runs, in every size, light and dark: one picture per page, to be looked at.

    python -m benchmarks.screens OUTPUT [--work DIR] [--pages live,parts,...] [--language de]

Starts `station demo --keep` in --work, which teaches an engine and goes on; signs in as somebody with every role, and
takes each page at 390 x 844, 1280 x 800 and 1920 x 1080, light and dark, side by side in OUTPUT/NAME.jpg.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser

from station.access.accounts import PEOPLE_ROLES
from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.browser import SIZES, chromium, visitor
from tests.bench.pages import COOKIE, HOST, PASSWORD

PAGES = {
    "live": "/live",
    "review": "/review",
    "parts": "/parts",
    "part": "",
    "reports": "/reports",
    "setup": "/setup",
    "zones": "/setup/zones",
    "limits": "/setup/limits",
    "what-if": "/setup/what-if?decision.reject_score=0.7",
    "settings": "/setup/settings",
    "engines": "/engines",
    "teach": "/teach",
    "health": "/health",
    "challenge": "/challenge",
    "users": "/users",
    "audit": "/audit",
    "account": "/account",
}
"""Name of the picture -> path; that of the part is the newest reject."""
HEIGHT_PX = 620
"""Of each view in the picture."""
QUALITY = 72
START_S = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--work", type=Path, help="default: a temporary folder")
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--language", default="en", choices=("en", "de"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary) / "work"
        with running(work) as address, chromium() as browser:
            cookie = {"name": COOKIE, "value": signed_in(work), "url": address}
            for name in options.pages.split(","):
                path = PAGES[name] or newest_reject(work)
                picture = page_in_all_sizes(browser, address + path, cookie, options.language)
                file = options.output / f"{name}.jpg"
                cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                print(f"{file}: {file.stat().st_size // 1000} kB", flush=True)
    return 0


@contextmanager
def running(work: Path) -> Iterator[str]:
    """A demo that goes on; the address of its pages."""
    command = [sys.executable, "-m", "station", "demo", "--keep", "--parts", "24", "--rate", "2", "--work", str(work)]
    output = work.with_suffix(".output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        end = time.monotonic() + START_S
        while (found := re.search(r"look at it at (http://\S+?)/live", output.read_text())) is None:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the demo did not start:\n{output.read_text()[-3000:]}")
            time.sleep(1)
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def signed_in(work: Path) -> str:
    """The login of a person with every role."""
    station = load_station(work / "station.toml")
    accounts = accounts_of(station)
    code = accounts.invite("anna", PEOPLE_ROLES, "screens", via="shell")
    return accounts.welcome("anna", code, PASSWORD, HOST)


def newest_reject(work: Path) -> str:
    with closing(open_reader(work / "records")) as connection:
        rejected = [row for row in parts(connection) if row.verdict == "FAIL"]
    return f"/parts/{rejected[-1].session}/{rejected[-1].acquisition_id}"


def page_in_all_sizes(browser: Browser, address: str, cookie: dict[str, str], language: str) -> NDArray[np.uint8]:
    """Light above, dark below."""
    rows = []
    for theme in ("light", "dark"):
        views = []
        for size in SIZES:
            with visitor(browser, size=size, theme=theme, language=language, cookie=cookie) as context:
                page = context.new_page()
                page.goto(address)
                page.wait_for_timeout(1500)
                image = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
                assert image is not None
                views.append(scaled(np.asarray(image, np.uint8)))
        rows.append(np.hstack(views))
    return np.vstack(rows)


def scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = round(image.shape[1] * HEIGHT_PX / image.shape[0])
    return np.asarray(cv2.resize(image, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    raise SystemExit(main())
