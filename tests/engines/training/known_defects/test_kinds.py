"""Kinds of defects from labelled images: what teaching does with them."""

from __future__ import annotations

import numpy as np
import torch

from engines.detectors.kinds import Kinds
from engines.training.fitting.train import CLOSED_FORM
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import CellDetector, WhitenedCellDetector, cached, weakly_defective_cells

NAMES = ("crack", "dent")


def test_learning_tells_named_kinds_apart_and_scores_do_not_change() -> None:
    good, bad = 120, 12
    features = cached(weakly_defective_cells(good, bad, good))
    indices = np.arange(good + bad)
    labelled = frozenset(range(good, good + bad))
    options = LearnOptions(RefineOptions("none", known_bad=labelled), CLOSED_FORM, false_reject_budget=0.05)
    kinds = {good + each: NAMES[each % 2] for each in range(bad)}
    detector = WhitenedCellDetector()
    plain = learn(detector, features, indices, options)
    assert plain.kinds is None
    assert detector.kinds is None
    named = learn(detector, features, indices, options, kinds=kinds)
    assert named.kinds is not None
    assert named.kinds.record.names == NAMES
    assert isinstance(detector.kinds, Kinds)
    assert named.kinds.examples.positions.tolist() == sorted(labelled)
    assert np.array_equal(named.held_out.image_scores, plain.held_out.image_scores)
    assert named.calibration == plain.calibration
    values = {name: torch.from_numpy(value[:3].astype(np.float32)) for name, value in features.items()}
    with torch.inference_mode():
        cells = detector.cells(values)
        assert cells is not None
        assert detector.kinds(detector.score(values)[1], cells).shape == (3, 2)
    assert learn(detector, features, indices, options, kinds={good: "crack"}).kinds is None  # nothing to tell apart
    assert learn(CellDetector(), features, indices, options, kinds=kinds).kinds is None  # it has no whitened cells
