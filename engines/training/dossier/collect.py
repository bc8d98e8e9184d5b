"""From the results of a training to its dossier."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from engines.bundle.detection import Detection
from engines.errors import TrainingError
from engines.scale import ScoreScale
from engines.training.as_json import plain, plain_name
from engines.training.dossier.schema import DataRecord, Dossier, ImageRecord, RefinementRecord, RoundRecord
from engines.training.fitting.crossfit import CrossFit
from engines.training.images.dataset import Dataset
from engines.training.learn import Learned
from engines.training.refinement.records import Refinement, Round


@dataclass(frozen=True)
class TrainingRun:
    """What was asked of a training, and what surrounded it."""

    detector: str
    model_sha256: str
    software: Mapping[str, str]
    options: Any
    """A dataclass or a mapping, at any depth, of paths, numbers, texts and collections."""
    seed: int
    duration_s: float
    warnings: Sequence[str] = ()
    finds: Sequence[str] = ()
    """What the engine finds and what it does not see, or why that was not measured."""
    detection: Detection | None = None
    """The same in numbers."""
    pictures: Sequence[str] = ()
    """What good pictures look like, and what is promised of it."""
    location: Any = None
    """As `options`."""
    known_good: Collection[int] = ()
    known_bad: Collection[int] = ()
    parts_per_hour: float | None = None
    """Of the line, where it was given."""
    command: Sequence[str] = ()
    """Runs the same training again from the cached features; the dossier appends `--veto FILE`."""


def collect(dataset: Dataset, learned: Learned, run: TrainingRun) -> Dossier:
    """Everything that is known about a training.

    Raises:
        TrainingError: the parts do not belong together, or a score is not finite.
    """
    refinement, held_out, calibration = learned.refinement, learned.held_out, learned.calibration
    count = len(dataset.files)
    _check(count, refinement, held_out)
    masked = _masked_shares(count, refinement)
    gone = {int(image) for image in refinement.removed}
    rounds = tuple(_round_record(number, entry) for number, entry in enumerate(refinement.rounds, start=1))
    left_in = {image: entry for entry in rounds for image in entry.removed if image in gone}  # the last time counts
    final_scale = _scale(refinement.final_scores, refinement.final_limit)
    place_in_kept = {int(image): place for place, image in enumerate(refinement.kept)}
    protected = {int(image) for image in refinement.protected}

    def image_record(image: int) -> ImageRecord:
        left = left_in.get(image)
        removal = None if left is None else left.scores[left.images.index(image)]
        scale = None if left is None else _scale(left.scores, left.limit)
        final = float(refinement.final_scores[image])
        place = place_in_kept.get(image)
        held_out_score = None if place is None else float(held_out.image_scores[place])
        return ImageRecord(
            id=image,
            name=plain_name(dataset.files[image].path.name),
            sha256=dataset.files[image].sha256,
            fate="removed" if image in gone else "kept",
            protected=image in protected,
            removed_in_round=None if left is None else left.number,
            removal_score=removal,
            removal_shown=None if scale is None or removal is None else scale.shown(removal),
            masked_share=float(masked[image]),
            final_score=final,
            final_shown=None if final_scale is None else final_scale.shown(final),
            held_out_score=held_out_score,
            held_out_shown=None if held_out_score is None else calibration.scale.shown(held_out_score),
            held_out_peak=None if place is None else float(held_out.map_peaks[place]),
        )

    return Dossier(
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        detector=run.detector,
        model_sha256=run.model_sha256,
        data=DataRecord(folder=plain_name(str(dataset.folder)), sha256=dataset.sha256, image_count=count),
        software=dict(run.software),
        options=_mapping(run.options),
        seed=run.seed,
        duration_s=float(run.duration_s),
        warnings=tuple(run.warnings),
        finds=tuple(run.finds),
        detection=run.detection,
        pictures=tuple(run.pictures),
        location=_mapping(run.location),
        calibration=calibration,
        suspects=learned.suspects,
        known_defects=learned.known_defects,
        kinds=None if learned.kinds is None else learned.kinds.record,
        reviews=learned.reviews(run.parts_per_hour),
        refinement=RefinementRecord(
            method=refinement.method,
            rounds=rounds,
            removed=_ids(refinement.removed),
            final_limit=_finite(refinement.final_limit),
            capped=bool(refinement.capped),
            dirt_share=float(refinement.dirt_share),
            variants=tuple(_ids(variant) for variant in refinement.variants),
            suspects=_ids(refinement.suspects),
            known_good=_ids(sorted(run.known_good)),
            known_bad=_ids(sorted(run.known_bad)),
        ),
        possible_variants=learned.possible_variants,
        images=tuple(image_record(image) for image in range(count)),
        command=tuple(plain_name(word) for word in run.command),
    )


def _check(count: int, refinement: Refinement, held_out: CrossFit) -> None:
    together = sorted([*_ids(refinement.kept), *_ids(refinement.removed)])
    if together != list(range(count)) or len(refinement.final_scores) != count:
        raise TrainingError(
            f"dossier: {count} images, but {len(refinement.kept)} kept, {len(refinement.removed)} removed and "
            f"{len(refinement.final_scores)} final scores: these are results of different trainings"
        )
    if not len(held_out.image_scores) == len(held_out.map_peaks) == len(refinement.kept):
        raise TrainingError(
            f"dossier: {len(held_out.image_scores)} held-out scores of {len(refinement.kept)} kept images: "
            "these are results of different trainings"
        )
    for number, entry in enumerate(refinement.rounds, start=1):
        if len(entry.scores) != len(entry.indices) or not np.isin(entry.removed, entry.indices).all():
            raise TrainingError(f"dossier: round {number} removed images that it did not score")
    for name, scores in (
        ("final", refinement.final_scores),
        ("held-out", held_out.image_scores),
        ("held-out map", held_out.map_peaks),
        *((f"round {number}", entry.scores) for number, entry in enumerate(refinement.rounds, start=1)),
    ):
        if not np.isfinite(scores).all():
            raise TrainingError(f"dossier: a {name} score is not finite: the features or the training are broken")


def _round_record(number: int, entry: Round) -> RoundRecord:
    return RoundRecord(
        number=number,
        images=_ids(entry.indices),
        scores=tuple(float(score) for score in entry.scores),
        median=float(np.median(entry.scores)),
        limit=_finite(entry.limit),
        removed=_ids(entry.removed),
        returned=_ids(entry.returned),
        masked_share=float(entry.masked_share),
    )


def _masked_shares(count: int, refinement: Refinement) -> NDArray[np.float64]:
    if refinement.weights is None:
        return np.zeros(count)
    return np.asarray(1.0 - np.mean(refinement.weights != 0, axis=(1, 2)), np.float64)


def _scale(scores: Sequence[float] | NDArray[np.float64], limit: float | None) -> ScoreScale | None:
    """Typical is the median; None without a limit."""
    if limit is None or not math.isfinite(limit):
        return None
    just_below = limit - 1e-6 * max(1.0, abs(limit))  # a median at the limit: still a scale, if a steep one
    return ScoreScale(typical=min(float(np.median(scores)), just_below), limit=float(limit))


def _ids(indices: Sequence[int] | NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(index) for index in indices)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _mapping(value: Any) -> dict[str, JsonValue]:
    found = plain({} if value is None else value)
    if not isinstance(found, dict):
        raise TrainingError(f"dossier: {type(value).__name__} given where a mapping or a dataclass belongs")
    return found
