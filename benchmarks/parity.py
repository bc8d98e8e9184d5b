"""Whether an exported engine computes what was trained: torch against ONNX Runtime, float32 against half precision.

    python benchmarks/parity.py ../shared/datasets/mvtec_ad/bottle [--detectors spatial,differnet,memory]

Per data set and detector: trained for a few steps on some good images, calibrated on held-out ones, exported in both
precisions; then some good and defective test images through torch and both graphs, one by one as on the line.
Differences are absolute where a value is below 1 and relative above, as the export checks them: what is far from
normal may have any score. `half_share_of_limit` measures a score from the typical good image, in units of its distance
to the reject limit or of its own distance, if that is larger.
ONNX Runtime rounds to half precision on a CPU but adds up in float32; a GPU may differ a little more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.bundle.manifest import Calibration
from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS
from engines.errors import EngineError, PartNotLocated, TrainingError
from engines.preprocess import prepare
from engines.runtimes.onnx import OnnxRuntime
from engines.training.calibration.calibrate import calibrate
from engines.training.evaluation.layouts import Sample, open_sets
from engines.training.evaluation.metrics import auroc
from engines.training.fitting.crossfit import cross_fit
from engines.training.fitting.train import TrainOptions, train
from engines.training.images.dataset import Dataset, inspect_image, read_image
from engines.training.images.features import cached_features
from engines.training.location.locate import Located, locate
from engines.training.release.export import PARITY_TOLERANCE, Precision, export_onnx, map_spec

FALSE_REJECT_BUDGET = 0.01


@dataclass(frozen=True)
class Scored:
    """What one way of computing says of all test images."""

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]

    def largest_difference(self, other: Scored) -> tuple[float, float]:
        """Of the scores and of the maps; absolute below 1, relative above."""
        pairs = ((self.scores, other.scores), (self.maps, other.maps))
        scores, maps = (float((np.abs(a - b) / np.maximum(1, np.abs(a))).max()) for a, b in pairs)
        return scores, maps

    def verdicts(self, limits: Calibration) -> NDArray[np.intp]:
        """0 PASS, 1 REVIEW, 2 FAIL."""
        return np.searchsorted([limits.review_score, limits.reject_score], self.scores, side="left")


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most `count` of them, evenly spread."""
    return [samples[index] for index in np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int)]


def seen(samples: Sequence[Sample], located: Located) -> list[NDArray[np.uint8]]:
    """The images as the model sees them, without those in which there is no part to score."""
    found = []
    for sample in samples:
        with contextlib.suppress(PartNotLocated):
            found.append(prepare(read_image(sample.path), located.input, located.location).pixels)
    return found


def trained(detector: Detector, located: Located, training: TrainOptions) -> Calibration:
    """Train the detector on the located images and calibrate it on them, each held out once."""
    indices = np.arange(len(located.dataset.files))
    with tempfile.TemporaryDirectory(prefix="parity-") as cache:
        features = cached_features(
            detector,
            located.dataset,
            located.input,
            detector_key=detector.backbone.key,
            folder=Path(cache),
            on_progress=lambda _done, _total: None,
            location=located.location,
        )
        held_out = cross_fit(detector, features, indices, training)
        train(detector, features, indices, training)
    return calibrate(held_out.image_scores, held_out.map_peaks, FALSE_REJECT_BUDGET)


def by_torch(detector: Detector, images: Sequence[NDArray[np.uint8]]) -> Scored:
    """One by one, as on the line."""
    with torch.inference_mode():
        found = [detector(torch.from_numpy(image[np.newaxis])) for image in images]
    return Scored(
        torch.cat([score for score, _ in found]).double().numpy(), torch.cat([each for _, each in found]).numpy()
    )


def by_graph(
    detector: Detector, located: Located, images: Sequence[NDArray[np.uint8]], precision: Precision, threads: int
) -> Scored:
    """One by one, as on the line."""
    spec = located.input
    with OnnxRuntime(export_onnx(detector, spec, precision), spec, map_spec(detector), threads=threads) as runtime:
        found = [runtime.infer(image[np.newaxis]) for image in images]
    return Scored(
        np.concatenate([score for score, _ in found]).astype(np.float64), np.concatenate([each for _, each in found])
    )


def compare(
    name: str, located: Located, good: list[NDArray[np.uint8]], defective: list[NDArray[np.uint8]], options: Any
) -> dict[str, Any]:
    """The figures of one detector on one data set."""
    detector = DETECTORS[name](located.input, options.backbone).eval()
    limits = trained(detector, located, TrainOptions(options.steps))
    images = good + defective
    expected = by_torch(detector, images)
    full = by_graph(detector, located, images, "float32", options.threads)
    half = by_graph(detector, located, images, "float16", options.threads)
    score_difference, map_difference = expected.largest_difference(full)
    half_score_difference, half_map_difference = full.largest_difference(half)
    from_typical = np.abs(full.scores - limits.typical_score)
    unit = np.maximum(limits.reject_score - limits.typical_score, from_typical)
    same_order = np.argsort(expected.scores, kind="stable") == np.argsort(full.scores, kind="stable")
    return {
        "train_images": len(located.dataset.files),
        "good": len(good),
        "defective": len(defective),
        "max_score_difference": score_difference,
        "max_map_difference": map_difference,
        "rank_identical": bool(same_order.all()),
        "half_finite": bool(np.isfinite(half.scores).all() and np.isfinite(half.maps).all()),
        "half_max_score_difference": half_score_difference,
        "half_share_of_limit": float((np.abs(full.scores - half.scores) / unit).max()),
        "half_max_map_difference": half_map_difference,
        "half_rank_correlation": float(stats.spearmanr(full.scores, half.scores).statistic),
        "image_auroc": auroc(full.scores[: len(good)], full.scores[len(good) :]),
        "half_image_auroc": auroc(half.scores[: len(good)], half.scores[len(good) :]),
        "changed_verdicts": int((expected.verdicts(limits) != full.verdicts(limits)).sum()),
        "half_changed_verdicts": int((full.verdicts(limits) != half.verdicts(limits)).sum()),
    }


def rows_of(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All detectors on one data set."""
    labels = open_sets([folder])[0]
    files = tuple(inspect_image(sample.path) for sample in spread(labels.train_good, options.limit))
    located = locate(Dataset(labels.folder, files))
    good = seen(spread(labels.test_good, options.test), located)
    defective = seen(spread(labels.test_defective, options.test), located)
    if not good or not defective:
        raise TrainingError(f"{labels.name}: the part was found in none of the good or none of the defective images")
    return [
        {"dataset": labels.name, "detector": name, **compare(name, located, good, defective, options)}
        for name in options.detectors
    ]


def show(rows: list[dict[str, Any]]) -> None:
    """Figures down, data sets and detectors across."""
    table = Table("", *(f"{row['dataset']}\n{row['detector']}" for row in rows))
    for key in list(rows[0])[2:]:
        table.add_row(key, *(f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for row in rows))
    console = Console(width=60 + 16 * len(rows))
    console.print(table)
    largest = max(max(row["max_score_difference"], row["max_map_difference"]) for row in rows)
    console.print(f"Largest difference of torch and ONNX Runtime {largest:.2g}; export allows {PARITY_TOLERANCE:g}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--detectors", type=lambda text: text.split(","), default=list(DETECTORS), help="NAME,NAME")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--limit", type=int, default=40, help="good images to train on (default 40)")
    parser.add_argument("--test", type=int, default=20, help="good and as many defective test images (default 20)")
    parser.add_argument("--steps", type=int, default=20, help="training steps (default 20)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    if unknown := set(options.detectors) - set(DETECTORS):
        parser.error(f"unknown detector {', '.join(sorted(unknown))}; known: {', '.join(DETECTORS)}")
    torch.set_num_threads(options.threads)
    try:
        rows = [row for folder in options.datasets for row in rows_of(folder.resolve(), options)]
    except (TrainingError, EngineError) as error:
        sys.exit(f"parity: {error}")
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
