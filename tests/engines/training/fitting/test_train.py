"""The training loop: closed form, steps, weights, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.detectors.base import Features
from engines.errors import TrainingError
from engines.training.fitting.train import (
    CLOSED_FORM,
    MAX_CLOSED_FORM_IMAGES,
    TrainOptions,
    held_out_loss,
    score,
    train,
)
from engines.training.images.features import take
from tests.bench.engines.cell_detectors import (
    COLUMNS,
    ROWS,
    CellDetector,
    NearestDetector,
    OffCentreDetector,
    ShiftDetector,
    cached,
    cells,
)

COUNT = 70
ALL = np.arange(COUNT)


def test_no_steps_leave_the_closed_form() -> None:
    detector = CellDetector()
    train(detector, cached(cells(COUNT)), ALL, CLOSED_FORM)
    assert (detector.shift == 0).all()
    assert detector.learned_counts == [COUNT]
    assert detector.loss(take(cached(cells(COUNT)), ALL)).item() == pytest.approx(0.5, abs=0.1)


def test_a_detector_without_parameters_has_nothing_to_train() -> None:
    features = cached(cells(COUNT))
    detector = NearestDetector()
    train(detector, features, ALL, TrainOptions(steps=5))
    assert (score(detector, features, ALL)[0] == 0).all()


def test_steps_lower_the_loss() -> None:
    features = cached(cells(COUNT))
    losses = []
    for steps in (0, 5, None):  # None: the detector's own number
        detector = OffCentreDetector()
        train(detector, features, ALL, TrainOptions(steps))
        losses.append(held_out_loss(detector, features, ALL))
    assert losses[0] > losses[1] > losses[2]


def test_the_same_seed_gives_the_same_model_and_another_another() -> None:
    features = cached(cells(COUNT))
    shifts = []
    for seed in (0, 0, 1):
        detector = OffCentreDetector()
        train(detector, features, ALL, TrainOptions(steps=5, seed=seed))
        shifts.append(detector.shift.detach().clone())
    assert torch.equal(shifts[0], shifts[1])
    assert not torch.equal(shifts[0], shifts[2])


def test_goes_on_or_starts_again() -> None:
    features = cached(cells(COUNT))
    detector = OffCentreDetector()
    train(detector, features, ALL, TrainOptions(steps=5))
    first = held_out_loss(detector, features, ALL)
    train(detector, features, ALL, TrainOptions(steps=5), continued=True)
    assert held_out_loss(detector, features, ALL) < first
    train(detector, features, ALL, TrainOptions(steps=5))
    assert held_out_loss(detector, features, ALL) == pytest.approx(first)


@pytest.mark.parametrize("kind", [CellDetector, OffCentreDetector])
def test_only_the_images_given_and_the_cells_with_weight_are_learned(kind: type[CellDetector]) -> None:
    values = cells(COUNT)
    values[50:] += 100
    values[7, 2] -= 100
    weights = np.ones((COUNT, ROWS, COLUMNS), np.uint8)
    weights[7, 2] = 0
    tampered = values.copy()
    tampered[50:] = -3
    tampered[7, 2] = 5
    unseen = cells(5, seed=3)
    results = []
    for each in (values, tampered):
        detector = kind()
        train(detector, cached(each), np.arange(50), TrainOptions(steps=4), weights)
        results.append(detector.score({"cells": torch.from_numpy(unseen)})[1])
    assert torch.equal(*results)


def test_a_large_set_gives_a_spread_sample_to_the_closed_form() -> None:
    detector = CellDetector()
    count = 2 * MAX_CLOSED_FORM_IMAGES + 1
    values = np.zeros((count, ROWS, COLUMNS, 3), np.float32)
    values += np.linspace(-1, 1, count, dtype=np.float32)[:, None, None, None]
    train(detector, cached(values), np.arange(count), CLOSED_FORM)
    assert detector.learned_counts == [MAX_CLOSED_FORM_IMAGES]
    assert detector.whitening.mean.abs().max() < 0.01


class DivergingDetector(ShiftDetector):
    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        return super().loss(features, weights) / (0 if self.shift.any() else 1)


def test_a_training_that_diverges_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"the loss is inf at step 1 of 30: training diverged"):
        train(DivergingDetector(), cached(cells(COUNT)), ALL, TrainOptions())


def test_scores_in_batches_are_those_of_all_at_once() -> None:
    features = cached(cells(COUNT))
    detector = CellDetector()
    train(detector, features, ALL, CLOSED_FORM)
    with torch.inference_mode():
        expected, maps = detector.score(take(features, ALL))
    found = score(detector, features, ALL)
    assert np.allclose(found[0], expected.numpy(), atol=1e-6)
    assert np.allclose(found[1], maps.numpy(), atol=1e-6)
    assert np.array_equal(score(detector, features, ALL[::-1])[0], found[0][::-1])
    none = score(detector, features, ALL[:0])
    assert none[0].shape == (0,)
    assert none[1].shape == (0, ROWS, COLUMNS)


def test_held_out_loss_counts_every_image_alike() -> None:
    features = cached(cells(COUNT))
    detector = CellDetector()
    train(detector, features, ALL[:40], CLOSED_FORM)
    one_by_one = [held_out_loss(detector, features, ALL[index : index + 1]) for index in range(COUNT)]
    assert held_out_loss(detector, features, ALL) == pytest.approx(np.mean(one_by_one), rel=1e-5)
