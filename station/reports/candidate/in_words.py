"""A run of a shadow in words and tables, for the shell and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from station import said
from station.reports.candidate.e_values import ENOUGH
from station.reports.candidate.shadowed import Direction, Shadowed

VERDICTS = ("PASS", "REVIEW", "FAIL")
FINDINGS: Mapping[str, str] = {
    "better": "the shadow makes fewer",
    "worse": "the shadow makes more",
    "not worse": "the shadow makes no more, within the margin",
    "": "not enough was seen",
}
DIRECTIONS = (("false_rejects", "false rejects"), ("escapes", "escapes"))


def summary(found: Shadowed) -> str:
    """`1,204 parts, 96.3 % of those it was offered; 3 differ; enough was seen`."""
    share = found.seen_share
    values = {"parts": f"{found.seen:,}", "count": len(found.differing), "total": found.failed}
    values["enough"] = said.ENOUGH_SEEN() if found.is_enough else said.NOT_ENOUGH_YET()
    if share is None:
        return (said.RUN_FAILED if found.failed else said.RUN)(**values)
    return (said.RUN_OFFERED_FAILED if found.failed else said.RUN_OFFERED)(**values, share=f"{share:.1%}")


def pairs_table(found: Shadowed) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Head and rows: the active engine's verdicts downwards, those of the shadow to the right."""
    columns = [*VERDICTS, *(["ERROR"] if found.failed else [])]
    head = ["active / shadow", *columns]
    rows = [[active, *(f"{found.pairs.get((active, verdict), 0):,}" for verdict in columns)] for active in VERDICTS]
    return head, rows


def directions(found: Shadowed) -> list[Sequence[str]]:
    """One row each for false rejects and escapes: what is known, the counts, and the e-values behind it."""
    return [_direction(title, getattr(found, name)) for name, title in DIRECTIONS]


def _direction(title: str, one: Direction) -> Sequence[str]:
    values = f"fewer {_e(one.better)}, more {_e(one.worse)}, no more than {one.margin:.1%} {_e(one.not_worse)}"
    counts = (str(one.only_active), str(one.only_candidate), str(one.not_labelled))
    return (title, FINDINGS[one.finding], *counts, f"{values}; enough from {ENOUGH:g}")


def _e(value: float) -> str:
    return f"{value:.2g}" if value < 1000 else "> 1000"
