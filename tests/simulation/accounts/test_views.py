"""What people see: contact sheet, live table, summary."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from station.results import Region, Verdict
from station.simulation.accounts.contact_sheet import COLUMNS, MAX_CELLS, RIGHT, WRONG, Cell, draw
from station.simulation.accounts.report import Outcome, report
from station.simulation.accounts.summary import print_summary
from station.simulation.plant.belt import Bin
from station.simulation.run.live import LiveView
from station.simulation.run.processes import LineState
from station.simulation.run.workspace import Workspace


def cell(*, shape: tuple[int, ...] = (120, 160, 3), justified: bool = True, heat_at: int | None = 5) -> Cell:
    anomaly_map = None if heat_at is None else np.zeros((12, 16), np.float32)
    if anomaly_map is not None:
        anomaly_map[heat_at, heat_at] = 9.0
    contour = ((20, 20), (60, 20), (60, 60), (20, 60))
    region = Region(1.0, 1.0, (40.0, 40.0), (20, 20, 40, 40), 9.0, contour)
    return Cell(np.full(shape, 90, np.uint8), anomaly_map, (region,), "part 1: dent", ("FAIL", "why"), justified)


def has(sheet: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((sheet == np.array(colour)).all(axis=2).any())


def test_sheet_marks_right_and_wrong_rejects_and_outlines_regions() -> None:
    right, wrong = draw([cell(justified=True)], "one"), draw([cell(justified=False)], "one")
    assert (has(right, RIGHT), has(right, WRONG)) == (True, False)
    assert (has(wrong, RIGHT), has(wrong, WRONG)) == (False, True)
    bare = draw([replace(cell(), regions=())], "one")
    assert (right.astype(int) - bare).max() > 60, "the outline of the region is drawn"


@pytest.mark.parametrize("shape", [(600, 250), (40, 300), (448, 448, 3)])
def test_sheet_takes_grey_and_elongated_pictures_and_parts_without_a_map(shape: tuple[int, ...]) -> None:
    sheet = draw([cell(shape=shape), cell(shape=shape, heat_at=None)], "two")
    assert sheet.ndim == 3
    assert sheet.dtype == np.uint8


def test_long_sheet_is_cut_and_an_empty_one_is_still_a_sheet() -> None:
    rows = -(-MAX_CELLS // COLUMNS)
    cut = draw([cell()] * (MAX_CELLS + 30), "many")
    assert cut.shape == draw([cell()] * MAX_CELLS, "many").shape
    assert cut.shape[0] > rows * 120
    assert draw([], "none").shape[0] > 0


def status(recent: list[dict[str, Any]]) -> dict[str, Any]:
    counters = {"triggers": 61, "passed": 0, "failed": 1, "review": 60, "error": 0, "missed": 0, "late": 0}
    return {
        "state": "ready",
        "error": "",
        "engine_id": "abcdef",
        "counters": counters,
        "in_flight": 0,
        "recent": recent,
    }


def test_live_table_shows_verdict_truth_and_bin_and_counts_this_run_only() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=140)
    part = {"part_id": 61, "verdict": "FAIL", "score": 2.5, "latency_ms": 31.0, "reason": "too much"}
    line = LineState(ends={61: {"part_id": 61, "bin": "reject"}})
    before = {"triggers": 60, "passed": 0, "failed": 0, "review": 60, "error": 0, "missed": 0, "late": 0}
    with LiveView(console, {61: "dent"}, 1, 4.0, before) as view:
        view.show(status([part]), line, 1)
    shown = output.getvalue()
    assert all(
        word in shown for word in ("dent", "FAIL", "2.500", "31.0", "reject", "too much", "0 review", "1 triggers")
    )


def test_summary_says_what_is_wrong(tmp_path: Path) -> None:
    outcomes = [Outcome(1, "dent", (Verdict.PASS,), Bin.GOOD), Outcome(2, "good", (Verdict.ERROR,), Bin.REJECT)]
    made = report(outcomes, "abc") | {
        "problems": ["part 7 fell off"],
        "teaching": {},
        "runtime": {"asked": "auto", "ran": "onnx", "why": "chosen by auto, because there is no GPU"},
        "rate_per_s": 4.0,
        "held_rate_per_s": 3.9,
    }
    output = io.StringIO()
    print_summary(Console(file=output, width=120), made, Workspace(tmp_path))
    shown = output.getvalue()
    assert "part 7 fell off" in shown
    assert "ledger balances" not in shown
    assert "defective parts passed  1" in shown
    assert "because there is no GPU" in shown
    assert "3.9 parts/s held" in shown
