"""The rules of the house that a machine can hold: sizes of rooms and files, names, what a room's `__init__` is, words.

The lists of exceptions may only shrink.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.bench.places import ROOT

PACKAGES = ("station", "engines", "drivers")
FILES_IN_A_ROOM = 15
LINES = 400
C_FILES_IN_A_ROOM = 30
"""The software camera is one library with a header for each part."""
NO_NAMES = re.compile(r"(^|_)(tools?|utils?|common|helpers?|misc)(_|$)")

WITH_CODE = {
    "drivers/camera/simtl/__init__.py",
    "drivers/plc/modbus/__init__.py",
    "station/__init__.py",
}
"""Rooms with a door: what their `__init__` exports is all that others use."""

DIALECT = {
    "told": 0,
    "tell": 0,
    "tells": 0,
    "mend": 0,
    "mended": 0,
    "so long": 0,
    "so many": 0,
    "in force": 0,
    "answers": 10,
    "looks after": 0,
}
"""Words that say less than the verb of the field, and how often they still stand in the sources."""


def sources(suffix: str) -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob(f"*{suffix}"))]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rooms(suffix: str) -> dict[str, int]:
    """Files of each folder, `__init__.py` not counted."""
    found: dict[str, int] = {}
    for path in sources(suffix):
        if path.name != "__init__.py":
            found[name(path.parent)] = found.get(name(path.parent), 0) + 1
    return found


@pytest.mark.parametrize(("suffix", "most"), [(".py", FILES_IN_A_ROOM), (".c", C_FILES_IN_A_ROOM)])
def test_a_room_has_few_files(suffix: str, most: int) -> None:
    full = {room: count for room, count in rooms(suffix).items() if count > most}
    assert not full, f"more than {most} files: make a room of those that belong together (docs/decisions/0018)"


def test_a_file_is_a_page_or_two() -> None:
    lines = {name(path): len(path.read_text().splitlines()) for path in [*sources(".py"), *sources(".c")]}
    long = {path: count for path, count in lines.items() if count > LINES}
    assert not long, f"longer than {LINES} lines: it is two files"


def test_no_name_says_only_that_it_is_of_use() -> None:
    assert [
        name(path) for path in sources(".py") if NO_NAMES.search(path.stem) or NO_NAMES.search(path.parent.name)
    ] == []


def test_every_room_says_what_it_is_and_has_no_code_of_its_own() -> None:
    with_code = set()
    for path in sources("__init__.py"):
        module = ast.parse(path.read_text())
        assert ast.get_docstring(module), f"{name(path)}: what is this room for?"
        if len(module.body) > 1:
            with_code.add(name(path))
    assert with_code <= WITH_CODE, "an __init__ is a docstring"


@pytest.mark.parametrize("word", DIALECT)
def test_the_dialect_only_shrinks(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    places = {name(path): len(pattern.findall(path.read_text())) for path in [*sources(".py"), *sources(".c")]}
    count = sum(places.values())
    where = [path for path, found in places.items() if found]
    assert count <= DIALECT[word], f'"{word}": say it with the verb of the field; it stands in {where}'
