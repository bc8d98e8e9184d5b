"""Text of others in Markdown: names of folders, kinds of defects, errors of libraries are text of one line there.

A page in Markdown is shown as HTML and read as it stands, so a name may be neither a cell, a heading, a link nor a tag,
and may not move the cursor of a terminal.
"""

from __future__ import annotations

import html
import re

_MARKS = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore within a word is none."""
_AT_THE_BEGIN = re.compile(r"(?P<number>[0-9]+)(?=[.)]( |$))|(?P<mark>[+-](?= |$)|#+(?= |$)|-+$|=+$)")
"""What would begin a list or a heading, or make one of the line above."""


def one_line(text: object) -> str:
    """The text on one line; what cannot be shown is spelled out."""
    line = " ".join(str(text).split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def as_text(text: object) -> str:
    """The text on one line, so that Markdown shows it as it is; what cannot be shown is spelled out (`\\x1b`)."""
    marked = _MARKS.sub(lambda found: f"\\{found[0]}", one_line(text))
    if begin := _AT_THE_BEGIN.match(marked):
        place = begin.end() if begin["number"] else 0
        marked = f"{marked[:place]}\\{marked[place:]}"
    return html.escape(marked, quote=False)


def table(header: list[str], rule: list[str], rows: list[list[str]]) -> str:
    """A table; every cell is text. `rule`: how each column is aligned, as `---:`."""
    lines = [[as_text(cell) for cell in header], rule, *([as_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
