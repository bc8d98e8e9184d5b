"""Figures of merit against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.training.evaluation.metrics import AUPRO_LIMIT, auroc, escapes_by_ranking, f1_max, pixel_metrics, trade_off

scores = st.lists(st.integers(0, 12), min_size=1, max_size=30).map(lambda values: np.array(values, np.float64))


@given(good=scores, defective=scores)
def test_auroc_is_the_chance_that_a_defective_one_scores_higher(
    good: NDArray[np.float64], defective: NDArray[np.float64]
) -> None:
    pairs = defective[:, np.newaxis] - good[np.newaxis, :]
    assert auroc(good, defective) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    assert auroc(good, defective) + auroc(defective, good) == pytest.approx(1)


@given(good=scores, defective=scores)
def test_f1_is_the_best_over_all_thresholds(good: NDArray[np.float64], defective: NDArray[np.float64]) -> None:
    best = 0.0
    for threshold in np.concatenate([good, defective]):
        found, false = np.sum(defective >= threshold), np.sum(good >= threshold)
        precision, recall = found / max(1, found + false), found / len(defective)
        if found:
            best = max(best, 2 * precision * recall / (precision + recall))
    assert f1_max(good, defective) == pytest.approx(best)


@given(good=scores, defective=scores, share=st.sampled_from([0.01, 0.05, 0.5]))
def test_ranking_rejects_no_more_good_ones_than_asked_and_escapes_are_the_rest(
    good: NDArray[np.float64], defective: NDArray[np.float64], share: float
) -> None:
    escaped = escapes_by_ranking(good, defective, share)
    caught = np.sort(defective)[round(escaped * len(defective)) :]
    assert len(caught) == 0 or np.mean(good >= caught[0]) <= share + 1 / len(good)
    assert escapes_by_ranking(good, defective, 0.5 + share / 2) <= escaped
    assert escapes_by_ranking(good, good.max() + 1 + defective, share) == 0


@given(good=scores, defective=scores)
def test_the_trade_off_falls_as_more_good_ones_are_looked_at(
    good: NDArray[np.float64], defective: NDArray[np.float64]
) -> None:
    curve = list(trade_off(good, defective).values())
    assert curve == sorted(curve, reverse=True)
    assert curve[0] == np.mean(defective <= good.max())


def pro_by_definition(maps: list[NDArray[np.float64]], regions: list[NDArray[np.bool_]]) -> float:
    """`regions`: one per map."""
    good = np.concatenate([one[~region] for one, region in zip(maps, regions, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in np.unique(np.concatenate([one.ravel() for one in maps]))[::-1]:
        overlap = np.mean([np.mean(one[region] >= threshold) for one, region in zip(maps, regions, strict=True)])
        points.append((float(np.mean(good >= threshold)), float(overlap)))
    x = np.linspace(0, AUPRO_LIMIT, 20001)
    rates, overlaps = np.array(points).T
    y = np.interp(x, rates, overlaps)
    return float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)) / AUPRO_LIMIT)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), contrast=st.floats(0, 3))
def test_aupro_and_pixel_auroc_equal_their_definitions(seed: int, contrast: float) -> None:
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for _ in range(3):
        mask = np.zeros((14, 18), np.bool_)
        top, left = rng.integers(1, 8, 2)
        mask[top : top + rng.integers(1, 6), left : left + rng.integers(1, 9)] = True
        maps.append(rng.normal(size=mask.shape) + contrast * mask)
        masks.append(mask)
    pixel_auroc, aupro = pixel_metrics(maps, masks)
    assert aupro == pytest.approx(pro_by_definition(maps, masks), abs=6e-3)
    good = np.concatenate([one[~mask] for one, mask in zip(maps, masks, strict=True)])
    bad = np.concatenate([one[mask] for one, mask in zip(maps, masks, strict=True)])
    assert pixel_auroc == pytest.approx(np.mean(bad[:, np.newaxis] > good[np.newaxis, :]))


def test_perfect_useless_and_constant_maps() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[5:9, 5:9] = True
    ramp = np.linspace(0, 1, 400).reshape(20, 20)
    assert pixel_metrics([ramp + 2 * mask], [mask]) == pytest.approx((1, 1))
    assert pixel_metrics([ramp - 2 * mask], [mask]) == pytest.approx((0, 0), abs=1e-5)
    pixel_auroc, aupro = pixel_metrics([np.zeros((20, 20))], [mask])
    assert pixel_auroc == pytest.approx(0.5)
    assert aupro == pytest.approx(AUPRO_LIMIT / 2, abs=1e-3)  # the diagonal


def test_every_region_counts_the_same_whatever_its_size() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[0:40, 0:40] = True
    mask[50:52, 50:52] = True
    rng = np.random.default_rng(0)
    missed_small = rng.random((60, 60))
    missed_small[0:40, 0:40] += 2
    missed_small[50:52, 50:52] = -1
    pixel_auroc, aupro = pixel_metrics([missed_small], [mask])
    assert pixel_auroc > 0.99
    assert aupro == pytest.approx(0.5, abs=0.01)
