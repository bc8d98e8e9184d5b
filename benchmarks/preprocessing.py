"""What bringing a frame to the model's input costs on the processor, step by step, and what a GPU would have to beat.

    python benchmarks/preprocessing.py [--json benchmarks/results/preprocessing.json]

A GPU can only prepare a frame that it has: whatever it does, the whole frame is copied into page-locked memory first
and goes over the bus. So the last columns are a lower bound of its way, with no arithmetic at all: the copy measured
here, and the upload at the rate of `--upload-gb-s`. Where the processor is below that, no GPU is faster.
`station engine build` measures both ways on the real one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drivers.camera.pixel_formats import normalise, row_bytes
from engines.bundle.location_spec import BlobLocation, TemplateLocation
from engines.bundle.manifest import InputSpec
from engines.location.location import WHOLE_IMAGE, Location
from engines.location.template import search_image
from engines.preprocess import prepare

SIZES = ((640, 480), (1280, 1024), (1920, 1200), (2448, 2048), (2449, 2049), (4096, 3000))
"""Width and height of usual sensors, px, and one with odd numbers."""
FORMATS = (
    *("Mono10", "Mono16", "Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"),
    *("BayerRG8", "BayerRG12", "BayerRG12p", "BayerRG12Packed", "BayerRG16"),
)
"""One for each way in which values lie in memory."""
FORMATS_SIZE = (2448, 2048)
INPUTS = (256, 448)
"""Side of the model's input, px."""


def milliseconds(work: Callable[[], object], runs: int, *, shortest: bool = False) -> float:
    """Median time of a call; or the shortest, which other work on the machine lengthens least."""
    work()
    times_ms = np.empty(runs)
    for run in range(runs):
        start_ns = time.perf_counter_ns()
        work()
        times_ms[run] = (time.perf_counter_ns() - start_ns) / 1e6
    return round(float(times_ms.min() if shortest else np.median(times_ms)), 3)


def bracket(width: int, height: int, *, grey: bool) -> NDArray[np.uint8]:
    """A bright part, turned, on a dark background with some noise."""
    frame = np.random.default_rng(0).integers(20, 40, (height, width), np.uint8)
    box = ((width * 0.5, height * 0.5), (width * 0.5, height * 0.25), 20.0)
    cv2.fillPoly(frame, [np.rint(cv2.boxPoints(box)).astype(np.int32)], 180)
    cv2.circle(frame, (int(width * 0.35), int(height * 0.42)), height // 12, 230, -1)
    return frame if grey else np.repeat(frame[..., np.newaxis], 3, axis=2)


def locations(frame: NDArray[np.uint8]) -> dict[str, Location]:
    """Ways to find the part."""
    search_height, search_width = search_image(frame, 256, round(256 * frame.shape[0] / frame.shape[1])).shape
    template = search_image(frame, search_width, search_height)[search_height // 4 : -search_height // 4, 64:-64]
    return {
        "whole image": WHOLE_IMAGE,
        "blob": Location(BlobLocation(contrast=60, min_area_share=0.02, max_area_share=0.6, turn=True)),
        "template": Location(
            TemplateLocation(search_width=search_width, search_height=search_height, min_correlation=0.3),
            pictures={"template": np.ascontiguousarray(template)},
        ),
    }


def measure(width: int, height: int, *, grey: bool, options: argparse.Namespace) -> dict[str, object]:
    """One row: all times in ms."""
    frame = bracket(width, height, grey=grey)
    row: dict[str, object] = {"width": width, "height": height, "colours": 1 if grey else 3}
    if not grey:
        raw = np.ascontiguousarray(frame[..., 0])
        row["Bayer to RGB"] = milliseconds(lambda: normalise("BayerRG8", raw, height, width), options.runs)
    for side in INPUTS:
        for name, location in locations(frame).items():
            spec = InputSpec(width=side, height=side)
            row[f"{name}, {side} px"] = milliseconds(lambda: prepare(frame, spec, location), options.runs)  # noqa: B023
    page_locked = np.empty_like(frame)
    row["GPU: copy"] = milliseconds(lambda: np.copyto(page_locked, frame), options.runs)
    row["GPU: upload"] = round(frame.nbytes / options.upload_gb_s / 1e6, 3)
    return row


def measure_format(name: str, runs: int) -> dict[str, object]:
    """What a frame of 5 MP costs until it is 8 bit, with all bits of the format and with fewer (`significant_bits`)."""
    width, height = FORMATS_SIZE
    raw = np.random.default_rng(0).integers(0, 256, row_bytes(name, width) * height, np.uint8)
    row: dict[str, object] = {"format": name}
    for title, bits in (("all bits", None), ("9 bits", 9)):
        if bits is None or not name.endswith("8"):
            work = partial(normalise, name, raw, height, width, bits)
            row[title] = milliseconds(work, runs, shortest=True)
    return row


def print_table(rows: list[dict[str, object]], title: str) -> None:
    columns = list(dict.fromkeys(key for row in reversed(rows) for key in row))
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    Console(width=200).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="calls per figure (default 100)")
    parser.add_argument(
        "--upload-gb-s", type=float, default=25.0, help="page-locked memory to GPU (default 25: PCIe 4.0 with 16 lanes)"
    )
    parser.add_argument("--formats-only", action="store_true", help="only pixel formats; the rest of the file stays")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    formats = [measure_format(name, options.runs) for name in FORMATS]
    print_table(formats, "ms for {} x {} px to 8 bit, shortest".format(*FORMATS_SIZE))
    found: dict[str, object] = {"formats_2448_x_2048": formats}
    if not options.formats_only:
        rows = [measure(width, height, grey=grey, options=options) for width, height in SIZES for grey in (True, False)]
        print_table(rows, "ms a frame, median")
        found |= {"upload_gb_s": options.upload_gb_s, "threads": cv2.getNumThreads(), "rows": rows}
    if options.json:
        before = json.loads(options.json.read_text()) if options.formats_only and options.json.exists() else {}
        found = before | found
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
