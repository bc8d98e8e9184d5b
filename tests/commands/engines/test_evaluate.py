"""What `station evaluate` prints: what happens to parts, by data set and kind of defect."""

from __future__ import annotations

from dataclasses import asdict, replace

from engines.training.evaluation.results import BY_PART, STANDARD, Escapes, Result
from station.commands.engines.evaluate import trade_off_table, verdict_table

RESULT = Result(
    "tiles", "spatial", "lite0", "auto", 40, 0, "contaminated", "", "",
    image_auroc=0.9, false_reject=0.01, good_review=0.05,
    escapes=Escapes(20, 0.3, 0.6, 0.5, 0.2),
    escapes_by_defect={"crack": Escapes(10, 0.5, 0.9, 0.8, 0.4), "[red]blow": Escapes(10, 0.1, 0.3, 0.2, 0.0)},
)  # fmt: skip


def rows(*results: Result) -> list[tuple[str, ...]]:
    table = verdict_table([asdict(result) for result in results])
    return list(zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True))


def test_escapes_stand_by_kind_beside_what_good_parts_cost() -> None:
    first, *kinds = rows(RESULT)
    assert first == ("tiles spatial", "40 %", "all", "30.0 %", "60.0 %", "1.0 %", "5.0 %", "50.0 %", "20.0 %")
    assert [row[2:5] for row in kinds] == [("[red]blow", "10.0 %", "30.0 %"), ("crack", "50.0 %", "90.0 %")]


def test_the_trade_off_stands_beside_the_causes() -> None:
    priced = replace(RESULT, trade_off={"1": 0.5, "5": 0.2}, causes={"location": 0.0, "limit": 0.1, "ranking": 0.2})
    other = replace(priced, seed=1, trade_off={"1": 0.3, "5": 0.0})
    table = trade_off_table([asdict(each) for each in (priced, other, replace(RESULT, seed=2))])
    assert [str(column.header) for column in table.columns][2:] == ["1 %", "5 %", "location", "limit", "ranking"]
    assert [next(str(cell) for cell in column.cells) for column in table.columns] == [
        *("tiles spatial", "40 %", "40.0 %", "10.0 %", "0.0 %", "10.0 %", "20.0 %")
    ]
    assert trade_off_table([asdict(RESULT)]).row_count == 0


def test_seeds_are_averaged_and_one_refinement_is_shown() -> None:
    other = replace(
        RESULT,
        seed=1,
        escapes=Escapes(20, 0.5, 0.6, 0.5, 0.2),
        escapes_by_defect={"crack": Escapes(20, 0.3, 0.6, 0.5, 0.2)},
    )
    raw = replace(RESULT, refine="none", escapes=Escapes(20, 1.0, 1.0, 1.0, 1.0))
    clean = replace(RESULT, protocol=STANDARD, noise=0, escapes_by_defect={})
    by_part = replace(clean, protocol=BY_PART)
    found = rows(RESULT, other, raw, clean, by_part)
    assert [row[1:4] for row in found] == [
        ("40 %", "all", "40.0 %"),
        ("", "[red]blow", "10.0 %"),
        ("", "crack", "40.0 %"),
        ("standard", "all", "30.0 %"),
        ("by part", "all", "30.0 %"),
    ]


def test_failed_and_older_results_show_nothing_rather_than_a_figure() -> None:
    older = replace(RESULT, escapes=None, escapes_by_defect={})
    assert rows(older, replace(RESULT, seed=2, error="no memory")) == [
        ("tiles spatial", "40 %", "all", "–", "–", "1.0 %", "5.0 %", "–", "–")
    ]
