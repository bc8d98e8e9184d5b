"""Dynamic PCA and what is said of registers: made data here, the Tennessee Eastman process where it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.process_values import detection
from station.process.dynamic_pca import LAGS, Values, lagged, learn, unusual, with_limits
from station.process.watching import Watch
from tests.bench.places import DATASETS

NAMES = ("oven 1", "oven 2", "speed", "pressure")


def plant(count: int, seed: int) -> Values:
    """Four values that follow two causes."""
    draw = np.random.default_rng(seed)
    causes = draw.normal(size=(count, 2))
    for row in range(1, count):
        causes[row] = 0.9 * causes[row - 1] + 0.44 * causes[row]
    mixed = causes @ np.array([[1.0, 0.9, 0.0, 0.5], [0.0, 0.3, 1.0, -0.5]])
    return mixed * [5, 5, 0.1, 0.5] + [180, 200, 1.2, 6] + draw.normal(size=(count, 4)) * [0.3, 0.3, 0.01, 0.03]


def test_rows_stand_beside_those_before_them() -> None:
    rows = lagged(np.arange(8.0).reshape(4, 2))
    assert rows.shape == (2, 2 * (LAGS + 1))
    assert rows[0].tolist() == [4, 5, 2, 3, 0, 1]


def test_limits_keep_their_share_and_a_broken_relation_is_found_and_named() -> None:
    values = plant(4000, 1)
    model = with_limits(learn(NAMES, values[:2000]), values[2000:], 0.011)
    assert unusual(model, values[2000:]).mean() == pytest.approx(0.011, abs=0.002)
    broken = plant(400, 2)
    broken[200:, 1] += 6.0  # within its range, but not with oven 1
    assert unusual(model, broken)[210:].mean() > 10 * unusual(model, broken)[:190].mean() + 0.2
    assert model.contributions(broken[-20:])[0][0] == "oven 2"


def test_what_cannot_be_learned_from() -> None:
    with pytest.raises(ValueError, match="at least 200"):
        learn(NAMES, plant(100, 1))
    gap = plant(300, 1)
    gap[7, 0] = np.nan
    with pytest.raises(ValueError, match="missing"):
        learn(NAMES, gap)
    still = plant(300, 1)
    still[:, 3] = 6.0
    assert np.isfinite(learn(NAMES, still).scores(still)[0]).all()


@pytest.fixture(scope="module")
def learned() -> list[dict[str, float]]:
    return [dict(zip(NAMES, row, strict=True)) for row in plant(3600, 3)]


def watching(learned: list[dict[str, float]]) -> Watch:
    watch = Watch(NAMES, learn_samples=3000, run_length=5000.0)
    for sample in learned[:3000]:
        assert watch.add(sample) == {}
    assert watch.learned == 1.0
    return watch


def test_nothing_is_said_while_all_is_well(learned: list[dict[str, float]]) -> None:
    watch = watching(learned)
    assert [watch.add(sample) for sample in learned[3000:]] == [{}] * 600


def test_missing_frozen_swapped_and_unusual_are_said(learned: list[dict[str, float]]) -> None:
    watch = watching(learned)
    without = {name: value for name, value in learned[3000].items() if name != "speed"}
    assert [sorted(watch.add(without)) for _ in range(3)] == [[], [], ["missing"]]
    assert watch.add(learned[3001]) == {}
    frozen = [watch.add({**sample, "pressure": 6.0}) for sample in learned[3002:3060]]
    assert "pressure" in frozen[-1]["frozen"]
    swapped = watching(learned).add(
        {**learned[3000], "oven 1": learned[3000]["speed"], "speed": learned[3000]["oven 1"]}
    )
    assert "oven 1 and speed" in swapped["swapped"]
    watch = watching(learned)
    said = [watch.add({**sample, "oven 2": sample["oven 2"] + 8.0}) for sample in learned[3000:3400]]
    assert "most by oven 2" in said[-1]["unusual"]


def test_false_alarms_keep_the_run_length() -> None:
    """Ten plants of 2,000 samples with a run length of 5,000: 4 false alarms are expected at most, 10 are never."""
    alarms = 0
    for seed in range(10):
        values = plant(3200, 100 + seed)
        watch = Watch(NAMES, learn_samples=1200, run_length=5000.0)
        watch.learn_from(values[:1200])
        alarms += any("unusual" in watch.add(dict(zip(NAMES, row, strict=True))) for row in values[1200:])
    assert alarms <= 6


@pytest.mark.datasets
def test_tennessee_eastman() -> None:
    folder = Path(os.environ.get("TENNESSEE_EASTMAN", DATASETS / "tennessee-eastman"))
    if not (folder / "d00.dat").exists():
        pytest.skip(f"no Tennessee Eastman data in {folder}")
    found = detection(folder)
    assert found["mean"] == pytest.approx(0.76, abs=0.02)
    assert found["mean_without_3_9_15"] == pytest.approx(0.89, abs=0.02)
    assert found["before_the_faults"] == pytest.approx(0.011, abs=0.005)
