"""Decision 30 names a test for each kind of fault: they must exist."""

from __future__ import annotations

import re

import pytest

from tests.bench.places import ROOT

PAGE = (ROOT / "docs/decisions/0030-faults.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_holds_a_fault_is_there(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text()


def test_every_kind_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| kind", "| ---"))]
    assert len(rows) > 35
    assert [row for row in rows if "::" not in row] == []
