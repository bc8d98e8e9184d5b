"""Every table can be read on a terminal of 80 columns: nothing is cut off, and no line is wider than the terminal."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engines.training.summary import Summary
from station.commands.daemon import status_table
from station.commands.engines.evaluate import trade_off_table, verdict_table
from station.commands.engines.teach import summary_table
from station.line.signalling.snapshot import readable
from station.terminal import console
from tests.commands.engines.test_evaluate import RESULT
from tests.commands.records.conftest import Station, station
from tests.commands.test_json import ALONE, STARTS_A_PROCESS, full, status
from tests.commands.test_status import SNAPSHOT

__all__ = ["full", "station"]

WIDTH = 80
BORDERS = "│┃━─"
LONG = "a-very-long-name-of-a-data-set-or-a-folder-that-somebody-has-chosen-without-a-thought-of-terminals"


def check(said: str) -> None:
    assert "…" not in said
    lines = [line for line in said.splitlines() if any(border in line for border in BORDERS) or line.endswith("  ")]
    assert [line for line in lines if len(line.rstrip()) > WIDTH] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.system] if name in STARTS_A_PROCESS else []) for name in ALONE]
)
def test_a_command(name: str, full: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    if name == "engine rollback":
        full.run("engine", "activate", "2")
    _, out, err = full.run(*(word.format(folder=full.config.parent) for word in ALONE[name]))
    check(out + err)


def printed(*tables: object) -> str:
    shown = console(width=WIDTH)
    with shown.capture() as capture:
        for table in tables:
            shown.print(table)
    return capture.get()


def test_status() -> None:
    said = printed(status_table({**status(), **readable(replace(SNAPSHOT, recipe=LONG))}))
    check(said)
    assert LONG in "".join(line.strip("│ ") for line in said.splitlines()).replace(" ", "").replace("│", "")


def test_the_tables_of_an_evaluation() -> None:
    """Headings were cut: `not rejec…`."""
    priced = replace(RESULT, trade_off={"1": 0.5, "5": 0.2}, causes={"location": 0.0, "limit": 0.1, "ranking": 0.2})
    results = [asdict(each) for each in (priced, replace(priced, dataset=LONG))]
    said = printed(verdict_table(results), trade_off_table(results))
    check(said)
    assert "defects that pass when 1 % or 5 % of the good are rejected" in " ".join(said.split())


def test_teaching() -> None:
    texts = dict.fromkeys(("preprocessing", "detector", "promise", "suspects", "known_defects", "kinds"), LONG)
    numbers = dict.fromkeys(("dirt_share", "masked_share", "reject_score", "review_score", "pixel_score"), 0.5)
    summary = Summary(
        images=30, removed=(LONG,), couplings_used=True, held_out_scores={}, parity=0.0, graphs={LONG: LONG},
        reviews={}, finds=(LONG,), pictures=(), seconds=1.0, warnings=(LONG,), **texts, **numbers,  # type: ignore[arg-type]
    )  # fmt: skip
    check(printed(summary_table(Path(LONG), {"engine_id": "e" * 64, **asdict(summary)})))
