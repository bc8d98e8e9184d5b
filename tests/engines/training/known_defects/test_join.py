"""What labelled defects add: on features whose defects share a direction, and on such where they teach nothing."""

from __future__ import annotations

import numpy as np
import pytest

from engines.detectors.base import Detector
from engines.training.fitting.crossfit import FOLDS_OF_FEW, cross_fit
from engines.training.fitting.train import CLOSED_FORM, score, train
from engines.training.images.features import CachedFeatures
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import FEW_WEIGHT, Joined, join_known_defects, sure_gains
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import (
    COLUMNS,
    ROWS,
    CellDetector,
    WhitenedCellDetector,
    cached,
    weakly_defective_cells,
)

GOOD, BAD = 120, 40
KEPT = np.arange(GOOD)


def joined(
    features: CachedFeatures, labelled: int, detector: CellDetector, *, with_masks: bool = False, good: int = GOOD
) -> Joined:
    """Trains `detector` on the first good images and joins the first labelled ones to it."""
    kept = KEPT[:good]
    held_out = cross_fit(detector, features, kept, CLOSED_FORM)
    train(detector, features, kept, CLOSED_FORM)
    indices = np.arange(GOOD, GOOD + labelled)
    masks = {}
    if with_masks:
        values = features["cells"].astype(np.float32)
        off = values[indices, ..., 0] - values[:GOOD, ..., 0].mean(axis=0)
        masks = {int(index): image == image.max() for index, image in zip(indices, off, strict=True)}
    cells = Cells(detector, features, kept, held_out, weights=None)
    found = join_known_defects(cells, LabelledImages(indices, masks))
    detector.known_defects = found.head
    return found


def share_above(good: np.ndarray, defective: np.ndarray) -> float:
    return float(np.mean(defective[:, np.newaxis] > good[np.newaxis, :]))


@pytest.mark.parametrize("with_masks", [False, True])
def test_labels_find_further_defects_of_their_kind(with_masks: bool) -> None:
    features = cached(weakly_defective_cells(GOOD, BAD, GOOD))
    detector = WhitenedCellDetector()
    found = joined(features, 12, detector, with_masks=with_masks)
    assert found.head is not None
    assert found.weight > 0
    assert found.by_leaving_out
    assert found.masked_count == (12 if with_masks else 0)
    bad, good = np.arange(GOOD + 12, GOOD + BAD), np.arange(GOOD + BAD, len(features["cells"]))  # all unseen
    scores, maps = score(detector, features, bad)
    of_good, _ = score(detector, features, good)
    detector.known_defects = None
    before, _ = score(detector, features, bad)
    of_good_before, _ = score(detector, features, good)
    assert share_above(of_good, scores) > share_above(of_good_before, before) + 0.03
    assert np.allclose(scores, maps.max(axis=(1, 2)))
    # What was found by leaving images out says the same of them.
    left_out = share_above(found.held_out.image_scores, found.labelled)
    assert left_out > share_above(of_good_before, found.labelled_before)
    assert found.held_out.maps.shape == (GOOD, ROWS, COLUMNS)


def test_few_good_images_are_enough() -> None:
    """They are held out by eight models, so each has few; a labelled image is compared with a quarter all the same."""
    found = joined(cached(weakly_defective_cells(GOOD, BAD, GOOD)), 12, WhitenedCellDetector(), good=24)
    assert found.held_out.folds == FOLDS_OF_FEW
    assert found.head is not None
    assert found.by_leaving_out
    assert len(found.of_folds) == FOLDS_OF_FEW


def test_labels_that_teach_nothing_leave_the_detector_as_it_is() -> None:
    features = cached(weakly_defective_cells(GOOD, BAD, GOOD, strength=40.0))  # found without them, all
    detector = WhitenedCellDetector()
    found = joined(features, 8, detector)
    assert (found.head, found.weight, found.by_leaving_out) == (None, 0.0, True)
    assert np.allclose(found.labelled, found.labelled_before)


ONE_UNIT = np.ones((2, 4))


def test_a_gain_that_all_labelled_defects_share_is_sure() -> None:
    found = sure_gains(np.array([[0.0, 1, -1, 2], [1.0, 2.2, 0.1, 2.9]]), ONE_UNIT, np.arange(4))
    assert found[0] == 0
    assert found[1] > 0.5


def test_labelled_defects_that_disagree_gain_nothing() -> None:
    """A great gain of two of four, as of one kind of five: the next defect may be of another."""
    found = sure_gains(np.array([[0.0, 1, -1, 2], [4.0, 4.5, -1.2, 1.9]]), ONE_UNIT, np.arange(4))
    assert found[1] < 0


def test_copies_of_one_part_are_one_witness() -> None:
    margins = np.array([[0.0, 0, 0, 0], [1.0, 1.1, 0.9, 0.6]])
    assert sure_gains(margins, ONE_UNIT, np.arange(4))[1] > 0
    assert sure_gains(margins, ONE_UNIT, np.array([0, 0, 0, 3]))[1] < 0


def test_what_defects_of_other_kinds_lose_is_counted() -> None:
    """Good images that spread twice as far take a unit from a defect that is two units above them."""
    margins, units = np.array([[0.0, 0, 0, 0], [0.8, 0.9, 0.9, 0.8]]), np.array([[1.0] * 4, [2.0] * 4])
    assert sure_gains(margins, ONE_UNIT, np.arange(4))[1] > 0.7
    assert sure_gains(margins, units, np.arange(4))[1] < 0


def test_what_is_found_in_any_case_gains_nothing() -> None:
    found = sure_gains(np.array([[12.0, 15, 11, 30], [24.0, 30, 22, 60]]), ONE_UNIT, np.arange(4))
    assert found.tolist() == [0, 0]


def test_two_labels_count_a_little_and_bound_nothing_of_themselves() -> None:
    found = joined(cached(weakly_defective_cells(GOOD, BAD, GOOD)), 2, WhitenedCellDetector())
    assert found.head is not None
    assert (found.weight, found.by_leaving_out) == (FEW_WEIGHT, False)
    assert np.array_equal(found.labelled, found.labelled_before)


def test_twins_of_labelled_images_are_not_calibrated_on() -> None:
    values = weakly_defective_cells(GOOD, BAD, GOOD)
    values[[7, 31]] = values[GOOD]
    found = joined(cached(values), 5, WhitenedCellDetector())
    assert np.flatnonzero(~found.usable).tolist() == [7, 31]


def test_a_detector_without_whitened_cells_is_left_alone() -> None:
    features = cached(weakly_defective_cells(GOOD, BAD, GOOD))
    found = joined(features, 5, CellDetector())
    assert (found.head, found.weight, found.by_leaving_out) == (None, 0.0, False)


def test_learning_says_what_labels_changed_and_the_next_learning_forgets_them() -> None:
    features = cached(weakly_defective_cells(GOOD, BAD, GOOD))
    detector = WhitenedCellDetector()
    labelled = frozenset(range(GOOD, GOOD + 12))
    options = LearnOptions(RefineOptions("none", known_bad=labelled), CLOSED_FORM, false_reject_budget=0.05)
    learned = learn(detector, features, np.arange(GOOD + 12), options)
    known = learned.known_defects
    assert known is not None
    assert detector.known_defects is not None
    assert (known.labelled, known.masks) == (12, 0)
    assert known.auroc_after is not None
    assert known.auroc_after > known.auroc_before
    escapes = learned.calibration.escapes
    assert escapes is not None
    assert escapes.escaped_count == known.passed_after
    plain = learn(detector, features, KEPT, LearnOptions(RefineOptions("none"), CLOSED_FORM, false_reject_budget=0.05))
    assert plain.known_defects is None
    assert detector.known_defects is None


def test_models_are_shown_with_heads_that_have_not_seen_the_images_either() -> None:
    """So what synthetic defects say of an engine is of the scores that its limits are drawn from."""
    features = cached(weakly_defective_cells(GOOD, BAD, GOOD))
    labelled = frozenset(range(GOOD, GOOD + 12))
    options = LearnOptions(RefineOptions("none", known_bad=labelled), CLOSED_FORM, false_reject_budget=0.05)
    said: dict[int, float] = {}

    def on_model(model: Detector, unseen: np.ndarray) -> None:
        assert model.known_defects is not None
        said.update(zip(unseen.tolist(), score(model, features, unseen)[0].tolist(), strict=True))

    learned = learn(WhitenedCellDetector(), features, np.arange(GOOD + 12), options, on_model=on_model)
    assert sorted(said) == KEPT.tolist()
    assert np.allclose([said[each] for each in range(GOOD)], learned.held_out.image_scores, atol=1e-4)
