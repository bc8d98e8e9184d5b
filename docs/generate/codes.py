"""The tables of docs/plc.md, made from the code.

The page is written by hand, but for what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TypeVar

from drivers.plc import signal_map
from station.codes import ERRORS, OFFLINE_REASONS, REASONS, WARNINGS, CodeText
from station.command_results import COMMAND_RESULTS
from station.commissioning.conformance import run as conformance
from station.line.handshake.messages import Command, StationState

_Code = TypeVar("_Code", bound=IntEnum)
_SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with every generated section as it is now. Raises KeyError when it names one that there is not."""
    tables = {
        "points": signal_map.markdown(),
        "states": _names(StationState),
        "commands": _names(Command),
        "results": _codes(COMMAND_RESULTS),
        "reasons": _codes(REASONS),
        "errors": _codes(ERRORS),
        "warnings": _codes(WARNINGS),
        "offline": _codes(OFFLINE_REASONS),
        "rules": conformance.markdown(),
    }
    return _SECTION.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", page)


def _names(codes: Iterable[IntEnum]) -> str:
    rows = [(str(int(code)), code.name.lower().replace("_", " ")) for code in codes]
    return _table(("number", "name"), rows)


def _codes(codes: Mapping[_Code, CodeText]) -> str:
    rows = [(str(int(code)), code.name, text.text, text.action) for code, text in codes.items()]
    return _table(("code", "name", "meaning", "what to do"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---:", *("---" for _ in head[1:])), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
