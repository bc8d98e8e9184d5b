"""The procedure that makes a detector out of unlabelled images: refine, learn what is kept, calibrate.

Teaching, the refresh job and the evaluation all call `learn`, so what is measured is what is shipped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, KnownDefectsRecord, PossibleVariants, ReviewPrice, Reviews
from engines.detectors.base import Detector
from engines.detectors.prior import PriorWeights
from engines.detectors.sums import Sums
from engines.errors import TrainingError
from engines.training.blocks.earlier import Earlier, Weighed
from engines.training.blocks.kept import LearnedImages
from engines.training.calibration.calibrate import REVIEW_BUDGET
from engines.training.calibration.price import price_list
from engines.training.defects import learn_defects
from engines.training.fitting.crossfit import CrossFit, OnModel, cross_fit, folds_for, steps_help
from engines.training.fitting.judge import FeatureJudge
from engines.training.fitting.prior import chosen_prior
from engines.training.fitting.train import (
    CLOSED_FORM,
    TrainOptions,
    Weights,
    fit_detail,
    for_all,
    score,
    train,
)
from engines.training.images.dataset import MIN_IMAGES
from engines.training.images.features import CachedFeatures
from engines.training.images.grouping import part_groups, twin_groups
from engines.training.kinds.fit import FoundKinds
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.kinds import kinds_head
from engines.training.known_defects.masks import DefectCells
from engines.training.limits import Limits, in_groups_of, set_aside, without_twins
from engines.training.refinement.auto import MASK_ROUNDS, MAX_ROUNDS
from engines.training.refinement.records import Checkpoint, Indices, Refinement, RefineOptions
from engines.training.refinement.refine import refine
from engines.training.refinement.variants import possible_variants, with_variants

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
    suspects: KnownDefectsRecord | None = None
    """What images that refinement left out added to the detector as examples of defects; None: nothing."""
    known_defects: KnownDefectsRecord | None = None
    """What the known-bad images added to the detector; None: there are none, or it takes none."""
    kinds: FoundKinds | None = None
    """Kinds of defects that the detector knows; None: fewer than two were named."""
    mine: LearnedImages | None = None
    """What a later teaching needs of these images to learn them, too."""
    prior: Mapping[str, PriorWeights] = field(default_factory=dict)
    """How many images the prior of other sites counts as, by stream; empty: there was none."""

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
    blocks: Sequence[Weighed] = (),
    others: Sums | None = None,
) -> Learned:
    """Make a detector of the images `indices` (in the order of capture).

    Args:
        blocks: what was learned before, and is learned here, too.
        others: of other sites, as a prior; refinement and limits do without.
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
    detector.suspects = detector.known_defects = detector.kinds = detector.earlier = detector.prior = None
    done = 0
    most = {"auto": MAX_ROUNDS + MASK_ROUNDS, "osr": 1}.get(options.refinement.method, 1)

    def on_round() -> None:
        nonlocal done
        done += 1
        on_step("refine", min(done, most), most)

    on_step("refine", 0, most)
    refinement = _refined(judge, len(indices), options.refinement, checkpoint, on_round)
    on_step("refine", most, most)
    if len(refinement.kept) < MIN_IMAGES:
        raise TrainingError(
            f"refinement left {len(refinement.kept)} of {len(indices)} images, at least {MIN_IMAGES} are needed; "
            "too many images do not look like the others: check that most show good parts, or add images"
        )
    kept = indices[refinement.kept]
    weights = for_all(refinement.weights, indices, features)
    groups = grouped(features, kept)
    known_bad = indices[np.array(sorted(options.refinement.known_bad), np.intp)]
    suspects = indices[refinement.suspects if not blocks else refinement.suspects[:0]]
    models: list[Detector] = []
    folds = folds_for(len(indices) + sum(one.block.learned for one in blocks))
    earlier = Earlier(detector, blocks, folds) if blocks else None
    has_head = len(known_bad) > 0 or len(suspects) > 0
    keeps = has_head or earlier is not None
    keep = (lambda model, _unseen: models.append(_copy_of(model))) if keeps else on_model
    held_out, used, counts_as = _train(
        detector, features, kept, weights, options.training, groups=groups, folds=folds,
        on_step=on_step, on_model=keep, earlier=earlier, others=others,
    )  # fmt: skip
    _finish(detector, features, kept, weights)
    twins = partial(twin_groups, features)
    aside = set_aside(refinement, indices, known_bad, twins)
    doubtful = without_twins(indices[refinement.doubtful], known_bad, twins)
    budgets = options.false_reject_budget, options.review_budget
    is_dirty = refinement.dirt_share > 0 or weights is not None

    def limits_from(usable: NDArray[np.bool_]) -> Limits:
        in_groups, parts = in_groups_of(kept, held_out.groups, usable, aside)
        return Limits(detector, features, aside, doubtful, in_groups, parts, budgets, is_dirty, earlier, models)

    cells = Cells(detector, features, kept, held_out, weights=weights, models=models if has_head else [])
    labelled = LabelledImages(known_bad, masks or {})
    learned = learn_defects(cells, labelled, suspects, kinds or {}, limits_from)
    if on_model is not None:
        for fold, model in enumerate(models):
            on_model(model, kept[held_out.fold_of_each == fold])
    held_out, limits, calibration = learned.held_out, learned.limits, learned.calibration
    prices = price_list(
        learned.price_scores,
        limits.parts(),
        *budgets,
        defective_scores=learned.labelled_scores,
        doubtful_scores=learned.doubtful_scores,
        shown=learned.shown,
    )
    alike = refinement.variants
    unlearned = indices[np.setdiff1d(np.concatenate([*alike, refinement.kept[:0]]), refinement.kept)]
    found = possible_variants(
        alike,
        score(detector, features, unlearned)[0],
        limits.learned(len(kept)),
        calibration,
        options.refinement.variants,
    )
    detector.kinds = kinds_head(learned.kinds, detector.map_size)
    mine = LearnedImages(kept, aside, held_out.groups, limits.in_groups, is_dirty)
    return Learned(
        refinement, held_out, used, with_variants(calibration, found), prices, found, learned.suspects,
        learned.known_defects, learned.kinds, mine, counts_as,
    )  # fmt: skip


def _refined(
    judge: FeatureJudge, count: int, options: RefineOptions, checkpoint: Checkpoint | None, on_round: Callable[[], None]
) -> Refinement:
    detector = judge.detector
    detector.in_sums = False
    try:
        return refine(judge, count, options, checkpoint, on_round)
    finally:
        detector.in_sums = True


def _finish(detector: Detector, features: CachedFeatures, kept: Indices, weights: Weights) -> None:
    """What needs no held-out images; then the detector knows neither blocks nor prior, only what came of them."""
    fit_detail(detector, features, kept, weights)
    detector.earlier = detector.prior = None


def _copy_of(model: Detector) -> Detector:
    """A model that is only scored with: without the sums that it was made of."""
    sums, (model.earlier, model.prior) = (model.earlier, model.prior), (None, None)
    try:
        return copy.deepcopy(model)
    finally:
        model.earlier, model.prior = sums


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
    earlier: Earlier | None,
    others: Sums | None,
) -> tuple[CrossFit, bool, Mapping[str, PriorWeights]]:
    """Leave `detector` trained on all kept images; returns held-out scores of the same procedure, whether there were
    steps, and what the prior of the others counts as.

    Where there is a closed form, training steps must earn their place: on unseen images. Beside earlier blocks or a
    prior there are none: steps would learn the new images alone.
    """
    done, total = 0, folds + 2

    def on_fold() -> None:
        nonlocal done
        done += 1
        on_step("train", done, total)

    on_step("train", 0, total)

    def before(fold: int) -> None:
        if earlier is not None:
            detector.earlier = earlier.seen_by(fold)

    if others is not None:
        detector.prior = chosen_prior(detector, features, kept, others, weights=weights, groups=groups)
    may_step = earlier is None and detector.prior is None and options.steps_of(detector) > 0
    used = may_step and any(each.requires_grad for each in detector.parameters())
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
        before=before,
    )
    if earlier is not None:
        detector.earlier = earlier.total
    train(detector, features, kept, chosen, weights)
    on_step("train", total, total)
    return held_out, used, {} if detector.prior is None else detector.prior.weights
