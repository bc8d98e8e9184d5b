"""What defects teach beside good parts: first the suspects of refinement, then the images that a person has labelled.

suspects ─► head below the reject limit ─► detector.suspects
labelled ─► head without a bound ────────► detector.known_defects
limits from what both make of good images that they have not seen
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, KnownDefectsRecord
from engines.training.calibration.calibrate import with_reject_limit
from engines.training.fitting.crossfit import CrossFit
from engines.training.kinds.fit import FoundKinds
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import Joined, join_known_defects
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
    suspects: KnownDefectsRecord | None
    """None: there are none, or they change no score."""
    known_defects: KnownDefectsRecord | None
    """None: nothing is labelled."""
    kinds: FoundKinds | None
    labelled_scores: Scores | None
    """By heads that did not see them; None: nothing is labelled."""


def learn_defects(
    cells: Cells, suspects: Indices, labelled: LabelledImages, kinds: Mapping[int, str], limits_from: LimitsFrom
) -> LearnedDefects:
    """Give the detector of `cells` its heads, and the models of cross-fitting theirs.

    Suspects raise no place beyond the reject limit that holds without them: nobody has called them defective.
    """
    detector = cells.detector
    without, suspected = _suspected(cells, suspects, limits_from)
    for model, head in zip(cells.given, suspected.of_folds, strict=False):
        model.suspects = head
    detector.suspects = suspected.head
    joined = join_known_defects(cells.with_held_out(suspected.held_out), labelled)
    for fold, model in enumerate(cells.given):
        model.known_defects = joined.of_folds[fold] if joined.of_folds else None
    limits = limits_from(suspected.usable & joined.usable)
    found_kinds = kinds_of(cells, joined.head, labelled.indices, kinds, joined.groups)
    has_labelled = len(labelled.indices) > 0
    before = limits.calibration(suspected.held_out, joined.labelled_before) if has_labelled else None
    detector.known_defects = joined.head
    calibration = limits.calibration(joined.held_out, joined.labelled)
    if suspected.head is not None and joined.head is None:
        samples = limits.sample(joined.held_out)[0], limits.sample(cells.held_out)[0]
        ceiling = suspected.head.ceiling
        assert ceiling is not None
        calibration = with_reject_limit(calibration, ceiling, *samples, joined.labelled if has_labelled else None)
    return LearnedDefects(
        joined.held_out,
        limits,
        calibration,
        record_of(suspected, cells.held_out, without, calibration) if without is not None and suspected.head else None,
        None if before is None else record_of(joined, suspected.held_out, before, calibration),
        found_kinds,
        joined.labelled if has_labelled else None,
    )


def _suspected(cells: Cells, suspects: Indices, limits_from: LimitsFrom) -> tuple[Calibration | None, Joined]:
    """The limits without suspects, where there are any, and what they add below the reject limit."""
    images = LabelledImages(suspects, {})
    if not len(suspects):
        return None, join_known_defects(cells, images)
    without = limits_from(np.ones(len(cells.kept), np.bool_)).calibration(cells.held_out, np.empty(0))
    return without, join_known_defects(cells, images, without.reject_score)
