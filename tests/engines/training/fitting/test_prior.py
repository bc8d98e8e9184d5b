"""How much a prior counts: held-out images of the site decide, and limits stay those of its own images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engines.detectors.prior import Others
from engines.detectors.sums import LocationSums, Sums
from engines.errors import TrainingError
from engines.training.fitting.prior import COVARIANCE_WEIGHTS, MEAN_WEIGHTS, chosen_prior
from engines.training.fitting.train import CLOSED_FORM
from engines.training.images.grouping import twin_groups
from engines.training.learn import Learned, LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import CellDetector, ShiftDetector, cached, cells

COUNT = 20


def others(shift: float = 0.0, spread: float = 1.0) -> Sums:
    """Of 400 parts of the same kind (`cells` draws where they lie by its seed)."""
    values = torch.from_numpy(cells(400 + COUNT)[COUNT:])
    middle = values.mean(dim=0)
    return {"cells": LocationSums.of(middle + shift + spread * (values - middle))}


def local() -> NDArray[np.float32]:
    """The site's parts: the first ones of the same kind."""
    return cells(400 + COUNT)[:COUNT]


def chosen(sums: Sums) -> tuple[float, float]:
    features, indices = cached(local()), np.arange(COUNT)
    prior = chosen_prior(CellDetector(), features, indices, sums, groups=twin_groups(features, indices))
    return prior.weights["cells"].mean, prior.weights["cells"].covariance


def taught(sums: Sums | None, method: str = "none") -> tuple[CellDetector, Learned]:
    detector = CellDetector()
    options = LearnOptions(RefineOptions(method), CLOSED_FORM, false_reject_budget=0.05)
    return detector, learn(detector, cached(local()), np.arange(COUNT), options, others=sums)


def test_the_same_parts_help_most() -> None:
    mean, covariance = chosen(others())
    assert mean == MEAN_WEIGHTS[-1]
    assert covariance >= COVARIANCE_WEIGHTS[-2]


def test_another_lamp_leaves_the_mean_to_the_site() -> None:
    mean, covariance = chosen(others(shift=5))
    assert mean == 0
    assert covariance >= COVARIANCE_WEIGHTS[-2]


def test_a_prior_of_something_else_counts_nothing() -> None:
    assert chosen(others(shift=50, spread=30)) == (0, 0)
    alone, helped = taught(None), taught(others(shift=50, spread=30))
    assert torch.allclose(alone[0].whitening.whitening, helped[0].whitening.whitening)
    assert alone[1].calibration == helped[1].calibration


def test_a_prior_brings_the_model_nearer_to_that_of_many_and_limits_stay_local() -> None:
    features = cached(cells(400 + COUNT))
    many = CellDetector()
    many.initialise({"cells": torch.from_numpy(features["cells"].astype(np.float32))})
    far = []
    for sums in (None, others()):
        detector, learned = taught(sums)
        far.append(float((detector.whitening.whitening - many.whitening.whitening).abs().mean()))
        assert learned.calibration.holdout_count == COUNT
        assert bool(learned.prior) == (sums is not None)
        assert detector.prior is None  # only what came of it stays
    assert far[1] < far[0] / 2


def test_each_model_that_limits_come_from_has_the_prior_and_not_the_image() -> None:
    """Held-out scores with the prior: worked out by hand, fold by fold."""
    _, learned = taught(others())
    weights = learned.prior["cells"]
    values = torch.from_numpy(cached(local())["cells"].astype(np.float32))
    prior = Others.of(others()["cells"])
    place = learned.held_out.fold_of_each
    for fold in range(learned.held_out.folds):
        model = CellDetector()
        seen = LocationSums.of(values[torch.from_numpy(place != fold)])
        model.initialise_from({"cells": prior.joined(seen, weights)})
        with torch.inference_mode():
            expected = model.score({"cells": values[torch.from_numpy(place == fold)]})[0]
        assert np.allclose(learned.held_out.image_scores[place == fold], expected.numpy(), atol=1e-5)


def test_a_detector_without_sums_takes_none() -> None:
    with pytest.raises(TrainingError, match="a prior is for --detector spatial"):
        learn(ShiftDetector(), cached(local()), np.arange(COUNT), LearnOptions(RefineOptions("none")), others=others())
