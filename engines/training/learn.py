"""The procedure that makes a detector out of unlabelled images: refine, learn what is kept, calibrate.

Teaching, the refresh job and the evaluation all call `learn`, so what is measured is what is shipped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, KnownDefectsRecord, PossibleVariants, ReviewPrice, Reviews
from engines.detectors.base import Detector
from engines.errors import TrainingError
from engines.training.calibration.calibrate import REVIEW_BUDGET, calibrate
from engines.training.calibration.price import price_list
from engines.training.fitting.crossfit import FOLDS, CrossFit, OnModel, cross_fit, folds_for, steps_help
from engines.training.fitting.train import (
    CLOSED_FORM,
    MAX_CLOSED_FORM_IMAGES,
    TrainOptions,
    Weights,
    fit_detail,
    score,
    train,
)
from engines.training.images.dataset import MIN_IMAGES
from engines.training.images.features import CachedFeatures
from engines.training.images.grouping import coarsest, part_groups, twin_groups
from engines.training.images.looks import looks
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import join_known_defects
from engines.training.known_defects.kinds import FoundKinds, kinds_of
from engines.training.known_defects.masks import DefectCells
from engines.training.known_defects.record import record_of
from engines.training.refinement.auto import MASK_ROUNDS, MAX_ROUNDS
from engines.training.refinement.records import CellWeights, Checkpoint, Indices, Refinement, RefineOptions, Scores
from engines.training.refinement.refine import refine
from engines.training.refinement.variants import possible_variants, with_variants

FINE_TUNE_SHARE = 0.2
"""Of the detector's steps, after each removal of the papers' refinement."""

OnStep = Callable[[str, int, int], None]
"""(name of the step, done, total); called on the thread that teaches, often: it must return at once."""


@dataclass(frozen=True)
class LearnOptions:
    """What a training depends on beside its images."""

    refinement: RefineOptions = field(default_factory=RefineOptions)
    training: TrainOptions = field(default_factory=TrainOptions)
    false_reject_budget: float = 0.01
    review_budget: float = REVIEW_BUDGET


@dataclass(frozen=True)
class Learned:
    """What came of it; the detector is left trained. Indices are positions in the images given."""

    refinement: Refinement
    held_out: CrossFit
    """Of the kept images, each by a model that did not see it."""
    couplings_used: bool
    """False: the closed form alone explained unseen images better, or there is nothing to train."""
    calibration: Calibration
    prices: tuple[ReviewPrice, ...] = ()
    """What other review budgets would cost and catch."""
    possible_variants: PossibleVariants | None = None
    """What the manifest says of `refinement.variants`."""
    known_defects: KnownDefectsRecord | None = None
    """What the known-bad images added to the detector; None: there are none, or it takes none."""
    kinds: FoundKinds | None = None
    """Kinds of defects that the detector knows; None: fewer than two were named."""

    def held_out_sample(self, most: int) -> tuple[float, ...]:
        """The held-out image scores, ascending; evenly spaced where there are more than `most`."""
        scores = np.sort(self.held_out.image_scores)
        chosen = np.linspace(0, len(scores) - 1, min(len(scores), most)).round().astype(int)
        return tuple(float(score) for score in scores[chosen])

    def reviews(self, parts_per_hour: float | None) -> Reviews:
        """The price list of the engine. `parts_per_hour`: of its line, where that is known."""
        escapes = self.calibration.escapes
        return Reviews(
            chosen_budget=self.calibration.review_budget,
            parts_per_hour=parts_per_hour,
            labelled_defects=0 if escapes is None else escapes.defective_count,
            prices=self.prices,
        )


def learn(
    detector: Detector,
    features: CachedFeatures,
    indices: Indices,
    options: LearnOptions,
    *,
    on_step: OnStep = lambda _step, _done, _total: None,
    checkpoint: Checkpoint | None = None,
    masks: DefectCells | None = None,
    kinds: Mapping[int, str] | None = None,
    on_model: OnModel | None = None,
) -> Learned:
    """Make a detector of the images `indices` (in the order of capture).

    Args:
        masks: where known-bad images show their defect, by position.
        kinds: what the defects of known-bad images are called, by position.
        on_model: see `cross_fit`, of the models that the limits come from: with known defects joined, where they are.

    Raises:
        TrainingError: too few images are left, or a step is impossible; says which.
    """
    if len(indices) < MIN_IMAGES:
        raise TrainingError(f"{len(indices)} images to learn from, at least {MIN_IMAGES} are needed: add images")
    # What shares a mark is held out together, so it cannot vouch for itself: until a person calls it good.
    grouped = part_groups if options.refinement.variants == "keep" else twin_groups
    judge = FeatureJudge(detector, features, indices, options.training, grouped)
    detector.known_defects = detector.kinds = None
    done = 0
    most = {"auto": MAX_ROUNDS + MASK_ROUNDS, "osr": 1}.get(options.refinement.method, 1)

    def on_round() -> None:
        nonlocal done
        done += 1
        on_step("refine", min(done, most), most)

    on_step("refine", 0, most)
    refinement = refine(judge, len(indices), options.refinement, checkpoint, on_round)
    on_step("refine", most, most)
    if len(refinement.kept) < MIN_IMAGES:
        raise TrainingError(
            f"refinement left {len(refinement.kept)} of {len(indices)} images, at least {MIN_IMAGES} are needed; "
            "too many images do not look like the others: check that most show good parts, or add images"
        )
    kept = indices[refinement.kept]
    weights = _for_all(refinement.weights, indices, features)
    groups = grouped(features, kept)
    known_bad = indices[np.array(sorted(options.refinement.known_bad), np.intp)]
    models: list[Detector] = []
    keep = (lambda model, _unseen: models.append(copy.deepcopy(model))) if len(known_bad) else on_model
    held_out, used = _train(
        detector, features, kept, weights, options.training, groups=groups, folds=folds_for(len(indices)),
        on_step=on_step, on_model=keep,
    )  # fmt: skip
    fit_detail(detector, features, kept, weights)
    cells = Cells(detector, features, kept, held_out, weights=weights, models=models)
    joined = join_known_defects(cells, LabelledImages(known_bad, masks or {}))
    if on_model is not None:
        for fold, model in enumerate(models):
            model.known_defects = joined.of_folds[fold] if joined.of_folds else None
            on_model(model, kept[cells.folds == fold])
    aside = _set_aside(refinement, indices, known_bad, lambda images: twin_groups(features, images))
    in_groups, groups = _in_groups(kept, held_out.groups, joined.usable, aside)
    budgets = options.false_reject_budget, options.review_budget

    def sample(held_out: CrossFit) -> tuple[Scores, Scores]:
        image_scores, maps = score(detector, features, aside)
        peaks = np.concatenate([held_out.map_peaks, maps.max(axis=(1, 2), initial=-np.inf)])
        return np.concatenate([held_out.image_scores, image_scores])[in_groups], peaks[in_groups]

    def limits(held_out: CrossFit, defective: Scores) -> Calibration:
        return calibrate(
            *sample(held_out),
            *budgets,
            defective_scores=defective if len(defective) else None,
            is_dirty=refinement.dirt_share > 0 or weights is not None,
        )

    found_kinds = kinds_of(cells, joined.head, known_bad, kinds or {}, joined.groups)
    before = limits(held_out, joined.labelled_before) if len(joined.labelled) else None
    detector.known_defects = joined.head
    calibration = limits(joined.held_out, joined.labelled)
    known_defects = None if before is None else record_of(joined, held_out, before, calibration)
    held_out = joined.held_out
    prices = price_list(
        sample(held_out)[0],
        groups,
        *budgets,
        defective_scores=joined.labelled if len(known_bad) else None,
    )
    alike = refinement.variants
    unlearned = indices[np.setdiff1d(np.concatenate([*alike, refinement.kept[:0]]), refinement.kept)]
    found = possible_variants(
        alike, score(detector, features, unlearned)[0], len(kept), calibration, options.refinement.variants
    )
    detector.kinds = None if found_kinds is None else found_kinds.head
    return Learned(
        refinement, held_out, used, with_variants(calibration, found), prices, found, known_defects, found_kinds
    )


def _set_aside(
    refinement: Refinement, indices: Indices, known_bad: Indices, twins: Callable[[Indices], Indices]
) -> Indices:
    """Images that were not learned although the data count as clean: good ones that are rare, as far as anybody knows.

    The limits count them, or the promise would hold for all but the rarest good parts. A possible variant has a promise
    of its own, and twins of known-bad images may show the same defect.

    Args:
        twins: see `twin_groups`.
    """
    if refinement.dirt_share > 0:
        return indices[:0]
    asked = np.concatenate([*refinement.variants, refinement.kept[:0]])
    aside = np.setdiff1d(indices[np.setdiff1d(refinement.removed, asked)], known_bad)
    groups = twins(np.concatenate([known_bad, aside]))
    return aside[~np.isin(groups[len(known_bad) :], groups[: len(known_bad)])]


def _in_groups(kept: Indices, groups: Indices, usable: NDArray[np.bool_], aside: Indices) -> tuple[Indices, Indices]:
    """Positions in `kept` and then `aside` of the images that limits are drawn from, and the part of each.

    In the order of capture, but copies of one part side by side: they count as neighbours, so as fewer.
    """
    parts = np.concatenate([kept[groups], aside])
    order = np.argsort(parts, kind="stable")
    order = order[np.concatenate([usable, np.ones(len(aside), np.bool_)])[order]]
    return order, parts[order]


class FeatureJudge:
    """The `Judge` of refinement for a detector on cached features.

    Held-out scores are of the closed form where there is one: couplings soak up dirt, and the rounds stay cheap.
    """

    def __init__(
        self,
        detector: Detector,
        features: CachedFeatures,
        indices: Indices,
        training: TrainOptions,
        grouped: Callable[[CachedFeatures, Indices], Indices] = twin_groups,
    ) -> None:
        """`grouped`: which images are held out together."""
        self._grouped = grouped
        self._detector = detector
        self._features = features
        self._indices = indices
        self._training = training
        self._trained = False

    @cached_property
    def _groups(self) -> Indices:
        return self._grouped(self._features, self._indices)

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        """See `Judge.own`; a detector with a closed form is refined by that, as in `unseen`."""
        images = self._indices[kept]
        training = CLOSED_FORM if self._detector.has_closed_form else self._training
        fine_tuned = continued and self._trained and training.steps_of(self._detector) > 0
        if fine_tuned:
            steps = max(1, round(FINE_TUNE_SHARE * training.steps_of(self._detector)))
            training = TrainOptions(steps, training.seed)
        train(self._detector, self._features, images, training, continued=fine_tuned)
        self._trained = True
        scores, _ = score(self._detector, self._features, images)
        return scores

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        """See `Judge.unseen`."""
        found = cross_fit(
            self._detector,
            self._features,
            self._indices,
            CLOSED_FORM if self._detector.has_closed_form else self._training,
            learned=self._indices[learned],
            weights=_for_all(weights, self._indices, self._features),
            groups=self._groups,
            folds=FOLDS,  # compared with each other: more would double the time and change little
        )
        return found.image_scores, found.maps

    def positive(self, scores: Scores) -> Scores:
        """See `Judge.positive`."""
        return np.asarray(self._detector.positive(torch.from_numpy(scores)).numpy(), np.float64)

    def describe(self, images: Indices, kept: Indices) -> NDArray[np.float32]:
        """See `Judge.describe`: of the coarsest features, see `looks`."""
        values = coarsest(self._features)
        ordinary = kept[:: -(-len(kept) // MAX_CLOSED_FORM_IMAGES)]
        return looks(values[self._indices[images]], values[self._indices[ordinary]])

    def parts(self) -> Indices:
        """See `Judge.parts`."""
        return part_groups(self._features, self._indices)


def _train(
    detector: Detector,
    features: CachedFeatures,
    kept: Indices,
    weights: Weights,
    options: TrainOptions,
    *,
    groups: Indices,
    folds: int,
    on_step: OnStep,
    on_model: OnModel | None,
) -> tuple[CrossFit, bool]:
    """Leave `detector` trained on all kept images; returns held-out scores of the same procedure.

    Where there is a closed form, training steps must earn their place: on unseen images.
    """
    done, total = 0, folds + 2

    def on_fold() -> None:
        nonlocal done
        done += 1
        on_step("train", done, total)

    on_step("train", 0, total)
    used = options.steps_of(detector) > 0 and any(each.requires_grad for each in detector.parameters())
    if used and detector.has_closed_form:
        used = steps_help(detector, features, kept, options, weights=weights, groups=groups, folds=folds)
    on_fold()
    chosen = options if used else CLOSED_FORM
    held_out = cross_fit(
        detector,
        features,
        kept,
        chosen,
        weights=weights,
        groups=groups,
        folds=folds,
        on_fold=on_fold,
        on_model=on_model,
    )
    train(detector, features, kept, chosen, weights)
    on_step("train", total, total)
    return held_out, used


def _for_all(weights: CellWeights | None, indices: Indices, features: CachedFeatures) -> Weights:
    """Weights of the images `indices` as weights of all images that have features."""
    if weights is None:
        return None
    count = len(next(iter(features.values())))
    everywhere = np.ones((count, *weights.shape[1:]), np.uint8)
    everywhere[indices] = weights
    return everywhere
