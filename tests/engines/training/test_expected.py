"""What a teaching is expected to take: whole frames, synthetic defects and the features of all images are in it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.detectors.spatial import SpatialDetector
from engines.training import expected as module
from engines.training.expected import Expected, Measured, expected, expected_of
from engines.training.fitting.train import MAX_CLOSED_FORM_IMAGES
from engines.training.images.dataset import open_dataset
from engines.training.location.locate import Located, LocateOptions, locate
from engines.training.release.release import prepared
from engines.training.synthesis.trials import Trials
from tests.bench.engines.pictures import write_rings

SMALL = Measured(0.02, 0.15, 0.003, 0.1, 1, is_searched=False, picture_s=0.1, pictures=60)


def test_time_grows_hardly_faster_than_the_images() -> None:
    found = [expected_of(SMALL, images).seconds for images in (200, 1000, 5000)]
    assert found == sorted(found)
    assert found[1] < 5 * found[0]
    assert found[2] < 5 * found[1]


def test_memory_grows_with_the_features_of_all_images() -> None:
    """Of what is learned at once, and the file of all: in half precision, its pages are in memory."""
    found = {images: expected_of(SMALL, images).megabytes for images in (50, 500, MAX_CLOSED_FORM_IMAGES, 5000)}
    assert found[500] - found[50] == pytest.approx(450 * 1.5 * 0.15)
    assert found[5000] - found[MAX_CLOSED_FORM_IMAGES] == pytest.approx(4000 * 0.5 * 0.15)


def test_synthetic_defects_are_counted() -> None:
    without = replace(SMALL, pictures=0)
    assert expected_of(SMALL, 100).seconds > 1.5 * expected_of(without, 100).seconds
    large = replace(SMALL, megapixels=20.0)
    assert expected_of(large, 100).megabytes > expected_of(replace(large, pictures=0), 100).megabytes


def test_colour_frames_take_more_memory_than_grey_ones() -> None:
    large = replace(SMALL, megapixels=20.0)
    assert expected_of(replace(large, channels=3), 50).megabytes > expected_of(large, 50).megabytes + 400
    assert expected_of(large, 50).megabytes > expected_of(SMALL, 50).megabytes + 600


def test_reading_frames_and_drawing_into_them_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is held up, and takes at least that long."""
    write_rings(tmp_path, 24)
    located = locate(open_dataset(tmp_path), LocateOptions(method="none"))
    trials = Trials(located, seed=0, trials=24, folds=8)
    detector = SpatialDetector(located.input)
    detector.eval()
    inputs_of = trials.inputs_of
    seen: list[Measured] = []

    def slow(of: Located, index: int) -> NDArray[np.uint8]:
        time.sleep(0.05)
        return prepared(of, index)

    def slow_drawing(index: int) -> object:
        time.sleep(0.5)
        return inputs_of(index)

    def kept(measured: Measured, images: int) -> Expected:
        seen.append(measured)
        return expected_of(measured, images)

    monkeypatch.setattr(module, "prepared", slow)
    monkeypatch.setattr(module, "expected_of", kept)
    monkeypatch.setattr(trials, "inputs_of", slow_drawing)
    found = expected(detector, located, trials)
    measured = seen[0]
    assert measured.frame_s >= 0.05
    assert measured.picture_s >= 0.5
    assert (measured.pictures, measured.channels, measured.is_searched) == (24, 3, False)
    in_input = expected_of(replace(measured, frame_s=0.0, picture_s=0.0), 24)
    assert found.seconds - in_input.seconds >= 0.05 * 4 * 24 + 0.5 * 24  # listed, located, learned, measured; drawn
    assert not trials.done
    expected(detector, located, None)
    assert seen[1].pictures == 0


@pytest.mark.parametrize(
    ("seconds", "megabytes", "words"),
    [(41, 640, "expected: 50 s, 0.7 GB"), (89, 1200, "expected: 90 s, 1.2 GB"), (200, 990, "expected: 4 min, 1.0 GB")],
)
def test_in_words(seconds: float, megabytes: float, words: str) -> None:
    assert Expected(seconds, megabytes).in_words() == words
