"""Every image is scored by a model that saw neither it nor a copy of it."""

from __future__ import annotations

import numpy as np
import pytest

from engines.errors import TrainingError
from engines.training.fitting.crossfit import FEW_IMAGES, FOLDS, FOLDS_OF_FEW, cross_fit, folds_for
from engines.training.fitting.train import CLOSED_FORM, TrainOptions, score, train
from tests.bench.engines.cell_detectors import COLUMNS, ROWS, CellDetector, NearestDetector, cached, cells

COUNT = 60
ALL = np.arange(COUNT)


def test_no_image_is_scored_by_a_model_that_saw_it() -> None:
    features = cached(cells(COUNT))
    detector = NearestDetector()
    folds: list[None] = []
    found = cross_fit(detector, features, ALL, CLOSED_FORM, on_fold=lambda: folds.append(None))
    assert len(folds) == found.folds == FOLDS_OF_FEW  # of few images
    assert (found.image_scores > 0).all()
    train(detector, features, ALL, CLOSED_FORM)
    assert (score(detector, features, ALL)[0] == 0).all()  # the detector does know what it saw


def test_few_images_are_cross_fitted_by_more_models() -> None:
    """Each then knows nearly as much as the final one: seven eighths in place of three quarters of the images."""
    assert folds_for(FEW_IMAGES - 1) == FOLDS_OF_FEW
    assert folds_for(FEW_IMAGES) == FOLDS
    values = cells(COUNT)
    learned: list[int] = []
    for folds in (FOLDS, FOLDS_OF_FEW):
        detector = CellDetector()
        cross_fit(detector, cached(values), ALL, CLOSED_FORM, folds=folds)
        learned.append(min(detector.learned_counts))
    assert learned[0] >= 0.7 * COUNT
    assert learned[1] >= 0.83 * COUNT


def test_nor_by_one_that_saw_a_copy() -> None:
    values = cells(COUNT)
    pairs = {50: 3, 33: 20, 41: 3}
    for copy, original in pairs.items():
        values[copy] = values[original]
    found = cross_fit(NearestDetector(), cached(values), ALL, CLOSED_FORM)
    assert (found.image_scores > 0).all()
    assert {copy: int(found.groups[copy]) for copy in pairs} == pairs


def test_images_that_may_not_be_learned_are_scored_all_the_same() -> None:
    values = cells(COUNT)
    values[10:20] = 1e3 + cells(10, seed=4)
    learned = np.setdiff1d(ALL, np.arange(10, 20))
    found = cross_fit(NearestDetector(), cached(values), ALL, CLOSED_FORM, learned=learned)
    assert found.image_scores[10:20].min() > 100 * np.delete(found.image_scores, np.arange(10, 20)).max()


def test_results_are_in_the_order_of_the_indices() -> None:
    values = cells(COUNT)
    values[[12, 40]] += 50
    indices = np.arange(5, 55)
    found = cross_fit(CellDetector(), cached(values), indices, CLOSED_FORM, learned=np.setdiff1d(indices, [12, 40]))
    assert set(np.argsort(found.image_scores)[-2:]) == {12 - 5, 40 - 5}
    assert found.maps.shape == (50, ROWS, COLUMNS)
    assert np.allclose(found.map_peaks, found.image_scores, atol=1e-6)  # of this detector


def test_cells_without_weight_are_not_learned() -> None:
    values = cells(COUNT)
    weights = np.ones((COUNT, ROWS, COLUMNS), np.uint8)
    weights[::5, 1, 1] = 0
    tampered = values.copy()
    tampered[::5, 1, 1] = 99
    results = [
        cross_fit(CellDetector(), cached(each), ALL, CLOSED_FORM, weights=weights) for each in (values, tampered)
    ]
    untouched = np.delete(ALL, np.arange(0, COUNT, 5))
    # copies are looked for in all features, so the folds may differ by what was tampered with; here they do not
    assert np.array_equal(results[0].groups, results[1].groups)
    assert np.allclose(results[0].image_scores[untouched], results[1].image_scores[untouched])


def test_the_same_images_give_the_same_scores() -> None:
    first, second = (cross_fit(CellDetector(), cached(cells(COUNT)), ALL, TrainOptions(steps=3)) for _ in range(2))
    assert np.array_equal(first.image_scores, second.image_scores)
    assert np.array_equal(first.maps, second.maps)


@pytest.mark.parametrize("learned", [np.arange(1), np.arange(3)])
def test_too_few_to_learn_from_is_an_error(learned: np.ndarray) -> None:
    with pytest.raises(TrainingError, match=r"images are left to learn from beside those held out: add images"):
        cross_fit(CellDetector(), cached(cells(COUNT)), ALL, CLOSED_FORM, learned=learned)
