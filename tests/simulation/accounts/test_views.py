"""What people see: live table, summary."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from station.results import Verdict
from station.simulation.accounts.report import Outcome, report
from station.simulation.accounts.summary import print_summary
from station.simulation.plant.belt import Bin
from station.simulation.run.live import LiveView
from station.simulation.run.processes import LineState
from station.simulation.run.workspace import Workspace


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
