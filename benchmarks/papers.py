"""What every detector that is measured costs on the line: milliseconds and megabytes, beside the default, in one run.

    python benchmarks/papers.py ../shared/datasets/mvtec_ad/bottle ../shared/datasets/kolektorsdd [--json FILE]

Each detector is learned in closed form on a few images and exported as an engine is; the graphs run in ONNX Runtime,
image by image in turn, so other work on the machine slows all of them alike and the ratio holds. AUROC, escapes and
training time of the same detectors: `station evaluate --detector ...`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.inference import few_images, measure, taught
from engines.detectors.catalogue import MEASURED
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.protocol import Runtime
from engines.training.release.export import export_onnx, map_spec

DEFAULT = "spatial"


def rows_of(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Figures of one data set, one row per detector."""
    spec, images = few_images(folder, options.limit)
    runtimes: dict[str, Runtime] = {}
    megabytes = {}
    for name in track(options.detectors, f"{folder.name}: graphs", transient=True):
        detector = taught(MEASURED[name](spec, options.backbone), images)
        graph = export_onnx(detector, spec)
        megabytes[name] = len(graph) / 1e6
        runtimes[name] = OnnxRuntime(graph, spec, map_spec(detector), threads=options.threads)
    times_ms = measure(runtimes, images, options.runs)
    return [
        {
            "dataset": folder.name,
            "input": f"{spec.width}x{spec.height}",
            "detector": name,
            "p50_ms": round(float(np.median(values)), 2),
            "min_ms": round(float(values.min()), 2),
            "of_the_default": round(float(values.min() / times_ms[DEFAULT].min()), 2),
            "graph_mb": round(megabytes[name], 1),
        }
        for name, values in times_ms.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--detectors", type=lambda text: text.split(","), default=list(MEASURED))
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=60, help="of each graph (default 60)")
    parser.add_argument("--limit", type=int, default=24, help="images to learn and to run (default 24)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    unknown = set(options.detectors) - MEASURED.keys()
    if unknown:
        parser.error(f"unknown detectors {sorted(unknown)}; known: {', '.join(MEASURED)}")
    options.detectors = list(dict.fromkeys([DEFAULT, *options.detectors]))
    torch.set_num_threads(1)
    rows = [row for folder in options.datasets for row in rows_of(folder.resolve(), options)]
    table = Table(*(key.replace("_", " ") for key in rows[0]), title="ONNX Runtime, one image at a time")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
