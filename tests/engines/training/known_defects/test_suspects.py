"""Defects that hid in the training images find their like, and reject nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.detectors.base import Detector
from engines.training.fitting.train import CLOSED_FORM, score
from engines.training.learn import Learned, LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import WhitenedCellDetector, cached, weakly_defective_cells

GOOD, HIDDEN, FURTHER = 120, 16, 40
VALUES = weakly_defective_cells(GOOD, HIDDEN + FURTHER, GOOD)
VALUES[GOOD : GOOD + HIDDEN] = weakly_defective_cells(GOOD, HIDDEN + FURTHER, GOOD, strength=9.0)[GOOD : GOOD + HIDDEN]
FEATURES = cached(VALUES)
DIRTY = np.arange(GOOD + HIDDEN)
UNSEEN_BAD = np.arange(GOOD + HIDDEN, GOOD + HIDDEN + FURTHER)
OPTIONS = LearnOptions(RefineOptions("auto"), CLOSED_FORM, false_reject_budget=0.05)


def learned_with(detector: Detector, refinement: RefineOptions = OPTIONS.refinement) -> Learned:
    return learn(detector, FEATURES, DIRTY, replace(OPTIONS, refinement=refinement))


def test_hidden_defects_lift_their_like_and_never_beyond_the_reject_limit() -> None:
    detector = WhitenedCellDetector()
    learned = learned_with(detector)
    suspects, head = learned.suspects, detector.suspects
    assert suspects is not None
    assert head is not None
    assert head.bound is not None
    assert set(learned.refinement.suspects.tolist()) <= set(range(GOOD, GOOD + HIDDEN))
    assert suspects.labelled == len(learned.refinement.suspects)
    assert learned.known_defects is None
    assert learned.calibration.escapes is None, "nobody has labelled anything, so there is no bound on escapes"
    everything = np.arange(GOOD + HIDDEN, len(FEATURES["cells"]))
    joined, maps = score(detector, FEATURES, everything)
    detector.suspects = None
    alone, maps_alone = score(detector, FEATURES, everything)
    assert (maps >= maps_alone).all()
    assert (maps <= np.maximum(maps_alone, head.bound.ceiling) + 1e-5).all()
    reject, review = learned.calibration.reject_score, learned.calibration.review_score
    assert reject == pytest.approx(head.bound.ceiling, abs=1e-6), "and stays where it was"
    assert ((joined > reject) <= (alone > reject)).all(), "a part fails for its own oddness only"
    bad = np.isin(everything, UNSEEN_BAD)
    assert np.mean(joined[bad] <= review) < np.mean(alone[bad] <= review) - 0.1


def test_labelled_defects_come_on_top_and_may_reject() -> None:
    detector = WhitenedCellDetector()
    labelled = frozenset(range(GOOD, GOOD + 5))
    learned = learned_with(detector, RefineOptions("auto", known_bad=labelled))
    assert learned.known_defects is not None
    assert learned.known_defects.labelled == len(labelled)
    assert not labelled & set(learned.refinement.suspects.tolist())
    assert detector.known_defects is None or detector.known_defects.bound is None


def test_what_a_person_calls_good_stands_for_nothing() -> None:
    detector = WhitenedCellDetector()
    everyone = frozenset(range(GOOD, GOOD + HIDDEN))
    learned = learned_with(detector, RefineOptions("auto", known_good=everyone))
    assert len(learned.refinement.suspects) == 0
    assert learned.suspects is None
    assert detector.suspects is None


def test_the_next_learning_forgets_them_and_clean_data_have_none() -> None:
    detector = WhitenedCellDetector()
    learned_with(detector)
    assert detector.suspects is not None
    clean = learn(detector, FEATURES, np.arange(GOOD), OPTIONS)
    assert clean.suspects is None
    assert detector.suspects is None
    assert len(clean.refinement.suspects) == 0


def test_too_few_suspects_prove_nothing() -> None:
    detector = WhitenedCellDetector()
    two = np.r_[np.arange(60), GOOD, GOOD + 1]
    learned = learn(detector, FEATURES, two, OPTIONS)
    assert len(learned.refinement.suspects) == 2
    assert learned.suspects is None
    assert detector.suspects is None
