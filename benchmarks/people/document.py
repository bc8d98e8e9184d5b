"""The tables of docs/days.md, from what was counted; the text between them is that of people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HEAD = """| step | clicks | keys | hands, s | machine, s | in a shell: lines | keys | hands, s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def write(results: Path, document: Path) -> None:
    """Replaces the table of each day under its heading. Raises ValueError: the document has no such heading."""
    text = document.read_text()
    for day in json.loads(results.read_text()):
        heading = day["day"][0].upper() + day["day"][1:]
        text, count = re.subn(
            rf"(?<=^## {re.escape(heading)}\n\n)(\|.*\n)+(\nOn the line.*\n)?",
            lambda _, of=day: table(of),  # type: ignore[misc]  # of this round
            text,
            flags=re.MULTILINE,
        )
        if count != 1:
            raise ValueError(f"{document} has no table under ## {heading}")
    document.write_text(text)


def table(day: dict[str, Any]) -> str:
    """With the sums, and what the line did meanwhile."""
    steps = day["steps"]
    rows = [_row(step["what"], step, step["shell"]) for step in steps]
    shells = [step["shell"] for step in steps if step["shell"] is not None]
    sums = {name: sum(step[name] for step in steps) for name in ("clicks", "keys", "hands_s", "machine_s")}
    shell = {name: sum(each[name] for each in shells) for name in ("lines", "keys", "hands_s")}
    said = "; ".join(f"{what} {100 * share:.0f} %" for what, share in day.get("says", {}).items())
    on_the_line = f"\nOn the line, of the parts of that time: {said}.\n" if said else ""
    return HEAD + "".join(rows) + _row("all", sums, shell, bold=True) + on_the_line


def _row(what: str, pages: dict[str, Any], shell: dict[str, Any] | None, *, bold: bool = False) -> str:
    cells = [what, *(round(pages[name]) for name in ("clicks", "keys", "hands_s", "machine_s"))]
    cells += ["–"] * 3 if shell is None else [round(shell[name]) for name in ("lines", "keys", "hands_s")]
    return "| " + " | ".join(f"**{cell}**" if bold else str(cell) for cell in cells) + " |\n"
