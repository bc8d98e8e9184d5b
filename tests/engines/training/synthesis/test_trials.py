"""Trials: in the part, outside of what is ignored, the same each time, and curves at the limits of the engine."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.bundle.detection import KINDS
from engines.bundle.manifest import Calibration
from engines.location.location import Location
from engines.training.images.dataset import open_dataset, read_image
from engines.training.location.locate import Located, LocateOptions, locate
from engines.training.synthesis.places import TRIES, free_of, paint_somewhere
from engines.training.synthesis.trials import Trials
from tests.bench.engines.pictures import ring, write_rings

FOLDS = 4


def limits(review: float, reject: float) -> Calibration:
    return Calibration(
        review_score=review,
        reject_score=reject,
        pixel_score=1.0,
        typical_score=-1.0,
        typical_peak=0.0,
        false_reject_budget=0.01,
        review_budget=0.1,
        pixel_budget=0.03,
        confidence=0.9,
        holdout_count=24,
        effective_count=24.0,
        method="test",
        promise="none",
    )


def rings(folder: Path, blur_px: float = 0.0) -> Located:
    write_rings(folder, 24)
    if blur_px:
        for file in folder.iterdir():
            cv2.imwrite(str(file), cv2.GaussianBlur(read_image(file)[:, :, ::-1], (0, 0), blur_px))
    return locate(open_dataset(folder), LocateOptions(method="none"))


def change(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How many grey levels a picture differs from the mean of its batch, at the hottest of its coarse cells."""
    difference = np.abs(images.astype(np.float32) - np.median(images, axis=0)).mean(axis=3)
    return np.array([cv2.resize(each, (32, 32), interpolation=cv2.INTER_AREA).max() for each in difference], np.float32)


def shown(located: Located, seed: int = 0) -> Trials:
    trials = Trials(located, seed=seed, trials=24, folds=FOLDS)
    for fold in range(FOLDS):
        trials.show(np.arange(fold, 24, FOLDS), change)
    return trials


CLEAN = dict.fromkeys(range(24), 0.0)
LIMITS = limits(10.0, 40.0)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    return shown(rings(tmp_path_factory.mktemp("rings")))


def test_the_reject_limit_is_stricter_and_sizes_are_in_mm_where_a_pixel_is_known(trials: Trials) -> None:
    detection = trials.detection(LIMITS, CLEAN, 0.05)
    assert detection is not None
    assert {each.kind for each in detection.curves} <= set(KINDS)
    for each in detection.curves:
        assert each.reject.found <= each.review.found
        assert (each.reject.from_px or np.inf) >= 0.8 * (each.review.from_px or np.inf)
    assert not detection.finds_next_to_nothing
    assert " mm" in " ".join(detection.in_words())
    sizes = [each.defect.size_px for each in trials.done]
    assert trials.smallest_px <= min(sizes) < max(sizes) <= trials.largest_px
    painted, mask = trials.draw(trials.done[5])
    assert mask.any()
    assert painted.shape[:2] == mask.shape


def test_the_same_seed_gives_the_same_curves_and_a_blurred_camera_sees_less(trials: Trials, tmp_path: Path) -> None:
    again = shown(rings(tmp_path / "again"))
    assert again.detection(LIMITS, CLEAN) == trials.detection(LIMITS, CLEAN)
    soft = shown(rings(tmp_path / "soft", blur_px=8.0))
    assert soft.blur_px > 4 > trials.blur_px
    sharp, blurred = (each.detection(LIMITS, CLEAN) for each in (trials, soft))
    assert sharp is not None
    assert blurred is not None
    found = [sum(each.review.found for each in detection.curves) for detection in (sharp, blurred)]
    assert found[1] < 0.7 * found[0]


def test_an_engine_that_sees_nothing_says_so(trials: Trials) -> None:
    detection = trials.detection(limits(1000.0, 2000.0), CLEAN)
    assert detection is not None
    assert detection.finds_next_to_nothing
    assert detection.in_words()[0].startswith("clear: does not find ")


def test_pictures_above_the_limit_without_a_defect_do_not_count(trials: Trials) -> None:
    clean = CLEAN | {7: 20.0, 8: 20.0}
    detection = trials.detection(limits(10.0, 40.0), clean)
    assert detection is not None
    assert {each.reject.trials - each.review.trials for each in detection.curves} <= {1, 2}
    assert trials.detection(limits(10.0, 40.0), dict.fromkeys(range(24), 20.0)) is None


def test_defects_lie_outside_of_ignored_zones_and_show() -> None:
    image = ring(0)
    location = Location(
        ignore=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),), pictures={"fill": np.zeros((8, 8, 3), np.uint8)}
    )
    free = free_of(image, location)
    stamp = np.ones((5, 5), np.float32)
    for seed in range(30):
        drawn = paint_somewhere(image, free, stamp, 60, np.random.default_rng(seed))
        assert drawn is not None
        assert not drawn[1][:, : image.shape[1] // 2 - 1].any()
    assert (
        paint_somewhere(np.full((20, 20), 250, np.uint8), np.ones((20, 20), bool), stamp, 80, np.random.default_rng(0))
        is None
    )
    assert paint_somewhere(image, np.zeros_like(free), stamp, 60, np.random.default_rng(0)) is None


@given(st.integers(0, 2**31), st.floats(0.001, 1.0))
@settings(max_examples=30, deadline=None)
def test_each_free_place_is_as_likely_as_any_other(seed: int, share: float) -> None:
    """The place is the one that a list of all free ones would give, which of 20 MP would take 160 MB."""
    free = np.random.default_rng(seed).random((60, 80)) < share
    image, stamp = np.zeros((60, 80), np.uint8), np.ones((1, 1), np.float32)
    drawn = paint_somewhere(image, free, stamp, 60, np.random.default_rng(seed))
    places = np.flatnonzero(free)
    if drawn is None:
        assert len(places) == 0
    else:
        chosen = np.random.default_rng(seed).choice(places, TRIES)[0]
        assert np.flatnonzero(drawn[0]).tolist() == [chosen]
