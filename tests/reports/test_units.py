"""What people read has the units that people write."""

from __future__ import annotations

import re

from tests.bench.places import ROOT


def test_areas_are_in_square_millimetres_everywhere() -> None:
    """No sentence of the station, the map or the pages says `mm2`, which is a name of keys alone."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("station", "drivers", "engines")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".html", ".js", ".po") and "node_modules" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"[0-9}] mm2", line)
    ]
    assert found == []
