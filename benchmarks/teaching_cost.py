"""What a teaching costs by the number of its images: processor time, memory, and how both grow.

    python benchmarks/teaching_cost.py DIR [--counts 50,200,1000] [--views 1,8] [--megapixels 1,20] [--json FILE]

DIR holds good images. Where it has fewer than wanted, further ones are made of them: each is moved by some pixels, lit
a little differently and gets noise of its own, so no two are the same to a model. One engine learns all views of a
part: each has as many images, in its own turn and mirror image. With megapixels every image is scaled to that size.
Each teaching is a process with an empty cache and one thread; its processor time hardly depends on what else the
machine does, and is named by step. FILE is written after each; rows of other teachings that it has are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from drivers.imagefiles.reading import read

SHIFT_PX = 4
LIGHT = 0.03
NOISE = 2.0


def write_images(source: Path, folder: Path, count: int, views: int = 1, megapixels: float = 0) -> None:
    """`count` images of each view in `folder`: those of `source`, then variations of them."""
    files = sorted(file for file in source.iterdir() if file.suffix.lower() in {".png", ".jpg", ".bmp"})
    rng = np.random.default_rng(0)
    for number in range(count * views):
        image = read(files[number // views % len(files)]).pixels.astype(np.float32)
        view = number % views
        image = np.ascontiguousarray(np.rot90(image if view < 4 else image[:, ::-1], view % 4), np.float32)
        if megapixels:
            scale = (1e6 * megapixels / (image.shape[0] * image.shape[1])) ** 0.5
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        if number // views >= len(files):
            x, y = rng.integers(-SHIFT_PX, SHIFT_PX + 1, 2)
            pad = [(SHIFT_PX, SHIFT_PX)] * 2 + [(0, 0)] * (image.ndim - 2)
            image = np.roll(np.pad(image, pad, "reflect"), (y, x), axis=(0, 1))[SHIFT_PX:-SHIFT_PX, SHIFT_PX:-SHIFT_PX]
            noise = rng.normal(0, NOISE, image.shape).astype(np.float32)
            image = image * np.float32(1 + LIGHT * rng.normal()) + noise
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        cv2.imwrite(str(folder / f"{number:05}.png"), pixels if pixels.ndim == 2 else pixels[:, :, ::-1], fast)


def cost(images: Path, output: Path, trials: int) -> dict[str, Any]:
    """One teaching: what it said before it started, and what it took."""
    command = [
        sys.executable, "-m", "engines.training", "--images", str(images), "--output", str(output),
        "--cache", str(output.with_name(f"{output.name}-cache")), "--threads", "1", "--seed", "0",
        "--defect-trials", str(trials), "--progress", "json",
    ]  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    clock = Path(f"/proc/{process.pid}/stat")
    steps: dict[str, float] = {}
    step, since, expected = "start", 0.0, None
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message.get("event") == "error":
            raise SystemExit(message["message"])
        if str(message.get("step", "")).startswith("expected: "):
            expected = message["step"].removeprefix("expected: ")
        if "step" in message and message["step"] != step:
            now = _processor_s(clock)
            steps[step] = round(steps.get(step, 0.0) + now - since, 1)
            step, since = message["step"], now
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the teaching ended with code {process.returncode}")
    total_s = used.ru_utime + used.ru_stime
    steps[step] = round(steps.get(step, 0.0) + total_s - since, 1)
    return {
        "processor_s": round(total_s, 1),
        "wall_s": round(time.monotonic() - started, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "expected": expected,
        "steps_processor_s": steps,
    }


def _processor_s(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, metavar="DIR")
    parser.add_argument("--counts", type=lambda text: [int(each) for each in text.split(",")], default=[50, 200, 1000])
    parser.add_argument("--views", type=lambda text: [int(each) for each in text.split(",")], default=[1])
    parser.add_argument("--megapixels", type=lambda text: [float(each) for each in text.split(",")], default=[0.0])
    parser.add_argument("--defect-trials", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = json.loads(options.json.read_text()) if options.json and options.json.is_file() else []
    for count, views, megapixels in product(options.counts, options.views, options.megapixels):
        with tempfile.TemporaryDirectory(prefix="teaching-cost-") as temporary:
            folder = Path(temporary) / "images"
            folder.mkdir()
            write_images(options.images, folder, count, views, megapixels)
            found = cost(folder, Path(temporary) / "engine", options.defect_trials)
        rows.append(
            {
                "of": "/".join(options.images.resolve().parts[-3:]),
                "images": count * views,
                "views": views,
                "megapixels": megapixels,
                **found,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    table = Table("images", "views", "MP", "processor s", "peak MB", "ms an image")
    for row in rows:
        each_ms = f"{1000 * row['processor_s'] / row['images']:.0f}"
        first = str(row["images"]), str(row.get("views", 1)), f"{row.get('megapixels', 0):g}"
        table.add_row(*first, str(row["processor_s"]), str(row["peak_mb"]), each_ms)
    Console().print(table)


if __name__ == "__main__":
    main()
