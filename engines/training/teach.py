"""From a folder of images to an engine: every step in order, everything chosen by itself."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines import said
from engines.bundle.detection import Detection
from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.manifest import MAX_HELD_OUT, Draft, InputSpec, Manifest
from engines.bundle.picture_bands import bands_in_words
from engines.bundle.reference import MAX_PICTURES
from engines.bundle.writing import write_bundle
from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS
from engines.errors import TrainingError
from engines.runtimes.onnx import OnnxRuntime
from engines.store.gate import question
from engines.training.blocks.block import Block
from engines.training.blocks.earlier import Weighed
from engines.training.blocks.kept import FOLDER, BlockOptions, free_name, write_blocks
from engines.training.calibration.calibrate import check_budgets
from engines.training.calibration.picture_bands import picture_bands
from engines.training.dossier.collect import TrainingRun, collect
from engines.training.dossier.pictures import PICTURE_PX
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import pictured
from engines.training.dossier.write import write_dossier
from engines.training.expected import expected
from engines.training.fitting.crossfit import folds_for
from engines.training.fitting.train import shown_maps
from engines.training.images.dataset import Dataset, open_dataset
from engines.training.images.features import CachedFeatures, cached_features, key_of_features
from engines.training.images.image_names import read_kinds
from engines.training.kinds.kept import FILE as KINDS_FILE
from engines.training.kinds.kept import kept_of, write_kept
from engines.training.known_defects.masks import read_masks
from engines.training.learn import Learned, LearnOptions, OnStep, learn
from engines.training.location.locate import Located, LocateOptions, locate
from engines.training.location.sheet import location_sheet
from engines.training.refinement.checkpoint import FileCheckpoint, checkpoint_key
from engines.training.release.export import export_onnx, map_spec
from engines.training.release.references import reference_pictures
from engines.training.release.release import enlarged, release
from engines.training.summary import Summary, software, summarise, training_record, warnings_of
from engines.training.sums.exporting import beside_in_words, key_of_sums, read_prior
from engines.training.synthesis.examples import just_found_and_missed
from engines.training.synthesis.trials import MAX_TRIALS, MIN_TRIALS, TRIALS, Trials

GOLDEN_TOLERANCE = 0.01


@dataclass(frozen=True)
class TeachOptions:
    """The choices of a `TeachRequest`, nested by the step of the training that reads them.

    A request is flat because each of its fields is an option of a command line; `python -m engines.training` makes
    these of one.
    """

    detector: str = "spatial"
    backbone: str = DEFAULT_BACKBONE
    seed: int = 0
    threads: int = 2
    learning: LearnOptions = field(default_factory=LearnOptions)
    location: LocateOptions = field(default_factory=LocateOptions)
    parts_per_hour: float | None = None
    """Of the line: what reviews are counted in; None: per 1000 parts."""
    cache: Path | None = None
    """Folder that keeps features and finished refinement rounds between runs; None: a temporary one."""
    known_good: Path | None = None
    """Names of images that refinement may not remove, one per line."""
    known_bad: Path | None = None
    """Names of images that must not be learned, one per line, behind a tab the kind of their defect; they measure how
    many defects escape."""
    defect_trials: int = TRIALS
    """Synthetic defects of each kind and contrast; 0: what the engine finds is not measured."""
    pixel_size_mm: float | None = None
    reference_pictures: int = MAX_PICTURES
    """Good images kept as small pictures beside the engine, at most; 0: none."""
    int8: bool = False
    """Also make a graph whose backbone is in 8 bits; it is left out when it differs too much."""
    blocks: BlockOptions = field(default_factory=BlockOptions)
    prior: Path | None = None
    """Sums of other sites, see `engines.training.sums`."""
    veto: Path | None = None
    """Removed images that are good after all, as the dossier of an earlier run writes them."""
    command: tuple[str, ...] = ()
    """How this training was started; the dossier shows it with the veto."""


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
    messages.extend(found.notes)
    on_image = partial(on_step, "locate")
    located = _without_known(locate(found, options.location, on_image), options, messages)
    dataset = located.dataset
    spec = located.input
    learning, kinds = _with_known(found, located, options)
    detector = DETECTORS[options.detector](spec, options.backbone)
    detector.eval()
    trials = _trials(located, options, on_step)
    on_step(expected(detector, located, trials).in_words(), 1, 1)
    with tempfile.TemporaryDirectory(prefix="station-teach-") as temporary:
        cache = options.cache or Path(temporary)
        detector_key = f"{options.detector} {detector.features_version} {detector.backbone.key}"
        features_key = key_of_features(detector_key, spec, located.location)
        others = read_prior(options.prior, key_of_sums(detector_key, spec, located.location, found.depth))
        features = cached_features(
            detector, dataset, spec, detector_key=detector_key, folder=cache, location=located.location,
            on_progress=lambda done, total: on_step("features", done, total),
        )  # fmt: skip
        key = checkpoint_key(
            data=dataset.sha256, input=spec, detector=f"{options.detector} {detector.features_version}",
            backbone=detector.backbone.key, learn=learning, location=located.location.content_id, software=software(),
        )  # fmt: skip
        checkpoint = FileCheckpoint(cache, key, messages.append)
        known_bad = {index: dataset.files[index] for index in learning.refinement.known_bad}
        blocks = options.blocks.read(features_key)
        learned = learn(
            detector,
            features,
            np.arange(len(dataset.files)),
            learning,
            on_step=on_step,
            checkpoint=checkpoint,
            masks=read_masks(known_bad, spec, located.location, detector.map_size),
            kinds=kinds,
            on_model=None if trials is None else partial(show_defects, trials, spec, options.threads),
            blocks=blocks,
            others=others.as_sums() if others else None,
        )
        messages.extend(beside_in_words(blocks, others, learned))
        detection, finds = _detection(trials, learned, options.pixel_size_mm)
        bands = picture_bands(
            [dataset.files[index].path for index in learned.refinement.kept],
            located.location, partial(on_step, "pictures"),
        )  # fmt: skip

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
        warnings = (*messages, *warnings_of(located, learned), *released.warnings)
        dossier = Path(temporary) / DOSSIER_FOLDER
        duration_s = time.monotonic() - started
        record = _dossier(
            located, learned, learning, options, model=released.model, duration_s=duration_s, warnings=warnings,
            finds=finds, detection=detection, pictures=bands_in_words(bands),
        )  # fmt: skip
        shown = np.array(pictured(record), np.intp)
        write_dossier(
            dossier,
            record,
            lambda index: enlarged(located, index, PICTURE_PX),
            dict(zip(shown.tolist(), shown_maps(detector, features, shown), strict=True)),
            weights=learned.refinement.weights,
            location_sheet=location_sheet(located),
            defects=()
            if trials is None or detection is None
            else just_found_and_missed(trials, detection, learned.calibration.review_score, _held_out_scores(learned)),
        )
        if detector.has_sums:
            mine = _my_block(features, features_key, dataset, learned, blocks, options.blocks.name)
            write_blocks(dossier / FOLDER, mine, blocks, options.blocks.earlier)
        _keep_looks(dossier, learned, dataset)
        on_step("export", 2, 3)
        draft = Draft(
            detector=options.detector,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            input=spec,
            location=located.location.spec,
            ignore=located.location.ignore,
            map=map_spec(detector),
            map_score=detector.map_score,
            golden_tolerance=GOLDEN_TOLERANCE,
            calibration=learned.calibration,
            reviews=learned.reviews(options.parts_per_hour),
            suspects=learned.suspects,
            known_defects=learned.known_defects,
            kinds=None if learned.kinds is None else learned.kinds.record,
            detection=detection,
            picture_bands=bands,
            held_out=learned.held_out_sample(MAX_HELD_OUT),
            depth=found.depth,
            training=training_record(dataset, len(learned.refinement.removed)),
            possible_variants=learned.possible_variants,
            software=software(),
        )
        manifest = write_bundle(
            output,
            draft=draft,
            model=released.model,
            golden=released.golden,
            pictures=located.location.pictures,
            variants=released.variants,
            sample=released.sample,
            frame=released.frame,
            dossier=dossier,
            reference=reference_pictures(located, learned, options.reference_pictures),
        )
        checkpoint.remove()
    on_step("export", 3, 3)
    seconds = time.monotonic() - started
    return manifest, summarise(
        located,
        learned,
        options.detector,
        released,
        finds=finds,
        pictures=bands_in_words(bands),
        seconds=seconds,
        warnings=warnings,
        parts_per_hour=options.parts_per_hour,
        question=question(manifest, output),
    )


def _without_known(located: Located, options: TeachOptions, messages: list[str]) -> Located:
    """Without images that are in a block which is learned, too: they would count twice, and vouch for themselves."""
    known = options.blocks.images()
    new = tuple(file for file in located.dataset.files if file.sha256 not in known)
    if len(new) < len(located.dataset.files):
        messages.append(said.IN_BLOCKS(count=len(located.dataset.files) - len(new)))
    return replace(located, dataset=replace(located.dataset, files=new))


def _my_block(  # noqa: PLR0917
    features: CachedFeatures, key: str, dataset: Dataset, learned: Learned, others: Sequence[Weighed], name: str
) -> Block | None:
    """What a later teaching needs to learn the images of this one, too."""
    assert learned.mine is not None
    weights = learned.refinement.weights
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return learned.mine.block(
        features,
        None if weights is None else weights[learned.refinement.kept],
        [file.sha256 for file in dataset.files],
        name=free_name(name or created[:10], [one.block.name for one in others]),
        key=key,
        created=created,
    )


def _keep_looks(dossier: Path, learned: Learned, dataset: Dataset) -> None:
    """What the images look like that kinds were fitted to: learning them anew forgets none."""
    if learned.kinds is not None:
        examples = learned.kinds.examples
        shas = [dataset.files[index].sha256 for index in examples.positions]
        write_kept(dossier / KINDS_FILE, kept_of(examples, shas))


def _check_options(output: Path, options: TeachOptions) -> None:
    """Fail before the work, not after it."""
    if options.detector not in DETECTORS:
        raise TrainingError(f'unknown detector "{options.detector}"; known: {", ".join(sorted(DETECTORS))}')
    check_budgets(options.learning.false_reject_budget, options.learning.review_budget)
    factor = options.learning.refinement.factor
    if not factor > 1:
        raise TrainingError(f"lambda {factor}: must be above 1, it is a multiple of the median score")
    if options.defect_trials and not MIN_TRIALS <= options.defect_trials <= MAX_TRIALS:
        raise TrainingError(
            f"defect trials {options.defect_trials}: 0 for none, or {MIN_TRIALS} to {MAX_TRIALS} of each kind"
        )
    if options.pixel_size_mm is not None and not 0 < options.pixel_size_mm <= 100:
        raise TrainingError(f"pixel size {options.pixel_size_mm} mm: above 0 and at most 100")
    if not 0 <= options.reference_pictures <= MAX_PICTURES:
        raise TrainingError(f"reference pictures {options.reference_pictures}: 0 for none, at most {MAX_PICTURES}")
    if options.prior and options.blocks.earlier:
        raise TrainingError("--prior is for a first teaching of few images: give it, or --earlier, not both")
    if options.threads < 1:
        raise TrainingError(f"threads {options.threads}: at least 1")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise TrainingError(f'engine "{output}" exists already; choose another directory or remove it first')


def _with_known(found: Dataset, located: Located, options: TeachOptions) -> tuple[LearnOptions, dict[int, str]]:
    """The learning options with the seed and the images that people know something of, as positions; their kinds."""
    names = [file.path.name for file in found.files]
    position = {file.path: index for index, file in enumerate(located.dataset.files)}

    def positions(file: Path | None, what: str) -> dict[int, str]:
        named = read_kinds(file, names, what) if file else {}
        paths = {found.files[index].path: kind for index, kind in named.items()}
        # The part may not have been found in some of them.
        return {position[path]: kind for path, kind in paths.items() if path in position}

    good, vetoed = positions(options.known_good, "known-good file"), positions(options.veto, "veto file")
    bad = positions(options.known_bad, "known-bad file")
    known_bad = frozenset(bad) - frozenset(vetoed)
    refinement = replace(
        options.learning.refinement, known_good=frozenset(good) | frozenset(vetoed), known_bad=known_bad
    )
    training = replace(options.learning.training, seed=options.seed)
    kinds = {index: bad[index] for index in sorted(known_bad) if bad[index]}
    return replace(options.learning, refinement=refinement, training=training), kinds


def _trials(located: Located, options: TeachOptions, on_step: OnStep) -> Trials | None:
    """None: what the engine finds is not to be measured."""
    if not options.defect_trials:
        return None
    return Trials(
        located,
        seed=options.seed,
        trials=options.defect_trials,
        folds=folds_for(len(located.dataset.files)),
        on_progress=lambda done, total: on_step("defects", done, total),
    )


def _detection(
    trials: Trials | None, learned: Learned, pixel_size_mm: float | None
) -> tuple[Detection | None, tuple[str, ...]]:
    """What the engine finds, and the same in words; or None, and why it was not measured."""
    if trials is None:
        return None, (said.NOT_ASKED_FOR(),)
    detection = trials.detection(learned.calibration, _held_out_scores(learned), pixel_size_mm)
    if detection is None:
        return None, (said.DO_NOT_FIT(),)
    return detection, detection.in_words()


def _held_out_scores(learned: Learned) -> dict[int, float]:
    """Image -> score by the model that did not learn it."""
    return dict(zip(learned.refinement.kept.tolist(), learned.held_out.image_scores.tolist(), strict=True))


def show_defects(trials: Trials, spec: InputSpec, threads: int, detector: Detector, unseen: NDArray[np.intp]) -> None:
    """Shows synthetic defects to a model of cross-fitting, as the graph that it would be released as.

    That takes a third of the time of PyTorch.
    """
    with OnnxRuntime(export_onnx(detector, spec), spec, map_spec(detector), threads=threads) as runtime:
        trials.show(unseen, lambda images: runtime.infer(images)[0])


def _dossier(
    located: Located,
    learned: Learned,
    learning: LearnOptions,
    options: TeachOptions,
    *,
    model: bytes,
    duration_s: float,
    warnings: tuple[str, ...],
    finds: tuple[str, ...],
    detection: Detection | None,
    pictures: tuple[str, ...],
) -> Dossier:
    left_out = {entry.file.path.name: entry.reason for entry in located.failed}
    run = TrainingRun(
        detector=options.detector,
        model_sha256=hashlib.sha256(model).hexdigest(),
        software=software(),
        options=learning,
        seed=options.seed,
        duration_s=duration_s,
        warnings=warnings,
        finds=finds,
        detection=detection,
        pictures=pictures,
        location={"description": located.description, "left_out": left_out},
        known_good=learning.refinement.known_good,
        known_bad=learning.refinement.known_bad,
        command=options.command,
        parts_per_hour=options.parts_per_hour,
    )
    return collect(located.dataset, learned, run)
