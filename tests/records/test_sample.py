"""The random sample: the same for whoever asks, of the wanted size, blind for what a part is, and nested."""

from __future__ import annotations

import math

import numpy as np

from station.records.sample import chance, in_sample

PARTS = [(session, number) for session in ("2026-11-29T06:00:00", "s2") for number in range(1, 5001)]


def test_the_sample_has_its_share_and_is_spread_like_chance() -> None:
    drawn = np.array([chance(session, number) for session, number in PARTS])
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    expected = len(PARTS) / 10
    counts, _ = np.histogram(drawn, bins=10, range=(0, 1))
    assert float(((counts - expected) ** 2 / expected).sum()) < 27.9, "chi-square, 9 degrees of freedom, 0.1 %"
    neighbours = float(np.corrcoef(drawn[:-1], drawn[1:])[0, 1])
    assert abs(neighbours) < 4 / math.sqrt(len(PARTS)), "the next part is drawn independently"


def test_a_smaller_sample_is_part_of_a_larger_one_and_no_part_stands_outside_of_all() -> None:
    small, large = ({part for part in PARTS if in_sample(*part, share)} for share in (0.002, 0.02))
    assert small < large
    assert all(in_sample(*part, 1.0) for part in PARTS)
    assert not any(in_sample(*part, 0.0) for part in PARTS)


def test_another_purpose_draws_anew() -> None:
    both = sum(in_sample(*part, 0.2) and in_sample(*part, 0.2, "blind") for part in PARTS)
    assert abs(both - 0.04 * len(PARTS)) < 5 * math.sqrt(0.04 * len(PARTS))
    assert chance("s1", 7) == chance("s1", 7)
