"""Verdict and pictures of Live are never of two parts: parts with their number as bits in every picture, and a browser.

    python -m benchmarks.hmi_identity [--parts 10000] [--rate 50] [--json FILE]

The parts go through the real live memory, the pages and Chromium; at every frame of the browser a script on the page
reads the word, the id and the numbers in all pictures. Exit code 1 when any moment shows two parts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from pathlib import Path

from station.results import Verdict
from tests.bench.browser import chromium, visitor
from tests.bench.pages import serving
from tests.hmi.live_memory import station_in
from tests.hmi.live_watching import moments_of_two_parts, open_live, wait_lead

VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)
AT_A_TIME = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50.0, help="parts a second; the page shows at most 10")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ended = threading.Event()
    looked, wrong = 0, []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as pages,
        station_in(pages.site.station.runtime_dir) as station,
        chromium() as browser,
        visitor(browser) as context,
    ):
        page = open_live(context, pages.address)
        wait_lead(page, "WAITING")

        def line() -> None:
            for number in range(options.parts):
                station.part(VERDICTS[number % 3], ("top", "side"))
                ended.wait(1 / options.rate)
            ended.set()

        thread = threading.Thread(target=line, name="line")
        thread.start()
        while not ended.is_set():
            found, bad = moments_of_two_parts(page, AT_A_TIME, patience_s=5.0)
            looked += found
            wrong += bad
        thread.join()
    print(f"{options.parts} parts at {options.rate:g}/s: {looked} moments seen, {len(wrong)} of two parts {wrong[:5]}")
    if options.json:
        result = {"parts": options.parts, "rate_per_s": options.rate, "moments": looked, "of_two_parts": len(wrong)}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if wrong or not looked else 0


if __name__ == "__main__":
    sys.exit(main())
