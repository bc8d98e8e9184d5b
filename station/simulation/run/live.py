"""What the demo shows while parts run: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from station.simulation.parts.pictures import GOOD
from station.simulation.run.processes import LineState
from station.terminal import coloured, joined

LINE_EVERY_S = 5.0
ROWS = 10

VERDICT_STYLE = {"PASS": "green", "FAIL": "bold red", "REVIEW": "yellow", "ERROR": "bold magenta"}


class LiveView:
    """Shows the run from `__enter__` to `__exit__`."""

    def __init__(
        self,
        console: Console,
        truths: Mapping[int, str],
        total: int,
        rate_per_s: float,
        counted_before: Mapping[str, int],
    ) -> None:
        """`truths` by part id; `counted_before`: the station's counters when the run begins (teaching)."""
        self._console = console
        self._truths = truths
        self._total = total
        self._rate_per_s = rate_per_s
        self._counted_before = counted_before
        self._start_s = time.monotonic()
        self._line_due_s = self._start_s + LINE_EVERY_S
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: Mapping[str, Any], line: LineState, gone: int) -> None:
        """Shows the state of station and line; `gone` parts have left the belt."""
        if self._live is not None:
            self._live.update(Panel(Group(self._summary(status, line, gone), self._parts(status, line)), title="demo"))
        elif time.monotonic() >= self._line_due_s:
            self._line_due_s += LINE_EVERY_S
            counters = self._counters(status)
            self._console.print(
                f"{gone} of {self._total} parts have left the belt: "
                f"{counters['passed']} pass, {counters['failed']} fail, "
                f"{counters['review']} review, {counters['error']} error"
            )

    def _counters(self, status: Mapping[str, Any]) -> dict[str, int]:
        """What the station counted in this run."""
        return {name: count - self._counted_before[name] for name, count in status["counters"].items()}

    def _summary(self, status: Mapping[str, Any], line: LineState, gone: int) -> Table:
        table = Table.grid(padding=(0, 2))
        seconds = time.monotonic() - self._start_s
        ready = coloured("ready", "green") if line.trigger_ready else coloured("not ready", "yellow")
        table.add_row("station", joined(f"{status['state']}, ", ready, "   ", coloured(status["error"], "red")))
        table.add_row("engine", f"{status['engine_id'][:12]}")
        table.add_row("line", f"{gone} of {self._total} parts in {seconds:.0f} s, set to {self._rate_per_s:g} parts/s")
        counters = self._counters(status)
        table.add_row(
            "ledger",
            joined(
                f"{counters['triggers']} triggers = ",
                *(coloured(f"{counters['passed']} pass", "green"), " + "),
                *(coloured(f"{counters['failed']} fail", "red"), " + "),
                *(coloured(f"{counters['review']} review", "yellow"), " + "),
                *(coloured(f"{counters['error']} error", "magenta"), f" + {status['in_flight']} in flight"),
            ),
        )
        bins = [end["bin"] for end in list(line.ends.values()) if end["part_id"] in self._truths]
        table.add_row("bins", f"{bins.count('good')} good, {bins.count('reject')} reject")
        return table

    def _parts(self, status: Mapping[str, Any], line: LineState) -> Table:
        table = Table(expand=True, pad_edge=False)
        for name, justify in (("part", "right"), ("truth", "left"), ("verdict", "left"), ("score", "right"),
                              ("latency ms", "right"), ("bin", "left"), ("reason", "left")):  # fmt: skip
            table.add_column(name, justify=justify, no_wrap=True, ratio=1 if name == "reason" else None)  # type: ignore[arg-type]
        for part in reversed(status["recent"][-ROWS:]):
            end = line.ends.get(part["part_id"])
            truth = self._truths.get(part["part_id"], "?")
            style = VERDICT_STYLE[part["verdict"]]
            table.add_row(
                str(part["part_id"]),
                truth if truth == GOOD else coloured(truth, "cyan"),
                coloured(part["verdict"], style),
                "" if part["score"] is None else f"{part['score']:.3f}",
                f"{part['latency_ms']:.1f}",
                "on the belt" if end is None else end["bin"],
                part["reason"],
            )
        return table
