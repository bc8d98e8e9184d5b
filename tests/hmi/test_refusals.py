"""What the station refuses or notes is the same sentence where it is written and where pages translate it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from engines.bundle.detection import DefectKind
from station import noted, refusals
from station.hmi.words import languages
from station.reports.shifts import Calendar, TimeError
from station.said import AT_CONTRAST, CATALOGUE
from tests.bench.pages import Pages
from tests.bench.places import ROOT

GERMAN = languages()["de"].gettext
SOURCES = [file for room in ("station", "engines") for file in sorted((ROOT / room).rglob("*.py"))]
PLACE = re.compile(r"%\(\w+\)s")
HOLE = "\0"
"""A value in a sentence of the sources."""


def sentences(file: Path) -> Iterator[str]:
    """Every text of a file, f-strings with holes for their values."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(piece.value) if isinstance(piece, ast.Constant) else HOLE for piece in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def written() -> set[str]:
    return {text for file in SOURCES if file.name != "refusals.py" for text in sentences(file)}


def test_every_refusal_stands_where_something_is_refused(written: set[str]) -> None:
    lost = []
    for template in refusals.TEMPLATES:
        pieces = [re.escape(piece) for piece in PLACE.split(template.text)]
        pattern = re.compile(f"{HOLE}".join(pieces))
        if not any(pattern.search(text) for text in written):
            lost.append(template.text)
    assert lost == []


def kinds_written() -> set[str]:
    """What stands as the kind of an event in the sources of the station."""
    found = set()
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0] if node.args else None
            if name in ("event", "_event", "_note", "Report") and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def test_every_kind_of_event_has_words() -> None:
    written = kinds_written()
    assert sorted(written - set(noted.KINDS)) == []
    assert len(written) > 20, "the walk finds nothing"


@pytest.mark.parametrize(
    ("ask", "german"),
    [
        (lambda: Calendar().moment("noon", 0.0), "„noon“ ist keine Zeit; erlaubt: wie 06:00"),
        (lambda: Calendar().find("night", 0.0), "keine Schicht „night“; es gibt: now, last, "),
    ],
)
def test_what_is_raised_is_said_in_german(ask: Callable[[], object], german: str) -> None:
    with pytest.raises(TimeError) as refused:
        ask()
    assert CATALOGUE.translated(str(refused.value), GERMAN).startswith(german)


def test_refusals_on_a_page_are_german(pages: Pages) -> None:
    client = pages.client("quality")
    text = client.get("/reports/none", **{"Accept-Language": "de"}).text
    assert "es gibt keinen solchen Bericht" in text
    asked = {"csrf": client.csrf("/account"), "of": "shift", "shift": "night"}
    refused = client.post("/reports/make", asked, **{"Accept-Language": "de"})
    assert (refused.status, "keine Schicht „night“" in refused.text) == (400, True)


def test_what_was_noted_is_found_again() -> None:
    made = noted.ROWS_DELETED(count=3, total=4, ejections=0, why=noted.TOO_OLD())
    assert CATALOGUE.translated(made, GERMAN) == (
        "3 Teile, 4 Ereignisse und 0 Auswürfe wurden gelöscht: älter als keep_rows_days"
    )
    assert CATALOGUE.translated(noted.CLOCK_SET(step="+3.2"), GERMAN) == (
        "die Uhr dieses Rechners wurde um +3.2 s gestellt"
    )


def test_kinds_of_a_virtual_challenge_are_german() -> None:
    for kind in get_args(DefectKind):
        made = AT_CONTRAST(text=kind, count=30)
        german = CATALOGUE.translated(made, GERMAN)
        assert german.endswith(", 30 Graustufen")
        assert kind not in german or GERMAN(kind) == kind
