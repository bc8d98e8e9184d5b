"""Where the comments of a TOML file stand: its parser drops them, and whoever edits the file wants them back."""

from __future__ import annotations

from collections.abc import Iterator

_LONG = ('"""', "'''")


def comments_of(text: str) -> list[str]:
    """Every comment of a valid TOML file, from its `#` to the end of the line, in their order."""
    return [text[begin:end].rstrip() for begin, end in _places(text)]


def split_comment(line: str) -> tuple[str, str]:
    """A single line as what stands before its comment, with the blanks before that, and the comment."""
    begin = next((begin for begin, _ in _places(line)), len(line))
    value = line[:begin].rstrip()
    return value, line[len(value) :]


def _places(text: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of each comment."""
    at, inside = 0, ""
    while at < len(text):
        if inside:
            if text[at] == "\\" and inside[0] == '"':
                at += 2
            elif text.startswith(inside, at):
                at += len(inside)
                inside = ""
            else:
                at += 1
        elif text[at] == "#":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            yield at, end
            at = end
        else:
            inside = next((quotes for quotes in (*_LONG, '"', "'") if text.startswith(quotes, at)), "")
            at += len(inside) or 1
