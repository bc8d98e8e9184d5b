"""How far the graph of an engine in half precision, or in 8 bits, is from its float32 graph, on real images with known
truth.

    python benchmarks/half_precision.py ../shared/datasets/mvtec_ad/bottle [--precision int8] [--json FILE]

Per data set: `station teach` on its good training images (seed 0), then every test image through both graphs of the
engine as on the line: located, prepared, scored one by one. What must hold: the image AUROC differs by less than 0.002,
and no golden image changes its verdict.

Both graphs run in ONNX Runtime on the CPU, which rounds values and weights as the graph says and computes in float32.
So this measures what rounding does; a GPU also adds up in its own order, and that is measured on the GPU when a plan is
built.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.bundle.files import variant_file
from engines.bundle.manifest import Calibration, Variant
from engines.bundle.reading import Bundle, read_bundle
from engines.engine import Engine, EngineOutput
from engines.errors import EngineError, PartNotLocated, TrainingError
from engines.parity_report import GOLDEN_PREFIX
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import Opened
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.evaluation.metrics import auroc
from engines.training.fitting.train import TrainOptions
from engines.training.images.dataset import read_image
from engines.training.learn import LearnOptions
from engines.training.progress import RichReporter
from engines.training.teach import TeachOptions, teach

MAX_AUROC_DIFFERENCE = 0.002


@dataclass(frozen=True)
class Figures:
    """One data set."""

    dataset: str
    candidate: str
    """What was compared with float32: runtime, version, precision."""
    detector: str
    width: int
    height: int
    train_images: int
    good: int
    defective: int
    not_located: int
    """Test images without a part in them; the same for both graphs, and left out."""
    image_auroc: float
    candidate_image_auroc: float
    auroc_difference: float
    max_score_difference: float
    max_score_share: float
    """Of the way from the typical good part to the reject limit, or of the score's own way if that is longer."""
    max_map_difference: float
    changed_verdicts: int
    """Of all test images."""
    changed_golden: int
    gate_score_share: float
    """The same share on the images of the gate, as teaching measured it."""
    gate_rank_correlation: float | None

    @property
    def met(self) -> bool:
        """What must hold, holds."""
        return self.auroc_difference < MAX_AUROC_DIFFERENCE and self.changed_golden == 0


def measure(labels: LabelledSet, engine: Path, precision: Variant, threads: int) -> Figures:
    """Both graphs of the engine in directory `engine` on the test images of a data set.

    Raises:
        EngineError: the engine cannot be used.
        TrainingError: it has no graph in that precision, or the part was found in too few images.
    """
    bundle = read_bundle(engine)
    candidate = bundle.variants.get(precision)
    if candidate is None:
        raise TrainingError(f"{engine}: this engine has no {variant_file(precision)}: it was refused, or not asked for")
    samples = (*labels.test_good, *labels.test_defective)
    with _engine(bundle, bundle.model, threads) as full, _engine(bundle, candidate.model, threads) as other:
        pairs = [_score_both(full, other, read_image(sample.path)) for sample in samples]
    good = [pair for pair in pairs[: len(labels.test_good)] if pair is not None]
    defective = [pair for pair in pairs[len(labels.test_good) :] if pair is not None]
    if not good or not defective:
        raise TrainingError(f"{labels.name}: the part was found in none of the good or none of the defective images")
    expected, found = (np.array([pair[side].image_score for pair in good + defective]) for side in (0, 1))
    limits = bundle.manifest.calibration
    aurocs = [auroc(scores[: len(good)], scores[len(good) :]) for scores in (expected, found)]
    unit = np.maximum(limits.reject_score - limits.typical_score, np.abs(expected - limits.typical_score))
    return Figures(
        dataset=labels.name,
        candidate=candidate.parity.candidate,
        detector=bundle.manifest.detector,
        width=bundle.manifest.input.width,
        height=bundle.manifest.input.height,
        train_images=len(labels.train_good),
        good=len(good),
        defective=len(defective),
        not_located=len(samples) - len(good) - len(defective),
        image_auroc=aurocs[0],
        candidate_image_auroc=aurocs[1],
        auroc_difference=abs(aurocs[0] - aurocs[1]),
        max_score_difference=float(np.abs(expected - found).max()),
        max_score_share=float((np.abs(expected - found) / unit).max()),
        max_map_difference=max(
            float(np.abs(one.anomaly_map - other.anomaly_map).max()) for one, other in good + defective
        ),
        changed_verdicts=int(np.count_nonzero(_verdicts(expected, limits) != _verdicts(found, limits))),
        changed_golden=sum(change.image.startswith(GOLDEN_PREFIX) for change in candidate.parity.changed),
        gate_score_share=candidate.parity.score_share,
        gate_rank_correlation=candidate.parity.rank_correlation,
    )


def _engine(bundle: Bundle, model: bytes, threads: int) -> Engine:
    return Engine(bundle, Opened(OnnxRuntime(model, bundle.manifest.input, bundle.manifest.map, threads=threads)))


def _score_both(full: Engine, other: Engine, image: NDArray[np.uint8]) -> tuple[EngineOutput, EngineOutput] | None:
    try:
        return full.score(image), other.score(image)
    except PartNotLocated:
        return None


def _verdicts(scores: NDArray[np.float64], limits: Calibration) -> NDArray[np.intp]:
    """0 PASS, 1 REVIEW, 2 FAIL."""
    return np.searchsorted([limits.review_score, limits.reject_score], scores, side="left")


def taught(labels: LabelledSet, output: Path, options: argparse.Namespace) -> Path:
    """The engine in directory `output`, taught on the good training images unless it is there already."""
    if output.exists():
        return output
    teaching = TeachOptions(
        detector=options.detector,
        seed=0,
        threads=options.threads,
        int8=options.precision == "int8",
        learning=LearnOptions(training=TrainOptions(steps=options.steps)),
    )
    with RichReporter(quiet=False) as reporter:
        _, summary = teach(labels.folder, output, teaching, reporter.step)
    for warning in summary.warnings:
        print(f"{labels.name}: {warning}", file=sys.stderr)
    return output


def show(rows: Sequence[Figures]) -> None:
    """Figures down, data sets across."""
    table = Table(
        "", *(row.dataset for row in rows), title="the graph in float32 and in fewer bits, ONNX Runtime on the CPU"
    )
    for key in list(asdict(rows[0]))[1:]:
        values = (getattr(row, key) for row in rows)
        table.add_row(key, *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
    table.add_row("met", *("yes" if row.met else "NO" for row in rows))
    console = Console(width=60 + 20 * len(rows))
    console.print(table)
    console.print(f"Met: AUROC differs by less than {MAX_AUROC_DIFFERENCE:g}, no golden image changes its verdict.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--precision", choices=["fp16", "int8"], default="fp16")
    parser.add_argument("--detector", default="spatial")
    parser.add_argument("--steps", type=int, help="training steps (default: the detector's own number)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engines", type=Path, help="keep the engines here, and use those that are there already")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="half-precision-") as temporary:
        folder = options.engines or Path(temporary)
        try:
            rows = [
                measure(labels, taught(labels, folder / labels.name, options), options.precision, options.threads)
                for labels in open_sets(options.datasets)
            ]
        except (TrainingError, EngineError) as error:
            sys.exit(f"{options.precision}: {error}")
    show(rows)
    if options.json:
        content: list[dict[str, Any]] = [{**asdict(row), "met": row.met} for row in rows]
        options.json.write_text(json.dumps(content, indent=2))
    sys.exit(0 if all(row.met for row in rows) else 1)


if __name__ == "__main__":
    main()
