"""Writes every generated document, `make docs`; with `--check` only names those that are stale, and exits with 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.generate import codes, commands, configuration, timing_diagrams, vision_states
from docs.generate.line_picture import line
from docs.generate.rooms import rooms
from docs.generate.threads import threads

DOCS = Path(__file__).parents[1]
CURE = "run: make docs"


def documents() -> dict[Path, Callable[[], str]]:
    """Every generated file and what makes its text."""
    plc = DOCS / "plc.md"
    return {
        DOCS / "commands.md": commands.markdown,
        DOCS / "configuration.md": configuration.markdown,
        DOCS / "opcua-states.md": vision_states.markdown,
        plc: lambda: codes.with_tables(plc.read_text()),
        DOCS / "images" / "line.svg": lambda: line().document(),
        DOCS / "images" / "rooms.svg": lambda: rooms().document(),
        DOCS / "images" / "threads.svg": lambda: threads().document(),
        **{DOCS / "images" / f"{name}.svg": partial(_timing, name) for name in timing_diagrams.SCENARIOS},
    }


def stale() -> list[Path]:
    """The generated files that are not what the code makes of them now."""
    return [path for path, make in documents().items() if not path.exists() or path.read_text() != make()]


def _timing(name: str) -> str:
    return timing_diagrams.SCENARIOS[name]().draw().svg()


def main() -> int:
    """Exit code 1 with `--check` when a file is stale."""
    found = stale()
    if "--check" in sys.argv[1:]:
        for path in found:
            print(f"{path.relative_to(DOCS.parent)} is stale; {CURE}", file=sys.stderr)  # noqa: T201
        return 1 if found else 0
    for path in found:
        path.write_text(documents()[path]())
        print(f"wrote {path.relative_to(DOCS.parent)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
