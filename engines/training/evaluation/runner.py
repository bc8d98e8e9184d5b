"""One run: learn a training set with one refinement, then score the images kept apart for the test."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, InputSpec
from engines.detectors.base import Detector
from engines.errors import TrainingError
from engines.runtimes.onnx import OnnxRuntime
from engines.training.calibration.calibrate import REVIEW_BUDGET, ObservedShare, realised
from engines.training.evaluation import metrics
from engines.training.evaluation.causes import pass_causes, seen_share
from engines.training.evaluation.pixels import evaluation_size, map_on_image, read_mask
from engines.training.evaluation.prepare import LocatedSet, Prepared
from engines.training.evaluation.protocol import Split, contaminated_split, resplit, standard_split
from engines.training.evaluation.results import BY_PART, RANDOM, STANDARD, Escapes, Result, Run
from engines.training.fitting.train import TrainOptions, score, shown_maps
from engines.training.images.grouping import twin_groups
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import REFINEMENTS, RefineOptions
from engines.training.release.export import export_onnx, map_spec

ORACLE = "oracle"
ALL_REFINEMENTS = (ORACLE, *reversed(REFINEMENTS))
KEPT_MISTAKES = 4
"""Of good images that score highest and of defective ones that score lowest, the maps are kept for the report."""
KEPT_MAP_SIDE_PX = 96
INFERENCE_REPEATS = 15


@dataclass(frozen=True)
class EvaluateOptions:
    """What is the same for all runs."""

    backbone: str = "lite0"
    steps: int | None = None
    """Training steps; None: the detector's own number."""
    false_reject_budget: float = 0.01
    review_budget: float = REVIEW_BUDGET


def run_once(
    run: Run, data: LocatedSet, prepared: Prepared, options: EvaluateOptions, fingerprint: str
) -> tuple[Result, dict[str, NDArray[Any]]]:
    """Learn, score, measure. Returns the figures and what the report draws.

    Raises:
        TrainingError: the run cannot be done, as when refinement leaves too few images.
    """
    split = _split(run, data, prepared)
    train = split.oracle_train if run.refine == ORACLE else split.train
    train_bad = int(np.count_nonzero(split.train_is_dirty))
    refinement = RefineOptions(method="none" if run.refine == ORACLE else run.refine)
    learning = LearnOptions(
        refinement, TrainOptions(options.steps, run.seed), options.false_reject_budget, options.review_budget
    )
    started = time.monotonic()
    row = np.cumsum(data.is_located) - 1  # of the features; images without a part have none
    train = train[data.is_located[train]]
    learned = learn(prepared.detector, prepared.features, row[train], learning)
    training_s = time.monotonic() - started
    removed = train[learned.refinement.removed]
    is_scored = data.is_located[split.test]
    found, _ = score(prepared.detector, prepared.features, row[split.test[is_scored]])
    # Where no part is found the line calls for a review: worst in rank, and neither passed nor rejected.
    scores = np.full(len(split.test), found.max() + 1)
    scores[is_scored] = found
    good, defective = scores[: len(split.test_good)], scores[len(split.test_good) :]
    is_good_scored, is_defective_scored = is_scored[: len(good)], is_scored[len(good) :]
    verdicts = realised(
        learned.calibration,
        good[is_good_scored],
        defective[is_defective_scored],
        twin_groups(prepared.features, row[split.test_good[is_good_scored]]),
    )
    maps = shown_maps(prepared.detector, prepared.features, row[split.test[is_scored]])
    shown = {int(index): anomaly_map for index, anomaly_map in zip(split.test[is_scored], maps, strict=True)}
    pixel_auroc, aupro = _pixel_figures(data, shown)
    causes = pass_causes(
        good,
        np.where(is_defective_scored, defective, np.inf),
        _seen_shares(data, split),
        review_score=learned.calibration.review_score,
        review_budget=options.review_budget,
    )
    kinds = np.array([data.labels.samples[index].defect for index in split.test_defective])

    def escapes(chosen: NDArray[np.bool_]) -> Escapes:
        return _escapes(learned.calibration, good, defective[chosen], is_defective_scored[chosen])

    removed_bad = int(np.isin(removed, split.train[split.train_is_dirty]).sum())
    result = Result(
        **asdict(run),
        backbone=options.backbone,
        fingerprint=fingerprint,
        finished=_now(),
        train_good=len(split.train) - train_bad,
        train_bad=train_bad,
        test_good=len(good),
        test_defective=len(defective),
        test_not_located=int(np.count_nonzero(~is_scored)),
        image_auroc=metrics.auroc(good, defective),
        f1_max=metrics.f1_max(good, defective),
        pixel_auroc=pixel_auroc,
        aupro=aupro,
        auroc_by_defect={str(kind): metrics.auroc(good, defective[kinds == kind]) for kind in np.unique(kinds)},
        false_reject_budget=options.false_reject_budget,
        review_budget=options.review_budget,
        false_reject=verdicts.false_rejects.count / len(good),
        promise_refuted=verdicts.refuted,
        independent_good=verdicts.independent_good,
        good_review=_share_with_unlocated(verdicts.good_in_review, is_good_scored),
        escape=verdicts.escapes.count / len(defective),
        escapes=escapes(np.ones(len(defective), np.bool_)),
        escapes_by_defect={str(kind): escapes(kinds == kind) for kind in np.unique(kinds)},
        causes=causes,
        trade_off=metrics.trade_off(good, defective),
        at_review_budget={
            f"{100 * price.review_budget:.3g}": {
                "passed": float(np.mean((defective <= price.review_score) & is_defective_scored)),
                "good_above": float(np.mean((good > price.review_score) | ~is_good_scored)),
            }
            for price in learned.prices
        },
        defective_review=_share_with_unlocated(verdicts.defective_in_review, is_defective_scored),
        reject_score=learned.calibration.reject_score,
        review_score=learned.calibration.review_score,
        removed_good=len(removed) - removed_bad,
        removed_bad=train_bad if run.refine == ORACLE else removed_bad,
        dirt_share=learned.refinement.dirt_share,
        training_s=training_s,
        features_s=prepared.features_s,
    )
    return result, {"indices": split.test, "scores": scores, **_mistakes(data, split, scores, shown)}


def failed(run: Run, options: EvaluateOptions, fingerprint: str, error: Exception) -> Result:
    """The result of a run that could not be done."""
    message = str(error) if isinstance(error, TrainingError) else f"unexpected {type(error).__name__}: {error}"
    return Result(**asdict(run), backbone=options.backbone, fingerprint=fingerprint, finished=_now(), error=message)


def run_fingerprint(run: Run, data: LocatedSet, options: EvaluateOptions, source: str) -> str:
    """Hash over everything that a result depends on."""
    content = {"run": asdict(run), "data": data.sha256, "options": asdict(options), "source": source}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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


def _share_with_unlocated(in_review: ObservedShare, is_scored: NDArray[np.bool_]) -> float:
    """A part that was not found in its image goes to review, too."""
    return (in_review.count + int(np.count_nonzero(~is_scored))) / len(is_scored)


def _split(run: Run, data: LocatedSet, prepared: Prepared) -> Split:
    if run.protocol == STANDARD:
        return standard_split(data.labels)
    if run.protocol == RANDOM:
        return resplit(data.labels, run.seed)
    if run.protocol == BY_PART:
        first = len(data.labels.train_good) + len(data.labels.train_defective)
        good = np.r_[np.arange(len(data.labels.train_good)), np.arange(first, first + len(data.labels.test_good))]
        groups = -1 - np.arange(len(good))  # an image without a part is by itself
        there = data.is_located[good]
        groups[there] = twin_groups(prepared.features, (np.cumsum(data.is_located) - 1)[good[there]])
        return resplit(data.labels, run.seed, groups)
    return contaminated_split(data.labels, run.noise, run.seed)


def _escapes(
    limits: Calibration, good: NDArray[np.float64], defective: NDArray[np.float64], is_scored: NDArray[np.bool_]
) -> Escapes:
    """`is_scored`: whether the part was found; where not it goes to review, so it is neither passed nor rejected."""
    return Escapes(
        count=len(defective),
        passed=float(np.mean((defective <= limits.review_score) & is_scored)),
        not_rejected=float(np.mean((defective <= limits.reject_score) | ~is_scored)),
        ranked_1=metrics.escapes_by_ranking(good, defective, 0.01),
        ranked_5=metrics.escapes_by_ranking(good, defective, 0.05),
    )


def _seen_shares(data: LocatedSet, split: Split) -> NDArray[np.float64]:
    """Of every defective test image, how much of the defect the model sees; 1 where that is not known."""
    shares = np.ones(len(split.test_defective))
    for position, index in enumerate(split.test_defective):
        placement = data.placements[index]
        mask = None if placement is None else read_mask(data.labels.samples[index], data.files[index])
        if mask is not None and placement is not None:
            shares[position] = seen_share(mask, placement)
    return shares


def _pixel_figures(data: LocatedSet, maps: Mapping[int, NDArray[np.float32]]) -> tuple[float | None, float | None]:
    """Pixel AUROC and AUPRO; None where no mask is known. Defective images without a mask are left out."""
    seen_maps = []
    masks = []
    for index, anomaly_map in maps.items():
        mask = read_mask(data.labels.samples[index], data.files[index])
        if mask is not None:
            masks.append(mask)
            seen_maps.append(_on_image(data, index, anomaly_map, (mask.shape[1], mask.shape[0])))
    if not any(mask.any() for mask in masks) or all(mask.all() for mask in masks):
        return None, None
    return metrics.pixel_metrics(seen_maps, masks)


def _mistakes(
    data: LocatedSet, split: Split, scores: NDArray[np.float64], maps: Mapping[int, NDArray[np.float32]]
) -> Mapping[str, NDArray[Any]]:
    """Positions in the test set of the worst mistakes, and their maps over the image as `map<position>`."""
    good_count = len(split.test_good)
    order = np.argsort(scores, kind="stable")
    false_alarms = order[order < good_count][::-1][:KEPT_MISTAKES]
    misses = order[order >= good_count][:KEPT_MISTAKES]
    worst = np.array([position for position in (*false_alarms, *misses) if int(split.test[position]) in maps], np.intp)
    drawn = {}
    for position in worst:
        index = int(split.test[position])
        width, height = evaluation_size(data.files[index])
        scale = min(1.0, KEPT_MAP_SIDE_PX / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        drawn[f"map{position}"] = _on_image(data, index, maps[index], size).astype(np.float16)
    return {"worst": worst, **drawn}


def _on_image(
    data: LocatedSet, index: int, anomaly_map: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    placement = data.placements[index]
    assert placement is not None  # there is a map, so there was a part
    return map_on_image(anomaly_map, placement, size)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
