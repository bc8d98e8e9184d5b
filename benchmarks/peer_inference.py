"""From a camera frame to score and map: our default detector beside those of anomalib, in turn, in one run.

    python benchmarks/peer_inference.py DIR --peer-env ENV [--json FILE]

Every detector gets the same frame in 8 bits and gives a score and a map, one frame at a time. Ours is what the station
does on a processor: `preprocess.prepare` and the exported graph in ONNX Runtime. The peers are exported by
`peer_inference_export.py` with anomalib's default architectures and random weights, for the same input size; a frame is
scaled, converted and normalised for them, which is the least that a user has to do. Each runs in ONNX Runtime and in
OpenVINO, which is what anomalib documents for processors, and its faster one counts. All run in turn, so other work on
the machine slows all alike: the ratios hold, the times are too long. With `--cpu-time` and one thread the processor
time of the calling thread is measured, for a machine that has much else to do.

The peers' environment: `python -m venv DIR`, then `DIR/bin/pip install torch==2.13.0 torchvision==0.28.0 timm==1.0.31`
and `pip install --no-deps anomalib==2.7.0` with what its import then asks for (lightning, torchmetrics, kornia, FrEIA,
einops, omegaconf, jsonargparse[signatures], tifffile, rich-argparse, scikit-image, pandas, scikit-learn).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.inference import few_images, taught
from engines.detectors.spatial import SpatialDetector
from engines.preprocess import prepare
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.onnxruntime_quiet import ort
from engines.runtimes.signature import shown_map
from engines.training.images.dataset import open_dataset, read_image
from engines.training.release.export import export_onnx, map_spec

WORKER = Path(__file__).with_name("peer_inference_export.py")
OURS = "ours"
GOAL = 3.0
"""Times as fast as the fastest peer of at least our AUROC."""
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, as the peers want it."""
WARM_UP = 2

Frame = NDArray[np.uint8]
Scorer = Callable[[Frame], tuple[float, NDArray[np.float32]]]
"""A frame to its score and its map over the model's input."""


def our_scorer(dataset: Path, threads: int) -> tuple[Scorer, int]:
    """The default detector, in closed form on a few images; and the longer side of its input, px."""
    spec, images = few_images(dataset, limit=24)
    detector = taught(SpatialDetector(spec), images)
    size = map_spec(detector)
    runtime = OnnxRuntime(export_onnx(detector, spec), spec, size, threads=threads)

    def score(frame: Frame) -> tuple[float, NDArray[np.float32]]:
        fitted = prepare(frame, spec)
        scores, layers = runtime.infer(fitted.pixels[np.newaxis])
        return float(scores[0]), fitted.frame_map(shown_map(layers[0], size))

    return score, max(spec.width, spec.height)


def as_peers_want(frame: Frame, side_px: int) -> NDArray[np.float32]:
    """(1, 3, side, side), normalised."""
    scaled = cv2.resize(frame, (side_px, side_px), interpolation=cv2.INTER_AREA)
    normalised = (scaled.astype(np.float32) / np.float32(255) - MEAN) / DEVIATION
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))[np.newaxis]


def onnx_scorer(file: Path, side_px: int, threads: int) -> Scorer:
    """A peer in ONNX Runtime, with all optimisations."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(file), sess_options=options, providers=["CPUExecutionProvider"])

    def score(frame: Frame) -> tuple[float, NDArray[np.float32]]:
        scores, maps = session.run(None, {"image": as_peers_want(frame, side_px)})
        return float(scores[0]), maps[0]

    return score


def openvino_scorer(file: Path, side_px: int, threads: int) -> Scorer:
    """A peer in OpenVINO, set for latency."""
    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()

    def score(frame: Frame) -> tuple[float, NDArray[np.float32]]:
        found = request.infer({"image": as_peers_want(frame, side_px)})
        return float(found["score"][0]), np.asarray(found["map"][0], np.float32)

    return score


def export_peers(python: Path, folder: Path, side_px: int, good_images: int) -> dict[str, Any]:
    """The peers' graphs in `folder`, and which software made them."""
    if not (folder / "export.json").is_file():
        command = [str(python), "-W", "ignore", str(WORKER), str(folder), str(side_px), str(good_images)]
        subprocess.run(command, check=True)
    report: dict[str, Any] = json.loads((folder / "export.json").read_text())
    return report


def measure(scorers: dict[str, Scorer], frames: list[Frame], runs: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Milliseconds of every run, all detectors in turn."""
    times_ms: dict[str, list[float]] = {name: [] for name in scorers}
    for run in range(WARM_UP + runs):
        for name, score in scorers.items():
            started = clock()
            score(frames[run % len(frames)])
            times_ms[name].append(1000 * (clock() - started))
    return {name: np.array(values[WARM_UP:]) for name, values in times_ms.items()}


def rows_of(times_ms: dict[str, Any], graph_mb: dict[str, float]) -> list[dict[str, Any]]:
    """A row per detector; the faster runtime of a peer counts."""
    rows = []
    for name in dict.fromkeys(each.split("/")[0] for each in times_ms):
        ways = {each: values for each, values in times_ms.items() if each.split("/")[0] == name}
        fastest = min(ways, key=lambda each: float(np.median(ways[each])))
        rows.append(
            {
                "detector": name,
                "runtime": fastest.partition("/")[2] or "onnx",
                "p50_ms": round(float(np.median(ways[fastest])), 1),
                "min_ms": round(float(ways[fastest].min()), 1),
                "of_ours": round(float(np.median(ways[fastest] / times_ms[OURS])), 2),
                "graph_mb": round(graph_mb[name], 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--peer-env", type=Path, required=True, help="environment with anomalib")
    parser.add_argument("--graphs", type=Path, help="folder that keeps the peers' graphs; used again")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--cpu-time", action="store_true", help="of the calling thread, not of the clock on the wall")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time counts one thread: --threads 1")
    torch.set_num_threads(1)
    files = open_dataset(options.dataset).files
    frames = [read_image(file.path) for file in files[:8]]
    ours, side_px = our_scorer(options.dataset, options.threads)
    scorers: dict[str, Scorer] = {OURS: ours}
    with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
        folder = options.graphs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        software = export_peers(options.peer_env / "bin" / "python", folder, side_px, len(files))["software"]
        graph_mb = {file.stem: file.stat().st_size / 1e6 for file in sorted(folder.glob("*.onnx"))}
        for name in graph_mb:
            scorers[f"{name}/onnx"] = onnx_scorer(folder / f"{name}.onnx", side_px, options.threads)
            # OpenVINO computes in threads of its own, whose time the calling thread does not know.
            if not options.cpu_time:
                scorers[f"{name}/openvino"] = openvino_scorer(folder / f"{name}.onnx", side_px, options.threads)
        clock = time.thread_time if options.cpu_time else time.perf_counter
        rows = rows_of(measure(scorers, frames, options.runs, clock), {OURS: 0.0, **graph_mb})
    table = Table(*(key.replace("_", " ") for key in rows[0]), title=f"{side_px} px, {options.threads} threads, ms")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=120).print(table)
    slower = {row["detector"]: row["of_ours"] for row in rows if row["detector"] != OURS}
    missed = [name for name, ratio in slower.items() if ratio < GOAL]
    print(f"Goal, {GOAL:g} times as fast as each: " + (f"missed for {', '.join(missed)}" if missed else "met"))
    if options.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        clock_name = "processor time of the calling thread" if options.cpu_time else "wall clock"
        content = {"software": software, **machine, "threads": options.threads, "clock": clock_name, "rows": rows}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
