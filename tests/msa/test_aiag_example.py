"""AIAG's published example, to the digit that is printed; Fleiss' kappas as Minitab prints them for the same data."""

from __future__ import annotations

import pytest

from station.msa.analysis import Grade, analysed, percent
from tests.msa.aiag import RATINGS, STUDY

FOUND = analysed(STUDY, RATINGS)
BY_NAME = {each.name: each for each in FOUND.appraisers}


@pytest.mark.parametrize(
    ("pair", "kappa", "table"),
    [
        (("A", "B"), ".86", ((44, 6), (3, 97))),
        (("B", "C"), ".79", ((42, 5), (9, 94))),
        (("A", "C"), ".78", ((43, 7), (8, 92))),
    ],
)
def test_cross_tables_of_two(pair: tuple[str, str], kappa: str, table: object) -> None:
    (found,) = (each for each in FOUND.pairs if (each.first, each.second) == pair)
    assert (f"{found.kappa.value:.2f}"[1:], found.kappa.table) == (kappa, table)


@pytest.mark.parametrize(
    ("name", "kappa", "table"),
    [
        ("A", ".88", ((45, 5), (3, 97))),
        ("B", ".92", ((45, 2), (3, 100))),
        ("C", ".77", ((42, 9), (6, 93))),
    ],
)
def test_each_against_the_reference(name: str, kappa: str, table: object) -> None:
    found = BY_NAME[name].kappa_reference
    assert (f"{found.value:.2f}"[1:], found.table) == (kappa, table)


@pytest.mark.parametrize(
    ("name", "effectiveness", "rates", "within", "fleiss"),
    [
        ("A", "84.0 %", ["71 %", "93 %", "6.3 %", "4.9 %"], 42, "0.760000"),
        ("B", "90.0 %", ["78 %", "97 %", "6.3 %", "2.0 %"], 45, "0.845073"),
        ("C", "80.0 %", ["66 %", "90 %", "12.5 %", "8.8 %"], 40, "0.702911"),
    ],
)
def test_effectiveness_miss_and_false_alarm(
    name: str, effectiveness: str, rates: list[str], within: int, fleiss: str
) -> None:
    each = BY_NAME[name]
    assert percent(each.effectiveness.value) == effectiveness
    bounds = [f"{100 * bound:.0f} %" for bound in each.effectiveness.exact]
    printed = [percent(value) for value in (each.miss.value, each.false_alarm.value)]
    assert bounds + printed == rates
    assert (each.within.count, each.within.of) == (within, 50)
    assert each.kappa_within is not None
    assert f"{each.kappa_within.value:.6f}" == fleiss


def test_all_of_them_together() -> None:
    assert FOUND.all_within is not None
    assert FOUND.all_effective is not None
    assert FOUND.between is not None
    assert (FOUND.all_within.count, FOUND.all_effective.count) == (39, 39)
    assert [f"{100 * bound:.0f} %" for bound in FOUND.all_effective.exact] == ["64 %", "88 %"]
    assert f"{FOUND.between.value:.6f}" == "0.793606"


def test_the_table_of_decisions() -> None:
    """AIAG: A is marginal in effectiveness, and no appraiser may miss 6.3 %."""
    assert BY_NAME["A"].grades == {
        "effectiveness": Grade.MARGINAL,
        "miss rate": Grade.UNACCEPTABLE,
        "false alarm rate": Grade.ACCEPTABLE,
    }
    assert BY_NAME["B"].grades["effectiveness"] is Grade.ACCEPTABLE
    assert BY_NAME["C"].grades["false alarm rate"] is Grade.MARGINAL
    assert FOUND.grade is Grade.UNACCEPTABLE


def test_every_disagreement_is_listed_misses_first() -> None:
    assert sorted(int(each.part.name) for each in FOUND.disagreements) == [6, 7, 12, 14, 21, 22, 26, 30, 34, 36, 43]
    assert [each.is_missed for each in FOUND.disagreements] == [True] * 5 + [False] * 6


def test_no_miss_is_no_proof() -> None:
    assert any("With 50 defective parts and no miss the bound is still 5.8 %" in note for note in FOUND.notes)
