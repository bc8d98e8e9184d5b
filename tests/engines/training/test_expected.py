"""What a teaching is expected to take: proportional to the images, bounded in memory."""

from __future__ import annotations

import pytest

from engines.training.expected import Expected, expected_of
from engines.training.fitting.train import MAX_CLOSED_FORM_IMAGES


def test_time_grows_no_faster_than_the_images() -> None:
    found = [expected_of(0.02, 0.15, images, 60).seconds for images in (200, 1000, 5000)]
    assert found == sorted(found)
    assert found[1] < 5 * found[0]
    assert found[2] < 5 * found[1]


def test_memory_does_not_grow_beyond_what_is_learned_at_once() -> None:
    assert expected_of(0.02, 0.15, 5000, 60).megabytes == expected_of(0.02, 0.15, MAX_CLOSED_FORM_IMAGES, 60).megabytes
    assert expected_of(0.02, 0.15, 500, 60).megabytes > expected_of(0.02, 0.15, 50, 60).megabytes


def test_synthetic_defects_are_counted() -> None:
    assert expected_of(0.02, 0.15, 100, 60).seconds > 1.5 * expected_of(0.02, 0.15, 100, 0).seconds


@pytest.mark.parametrize(
    ("seconds", "megabytes", "words"),
    [(41, 640, "expected: 50 s, 0.7 GB"), (89, 1200, "expected: 90 s, 1.2 GB"), (200, 990, "expected: 4 min, 1.0 GB")],
)
def test_in_words(seconds: float, megabytes: float, words: str) -> None:
    assert Expected(seconds, megabytes).in_words() == words
