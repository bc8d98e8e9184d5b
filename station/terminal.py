"""What the commands show: every value is text. Nothing that somebody else wrote is markup or moves the cursor.

A recipe's description, a `--why`, the name of an image, an error of a library: any of them may hold `[/x]`, which the
library that draws tables takes for markup and fails on, or an escape sequence, which a terminal obeys. So commands
print through `console()` and `say`, and what is to have a colour is `coloured` here and nowhere else.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a command that only asks the running station draws no table
    from rich.console import Console
    from rich.text import Text

_KEPT = "\n\t"


def plain(text: object) -> str:
    """As text that can be shown: what controls a terminal, reverses a line or cannot be encoded is spelled out."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() or each in _KEPT else ascii(each)[1:-1] for each in shown)


def one_line(text: object) -> str:
    """As `plain`, with line ends and tabs spelled out, too: for a list, where a line is an entry."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


def say(text: object, *, error: bool = False) -> None:
    """A line on standard output, or on standard error."""
    print(plain(text), file=sys.stderr if error else sys.stdout)


def coloured(text: object, style: str) -> Text:
    """The one way to a colour: a piece of a line, for `console().print` and cells of tables."""
    from rich.text import Text  # noqa: PLC0415

    return Text(plain(text), style=style, overflow="fold")


def joined(*pieces: str | Text) -> Text:
    """A line of pieces, coloured or not."""
    from rich.text import Text  # noqa: PLC0415

    return Text(overflow="fold").join(Text(plain(piece)) if isinstance(piece, str) else piece for piece in pieces)


def console(**options: Any) -> Console:
    """A console to which every string is text, also in cells and titles of tables. `options`: of rich's Console.

    Nothing is cut where the terminal is narrow: a word that is too long goes on in the next line, and the title of a
    table is a line of its own, as wide as the terminal.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class TextConsole(Console):
        def render_str(self, text: str, *, style: Any = "", **layout: Any) -> Text:
            return Text(plain(text), style=style, justify=layout.get("justify"), overflow="fold")

        def print(self, *objects: Any, **layout: Any) -> None:
            for each in objects:
                if isinstance(each, Table) and each.title:
                    super().print(each.title, style="bold")
                    each.title = None
            super().print(*objects, **layout)

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  to `station.commands.main`, which ends all commands alike; rich exits with 1

    return TextConsole(**options)
