"""On which line of a TOML file a key stands: what its parser does not keep and a person who corrects the file wants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
TABLE = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_LONG_STRING = re.compile(r'"""|\'\'\'')


class KeyLines:
    """The lines of all keys and tables of a valid TOML file."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        for number, location in _keys(text):
            self._lines.setdefault(location, number)

    def of(self, location: Sequence[str | int]) -> int | None:
        """The line of a key, or of the innermost table around it; None when neither stands in the file."""
        steps = tuple(map(str, location))
        for length in range(len(steps), 0, -1):
            if (number := self._lines.get(steps[:length])) is not None:
                return number
        return None


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line (from 1) and location of every key and table; an array of tables counts its tables from 0."""
    table: tuple[str, ...] = ()
    tables: Counter[tuple[str, ...]] = Counter()
    inside = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if inside:
            inside = "" if line.count(inside) % 2 else inside
            continue
        if header := TABLE.match(line):
            table = located(parts_of(header[2]), tables)
            if header[1] == "[[":
                tables[table] += 1
                yield number, table
                table = (*table, str(tables[table] - 1))
            yield number, table
        elif key := KEY.match(line):
            parts = parts_of(key[1])
            for length in range(1, len(parts) + 1):
                yield number, (*table, *parts[:length])
        for quotes in _LONG_STRING.findall(line):
            inside = "" if inside == quotes else inside or quotes


def located(parts: Sequence[str], tables: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    """A table's location: under an array of tables it belongs to the newest of them."""
    location: tuple[str, ...] = ()
    for part in parts[:-1]:
        location = (*location, part)
        if tables[location]:
            location = (*location, str(tables[location] - 1))
    return (*location, parts[-1])


def parts_of(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY_PART, dotted))
