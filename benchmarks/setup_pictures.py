"""Pictures of the pages of set-up for the documents: a station with a few rendered parts, its pages, and a browser.

    python -m benchmarks.setup_pictures [--output docs/images] [--all]

`--all`: every page in every size, light and dark, to be looked at. Needs Chromium.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page

from station.configuration.load import load
from station.labels.labels import decide
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.records.parts import parts
from station.records.schema import open_reader
from station.results import Pixels
from station.simulation.parts.rendered import render
from tests.bench.bench import HEIGHT, WIDTH, Bench
from tests.bench.browser import SIZES, chromium, visitor
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for

SEED, SCALE = 5, 3
PARTS = 36
QUALITY = 60
MORE = """
[[decision.zones]]
name = "bore"
polygon = [[0.42, 0.40], [0.58, 0.40], [0.58, 0.60], [0.42, 0.60]]
ignore = true

[[decision.zones]]
name = "rim"
polygon = [[0.20, 0.12], [0.80, 0.12], [0.80, 0.26], [0.20, 0.26]]
fail_length_mm = 2.0

[challenge]
shifts = ["06:00", "14:00", "22:00"]

[[challenge.parts]]
name = "M-01 scratch 3 mm"

[[challenge.parts]]
name = "M-02 hole missing"

[[challenge.parts]]
name = "M-03 good part"
expected = "pass"
"""
WHAT_IF = "/setup/what-if?decision.reject_score=0.62&decision.review_score=0.45"
PAGES = {
    "cameras": "/setup",
    "zones": "/setup/zones",
    "limits": "/setup/limits?decision.reject_score=0.62&decision.review_score=0.45",
    "what-if": WHAT_IF,
    "difference": WHAT_IF.replace("what-if", "difference"),
    "settings": "/setup/settings",
    "plc": "/setup/plc",
    "challenge": "/setup/challenge",
}
KEPT = {
    "cameras": ("panel", "light"),
    "zones": ("desktop", "dark"),
    "limits": ("phone", "light"),
    "what-if": ("panel", "dark"),
    "difference": ("phone", "dark"),
}
"""What stands in the documents."""


def picture(number: int) -> Pixels:
    """A part: most are good, the others more or less scratched or dented."""
    good = render(SEED)
    shown = good.astype(np.float32)
    if number % 3 == 2:
        defect = render(SEED, ("scratch", "dent", "missing_hole")[number // 3 % 3]).astype(np.float32)
        shown += (0.25 + 0.075 * (number % 10)) * (defect - good)
    noise = np.random.default_rng(number).normal(0, 2 + number % 4, shown.shape[:2])
    grey = shown.mean(axis=2) + noise
    grey = grey[45:403]  # as wide as the sensor is
    small = cv2.resize(np.clip(grey, 0, 255).astype(np.uint8), (WIDTH * SCALE, HEIGHT * SCALE))
    return np.asarray(small, np.uint8)


@contextmanager
def stand(folder: Path) -> Iterator[tuple[Bench, PagesProcess]]:
    """A station that has judged `PARTS` parts, some of them labelled, and its pages."""
    slow: dict[str, Any] = {
        "station__deadline_ms": 10_000,
        "camera__no_frame_ms": 10_000,
        "records__pass_image_share": 1.0,
    }
    with Bench(folder, with_engine=False, cameras={"top": {"scale": SCALE}}, **slow) as bench:
        write_small_engine(bench.engine_path, width=WIDTH * SCALE, height=HEIGHT * SCALE, reference=picture(0))
        bench.config_path.write_text(bench.config_path.read_text() + MORE)
        bench.start()
        for number in range(PARTS):
            bench.part(picture(number))
        wait_for(lambda: len(bench.rows()) == PARTS, "the parts on record")
        records = load(bench.config_path).records_dir
        with closing(open_reader(records)) as connection, closing(open_writer(labels_beside(records))) as labels:
            for row in list(parts(connection)):
                word = "defective" if row.acquisition_id % 3 == 0 and row.score and row.score > 0.6 else "good"
                if row.acquisition_id % 2:
                    decide(labels, row, "defective" if word == "defective" else "good", Reviewer("quinn", "quality"))
        pages = PagesProcess(bench.config_path)
        try:
            yield bench, pages
        finally:
            pages.end()


def prepare(name: str, page: Page, bench: Bench) -> None:
    """What a person would have done before he looks."""
    if name == "cameras":
        for number in range(8):
            bench.part(picture(number))
            page.wait_for_timeout(600)
    elif name == "zones":
        page.locator("#zones[data-ready]").wait_for()
        page.locator(".choose").nth(1).click()
    elif name == "what-if" and page.locator("#result").count() == 0:
        page.locator(".start button").click()
        page.locator("#result").wait_for()
    page.wait_for_timeout(700)


def shoot(browser: Browser, bench: Bench, pages: PagesProcess, name: str, look: tuple[str, str]) -> bytes:
    """The page as PNG."""
    size, theme = look
    with visitor(browser, size=size, theme=theme, cookie=pages.cookie("integrator")) as context:
        page = context.new_page()
        page.goto(pages.address + PAGES[name])
        prepare(name, page, bench)
        return page.screenshot(full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    every = [(name, (size, theme)) for name in PAGES for size in SIZES for theme in ("light", "dark")]
    wanted = every if options.all else list(KEPT.items())
    with tempfile.TemporaryDirectory() as folder, stand(Path(folder)) as (bench, pages), chromium() as browser:
        for name, look in wanted:
            png = np.frombuffer(shoot(browser, bench, pages, name, look), np.uint8)
            image = fitted(np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8))
            done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            assert done
            suffix = "-".join(("", *look)) if options.all else ""
            (options.output / f"hmi-setup-{name}{suffix}.jpg").write_bytes(jpeg.tobytes())
            print(f"{name} {' '.join(look)}: {jpeg.size // 1024} kB")


def fitted(image: Pixels, most_px: int = 1000) -> Pixels:
    """At most this wide: the documents are small."""
    height, width = image.shape[:2]
    share = min(1.0, most_px / width)
    small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


if __name__ == "__main__":
    main()
