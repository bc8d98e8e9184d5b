"""Files that name images, and behind a tab what kind of defect they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import TrainingError
from engines.training.images.image_names import MAX_KIND, read_kinds, read_names

NAMES = ["a.png", "b c.png", "d.png"]


def test_kinds_stand_behind_a_tab(tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text("# labelled\na.png\tdeep scratch\n\nb c.png\t\nd.png\n")
    assert read_kinds(file, NAMES, "known-bad file") == {0: "deep scratch", 1: "", 2: ""}
    assert read_names(file, NAMES, "known-bad file") == {0, 1, 2}


@pytest.mark.parametrize("kind", ["x" * (MAX_KIND + 1), "a\x1b[31mb"])
def test_a_strange_kind_is_refused_with_the_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(f"a.png\t{kind}\n")
    with pytest.raises(TrainingError, match=r"bad\.txt.*at most 64 "):
        read_kinds(file, NAMES, "known-bad file")
