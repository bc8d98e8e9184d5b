"""Kinds of defects from labelled images: named, unknown, and what teaching does with them."""

from __future__ import annotations

import numpy as np
import torch

from engines.bundle.kinds import UNKNOWN_KIND, kinds_in_words
from engines.detectors.kinds import Kinds
from engines.training.fitting.train import CLOSED_FORM
from engines.training.known_defects.kinds import FoundKinds, fit_kinds
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import CellDetector, WhitenedCellDetector, cached, weakly_defective_cells

DIM = 40
NAMES = ("crack", "dent", "scratch", "stain")


def looks(kind: int, count: int, seed: int) -> np.ndarray:
    """Defects of a kind: a direction of their own, one that all defects share, and noise."""
    rng = np.random.default_rng([kind, seed])
    return 3 * np.eye(DIM)[kind] + 5 * np.eye(DIM)[-1] + 0.3 * rng.normal(size=(count, DIM))


def fitted(each: int, kinds: int = 4) -> FoundKinds:
    values = np.concatenate([looks(kind, each, 0) for kind in range(kinds)])
    return fit_kinds(
        values, [NAMES[kind] for kind in range(kinds) for _ in range(each)], np.arange(len(values)), (4, 6)
    )


def said(found: FoundKinds, values: np.ndarray) -> list[str]:
    off = values - found.head.common.numpy()
    likeness = off / np.linalg.norm(off, axis=1, keepdims=True) @ found.head.kinds.numpy().T
    return [found.record.name_of(row) for row in likeness.tolist()]


def test_kinds_are_named_and_a_stranger_is_unknown() -> None:
    for each in (1, 2, 5):
        found = fitted(each)
        assert found.record.names == NAMES
        assert found.record.labelled == (each,) * 4
        for kind, name in enumerate(NAMES):
            names = said(found, looks(kind, 20, 1))
            assert set(names) <= {name, UNKNOWN_KIND}, each
            assert names.count(name) >= 14, each
        strangers = said(found, looks(9, 20, 1))
        assert strangers.count(UNKNOWN_KIND) >= (5 if each == 1 else 14), (each, strangers)


def test_leaving_out_says_how_often_a_name_is_right() -> None:
    several, single = fitted(5).record, fitted(1).record
    assert (several.left_out, several.right, several.unknown) == (20, 20, 0)
    assert "Each of 20 left out with its twins, 20 are named rightly" in kinds_in_words(several)
    assert single.left_out == 0
    assert "not known" in kinds_in_words(single)


def test_twins_do_not_vouch_for_each_other() -> None:
    """Two kinds that cannot be told apart, each image there twice: with its twin left in, every name would be right."""
    values = np.repeat(looks(0, 8, 0), 2, axis=0)
    names = [NAMES[position // 2 % 2] for position in range(16)]
    groups = np.repeat(np.arange(8), 2) * 2
    with_twins = fit_kinds(values, names, np.arange(16), (4, 6)).record.right
    assert fit_kinds(values, names, groups, (4, 6)).record.right < with_twins


def test_a_likeness_that_is_no_number_is_unknown() -> None:
    assert fitted(2).record.name_of([float("nan")] * 4) == UNKNOWN_KIND


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
    assert named.kinds.record.names == NAMES[:2]
    assert isinstance(detector.kinds, Kinds)
    assert np.array_equal(named.held_out.image_scores, plain.held_out.image_scores)
    assert named.calibration == plain.calibration
    values = {name: torch.from_numpy(value[:3].astype(np.float32)) for name, value in features.items()}
    with torch.inference_mode():
        cells = detector.cells(values)
        assert cells is not None
        assert detector.kinds(detector.score(values)[1], cells).shape == (3, 2)
    assert learn(detector, features, indices, options, kinds={good: "crack"}).kinds is None  # nothing to tell apart
    assert learn(CellDetector(), features, indices, options, kinds=kinds).kinds is None  # it has no whitened cells
