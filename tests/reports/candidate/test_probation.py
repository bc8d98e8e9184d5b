"""How a probation stands: a bad engine fails it, a line that has changed does not, and looking often costs nothing."""

from __future__ import annotations

import numpy as np

from station.reports.candidate.probation import FEW_PARTS, SHIFT_S, Finding, Sums, Terms

TERMS = Terms(parts=5000, agreed_share=0.02)


def followed(active: float, before: float, seed: int, parts: int = 5000) -> tuple[Finding, int]:
    """Shares of parts that each rejects; how the probation ends, and after how many parts."""
    random = np.random.default_rng(seed)
    drawn = random.random((parts, 2)) < (active, before)
    sums = Sums()
    for rejected, rejected_before in drawn.tolist():
        sums = sums.with_part(rejected=rejected, rejected_before=rejected_before)
        finding = TERMS.finding(sums)
        if finding is not Finding.GOES_ON:
            return finding, sums.parts
    return finding, sums.parts


def test_an_engine_that_keeps_its_promise_passes() -> None:
    assert [followed(0.02, 0.02, seed) for seed in range(20)] == [(Finding.PASSED, 5000)] * 20


def test_an_engine_that_rejects_more_fails_soon() -> None:
    ends = [followed(0.10, 0.01, seed) for seed in range(20)]
    assert {finding for finding, _ in ends} == {Finding.FAILED}
    assert np.median([parts for _, parts in ends]) < 200


def test_where_both_reject_more_it_is_not_the_engine() -> None:
    """Parts that both reject, as a weaker lamp makes them, and parts that each rejects on its own."""
    assert {followed(0.10, 0.10, seed)[0] for seed in range(20)} == {Finding.BOTH}
    assert TERMS.finding(Sums(400, 60, 55, 50)) is Finding.BOTH
    assert TERMS.finding(Sums(400, 60, 8, 6)) is Finding.FAILED


def test_a_shift_is_enough_for_a_line_of_few_parts() -> None:
    assert TERMS.finding(Sums(600, 6, 6), SHIFT_S - 1) is Finding.GOES_ON
    assert TERMS.finding(Sums(600, 6, 6), SHIFT_S) is Finding.PASSED
    assert TERMS.finding(Sums(FEW_PARTS - 1, 5, 5), 10 * SHIFT_S) is Finding.GOES_ON
