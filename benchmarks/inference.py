"""How long the default detector takes for one image, and how much of that its backbone takes alone.

    python benchmarks/inference.py ../shared/datasets/mvtec_ad/bottle ../shared/datasets/kolektorsdd [--json FILE]
    python benchmarks/inference.py ../shared/datasets/mvtec_ad/bottle --runtimes onnx,openvino

Per data set: the input that teaching would choose, a detector in closed form on a few images, exported as an engine is,
in ONNX Runtime as on the line, one real image after the other. The backbone alone is the same graph cut behind the
feature maps; one mean of each is its output, so nothing of it can be optimised away. Both run in turn, image by image,
so other work on the machine slows both alike: then the ratio still holds and the times are too long. With a second
runtime the detector runs there too, image by image in turn with the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector, Features
from engines.detectors.spatial import SpatialDetector
from engines.preprocess import prepare
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.openvino import OpenVinoRuntime
from engines.runtimes.protocol import Runtime
from engines.training.images.dataset import open_dataset, read_image
from engines.training.location.locate import locate
from engines.training.release.export import export_onnx, map_spec

GOALS = {"p50_ms": 40.0, "ratio": 1.5}
WARM_UP = 5


class BackboneAlone(SpatialDetector):
    """The default detector cut behind the feature maps of its backbone."""

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`."""
        taps: dict[str, Tensor] = self.backbone(images.permute(0, 3, 1, 2).float())
        return taps

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """The mean of all feature maps, as score and everywhere in the map."""
        mean = torch.stack([value.mean(dim=(1, 2, 3)) for value in features.values()]).mean(dim=0)
        return mean, mean[:, None, None] + torch.zeros(self.map_size)

    def layers(self, anomaly_map: Tensor, features: Features) -> Tensor:  # noqa: ARG002
        """The mean everywhere."""
        return anomaly_map[:, None, :1, :1] + torch.zeros(map_spec(self).shape)


def few_images(folder: Path, limit: int) -> tuple[InputSpec, NDArray[np.uint8]]:
    """The input that teaching chooses for a data set, and some of its good images as the model sees them."""
    located = locate(open_dataset(folder))
    files = located.dataset.files
    picked = [files[index] for index in np.linspace(0, len(files) - 1, min(limit, len(files))).astype(int)]
    pixels = [prepare(read_image(file.path), located.input, located.location).pixels for file in picked]
    return located.input, np.stack(pixels)


def taught(detector: Detector, images: NDArray[np.uint8]) -> Detector:
    """In closed form; how long an inference takes does not depend on what was learned."""
    detector.eval()
    with torch.inference_mode():
        parts = [detector.features(torch.from_numpy(image[np.newaxis])) for image in images]
        detector.initialise({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
    return detector


def measure(runtimes: dict[str, Runtime], images: NDArray[np.uint8], runs: int) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of every run of every graph."""
    times_ms: dict[str, list[float]] = {name: [] for name in runtimes}
    for run in range(WARM_UP + runs):
        image = images[run % len(images)][np.newaxis]
        for name, runtime in runtimes.items():
            start_ns = time.perf_counter_ns()
            runtime.infer(image)
            times_ms[name].append((time.perf_counter_ns() - start_ns) / 1e6)
    return {name: np.array(values[WARM_UP:]) for name, values in times_ms.items()}


def rows_of(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Figures of one data set, one row per number of threads."""
    spec, images = few_images(folder, options.limit)
    detector = taught(SpatialDetector(spec, options.backbone), images)
    graphs = {
        "detector": export_onnx(detector, spec, options.precision),
        "backbone": export_onnx(BackboneAlone(spec, options.backbone), spec, options.precision),
    }
    rows = []
    for threads in options.threads:
        runtimes: dict[str, Runtime] = {
            name: OnnxRuntime(graph, spec, map_spec(detector), threads=threads) for name, graph in graphs.items()
        }
        if "openvino" in options.runtimes:
            runtimes["openvino"] = OpenVinoRuntime(graphs["detector"], spec, map_spec(detector), threads=threads)
        times_ms = measure(runtimes, images, options.runs)
        row: dict[str, Any] = {
            "dataset": folder.name,
            "width": spec.width,
            "height": spec.height,
            "precision": options.precision,
            "threads": threads,
        }
        for name, values in times_ms.items():
            p50, p99 = np.percentile(values, (50, 99))
            row |= {f"{name}_min_ms": values.min(), f"{name}_p50_ms": p50, f"{name}_p99_ms": p99}
        row["ratio_p50"] = row["detector_p50_ms"] / row["backbone_p50_ms"]
        row["ratio_min"] = row["detector_min_ms"] / row["backbone_min_ms"]
        if "openvino" in runtimes:
            row["openvino_ratio_p50"] = row["openvino_p50_ms"] / row["detector_p50_ms"]
            row["openvino_ratio_min"] = row["openvino_min_ms"] / row["detector_min_ms"]
        rows.append({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """One line per data set and number of threads."""
    columns = ("p50", "p99", "min")
    titles = (*(f"detector {name}" for name in columns), *(f"backbone {name}" for name in columns))
    table = Table(
        "data set",
        "input",
        "threads",
        *titles,
        "ratio p50",
        "ratio min",
        title=f"ONNX Runtime, one image at a time, {rows[0]['precision']}, ms",
    )
    for row in rows:
        times = [f"{row[f'{name}_{key}_ms']:.1f}" for name in ("detector", "backbone") for key in columns]
        ratios = [f"{row['ratio_p50']:.2f}", f"{row['ratio_min']:.2f}"]
        table.add_row(row["dataset"], f"{row['width']}x{row['height']}", str(row["threads"]), *times, *ratios)
    console = Console(width=160)
    console.print(table)
    for row in rows:
        if "openvino_p50_ms" in row:
            console.print(
                f"{row['dataset']}, {row['threads']} threads: OpenVINO takes {row['openvino_ratio_p50']:.2f} of ONNX "
                f"Runtime's time (p50), {row['openvino_ratio_min']:.2f} (min)."
            )
    threads = max(row["threads"] for row in rows)
    judged = [row for row in rows if row["threads"] == threads]
    slowest, widest = max(row["detector_p50_ms"] for row in judged), max(row["ratio_p50"] for row in judged)
    met = "met" if slowest <= GOALS["p50_ms"] and widest <= GOALS["ratio"] else "missed"
    console.print(
        f"Goals with {threads} threads (p50 <= {GOALS['p50_ms']:g} ms, ratio <= {GOALS['ratio']:g}): {met}; "
        f"largest {slowest:.1f} ms, {widest:.2f}. "
        f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--precision", choices=("float32", "float16"), default="float32")
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument(
        "--runtimes", type=lambda text: text.split(","), default=["onnx"], help="onnx or onnx,openvino (default onnx)"
    )
    parser.add_argument("--runs", type=int, default=100, help="of each graph (default 100)")
    parser.add_argument("--limit", type=int, default=24, help="images to learn and to run (default 24)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for folder in options.datasets for row in rows_of(folder.resolve(), options)]
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
