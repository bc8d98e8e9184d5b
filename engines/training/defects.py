"""What defects teach beside good parts: the images that a person has labelled, then the suspects of refinement.

labelled ─► head without a bound ──────────────► detector.known_defects
suspects ─► head below the reject limit of that ─► detector.suspects
limits from what both make of good images that they have not seen
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, KnownDefectsRecord
from engines.detectors.known_defects import Bound, bent
from engines.training.calibration.bounded import Lifted, calibrate_bounded
from engines.training.fitting.crossfit import CrossFit
from engines.training.kinds.fit import FoundKinds
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import join_known_defects
from engines.training.known_defects.kinds import kinds_of
from engines.training.known_defects.record import record_of
from engines.training.limits import Limits
from engines.training.refinement.records import Indices, Scores

LimitsFrom = Callable[[NDArray[np.bool_]], Limits]
"""How limits are drawn from those of the kept images that are True."""


@dataclass(frozen=True)
class LearnedDefects:
    """What came of it; the detector has the heads."""

    held_out: CrossFit
    """With what heads add that did not see the images."""
    limits: Limits
    calibration: Calibration
    known_defects: KnownDefectsRecord | None
    """None: nothing is labelled."""
    labelled_scores: Scores | None
    """By heads that did not see them; None: nothing is labelled."""
    price_scores: Scores
    """Of good images, as limits are drawn from them."""
    doubtful_scores: Scores
    """See `Limits.doubtful`; without the head of the suspects."""
    shown: Callable[[float], float]
    """Brings a limit of these to the scale of the engine."""
    suspects: KnownDefectsRecord | None = None
    """None: there are none, or they change no score."""
    kinds: FoundKinds | None = None


def learn_defects(
    cells: Cells, labelled: LabelledImages, suspects: Indices, kinds: Mapping[int, str], limits_from: LimitsFrom
) -> LearnedDefects:
    """Give the detector of `cells` its heads, and the models of cross-fitting theirs."""
    joined = join_known_defects(cells, labelled)
    limits = limits_from(joined.usable)
    has_labelled = len(labelled.indices) > 0
    before = limits.calibration(cells.held_out, joined.labelled_before) if has_labelled else None
    cells.detector.known_defects = joined.head
    for fold, model in enumerate(cells.given):
        model.known_defects = joined.of_folds[fold] if joined.of_folds else None
    calibration = limits.calibration(joined.held_out, joined.labelled)
    learned = LearnedDefects(
        joined.held_out,
        limits,
        calibration,
        None if before is None else record_of(joined, cells.held_out, before, calibration),
        joined.labelled if has_labelled else None,
        limits.sample(joined.held_out)[0],
        limits.doubtful_scores(),
        lambda limit: limit,
    )
    if len(suspects):
        learned = _with_suspects(learned, cells.with_held_out(joined.held_out), suspects, joined.usable, limits_from)
    return replace(learned, kinds=kinds_of(cells, labelled.indices, kinds, joined.groups))


def _with_suspects(
    learned: LearnedDefects, cells: Cells, suspects: Indices, usable: NDArray[np.bool_], limits_from: LimitsFrom
) -> LearnedDefects:
    """The same with a head for suspects, where it finds something below the reject limit.

    It raises no place beyond that: nobody has called these images defective. And it must have proved itself on suspects
    that were left out, where a few labels count a little without.
    """
    before = learned.calibration
    bound = Bound(_band_of(before), before.reject_score)
    suspected = join_known_defects(cells, LabelledImages(suspects, {}), bound)
    if suspected.head is None or not suspected.by_leaving_out:  # with a head there are enough good ones for limits
        return learned
    limits = limits_from(suspected.usable & usable)
    samples = [limits.sample(each) for each in (cells.held_out, suspected.free, suspected.held_out)]
    image, peak = (
        Lifted(alone, free, bounded, lambda limit: _bent(limit, bound))
        for alone, free, bounded in zip(*samples, strict=True)
    )
    unbounded = limits.calibration(suspected.free, np.empty(0))
    calibration = calibrate_bounded(before, unbounded, image, peak, learned.labelled_scores)
    if calibration is None:
        return learned
    cells.detector.suspects = suspected.head
    for model, head in zip(cells.given, suspected.of_folds, strict=True):
        model.suspects = head
    return replace(
        learned,
        held_out=suspected.held_out,
        limits=limits,
        calibration=calibration,
        price_scores=image.free,
        shown=image.limit,
        suspects=record_of(suspected, cells.held_out, before, calibration),
    )


def _band_of(limits: Calibration) -> float:
    """From where a head is bent: the review limit, or half way to it where both limits are one."""
    if limits.review_score < limits.reject_score:
        return limits.review_score
    return (limits.typical_score + limits.reject_score) / 2


def _bent(limit: float, bound: Bound) -> float:
    return float(bent(torch.tensor(limit, dtype=torch.float64), bound))
