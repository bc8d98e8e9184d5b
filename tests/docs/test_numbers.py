"""Numbers in running text are those of the code."""

from __future__ import annotations

import ast

import pytest

from tests.docs.documents import ROOT

NUMBERS = [
    ("docs/decisions/0003-line-path.md", "The GIL is asked for every {:g} ms", "GIL_SWITCH_S", 1000),
    ("docs/decisions/0010-plc-links.md", "wait at most {:g} ms for the interpreter", "GIL_SWITCH_S", 1000),
    ("docs/decisions/0011-tracking-to-the-ejector.md", "the last {:g} encoder values", "FIT_SAMPLES", 1),
    ("docs/decisions/0013-recipes-and-challenge-test.md", "gives up by itself after {:g} s", "LIMIT_S", 1),
    ("docs/decisions/0013-recipes-and-challenge-test.md", "after {:g} s when the belt stands", "STANDS_S", 1),
    ("docs/decisions/0013-recipes-and-challenge-test.md", "do not end in {:g} s", "BACK_S", 1),
    ("docs/integrator.md", "{:g} different images are the least", "MIN_IMAGES", 1),
    ("docs/maintenance.md", "at least {:g} beside those held out", "MIN_TRAINING", 1),
    ("docs/maintenance.md", "at most {:g} % of what is learned from", "MAX_SUSPECT_SHARE", 100),
]


@pytest.mark.parametrize(("document", "sentence", "constant", "scale"), NUMBERS)
def test_number(document: str, sentence: str, constant: str, scale: float) -> None:
    text = " ".join((ROOT / document).read_text().split())
    assert sentence.format(value_of(constant) * scale) in text, f"{constant} in the code is another number"


def value_of(constant: str) -> float:
    """The number that a module of the station or the engines gives this name; exactly one does."""
    found: list[float] = []
    for path in [*(ROOT / "station").rglob("*.py"), *(ROOT / "engines").rglob("*.py")]:
        if constant in (text := path.read_text()):
            for line in ast.parse(text).body:
                match line:
                    case ast.Assign([ast.Name(name)], ast.Constant(float() | int() as value)) if name == constant:
                        found.append(value)
    assert len(found) == 1, f"{constant}: {len(found)} definitions"
    return found[0]
