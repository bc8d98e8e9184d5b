"""Values as text for terminals and spreadsheets: what others wrote stays text, whatever it looks like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from station.terminal import one_line

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[object]]) -> Table:
    """A table of a terminal; `columns`: name, and whether it holds numbers. None shows as nothing."""
    made = Table(title=Text(one_line(title)), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, is_number in columns:
        made.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else Text(_shown(value)) for value in row))
    return made


def csv_text(header: Sequence[str] | None, rows: Iterable[Sequence[Any]]) -> str:
    """Lines for a spreadsheet; None: those that follow others. Text that one would take for a formula has a quote in
    front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _shown(value: object) -> str:
    return "" if value is None else one_line(value)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value if value.isprintable() else one_line(value)
    return f"'{text}" if value.startswith(_FORMULA) else text
