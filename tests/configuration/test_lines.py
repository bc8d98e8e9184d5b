"""Where a problem stands in the file, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.configuration.lines import KeyLines
from station.configuration.load import ConfigurationError, load

TEXT = '''# a comment = 1
[station]
name = "ST [4]"     # [plc]
work_dir = """
[engine]
path = 1
"""

[cameras.top]
driver = "folder"
"trigger" = 'software'

[decision]
limits.fail_count = 3
[[decision.zones]]
name = "bore"
polygon = [
  [0, 0],
  [1, 0],
]
[[ decision . zones ]]
name = "edge"
[cameras."side"]
after_ms = 5
'''


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("station",), 2),
        (("station", "name"), 3),
        (("station", "work_dir"), 4),
        (("engine", "path"), None),  # the text of work_dir
        (("cameras", "top", "trigger"), 11),
        (("decision", "limits", "fail_count"), 14),
        (("decision", "limits"), 14),
        (("decision", "zones", 0, "polygon"), 17),
        (("decision", "zones", 0, "polygon", 1), 17),
        (("decision", "zones", 1, "name"), 22),
        (("decision", "zones", 1, "polygon"), 21),  # missing: the table that lacks it
        (("cameras", "side", "after_ms"), 24),
        (("plc",), None),
        ((), None),
    ],
)
def test_every_key_has_its_line(location: tuple[str | int, ...], line: int | None) -> None:
    assert KeyLines(TEXT).of(location) == line


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "station.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return caught.value.problems


def test_problems_name_their_lines_and_what_was_meant(tmp_path: Path) -> None:
    camera = '[cameras.top]\ndriver = "folder"\nfolder = "images"\ntrigger = "plc"\n'
    found = problems(tmp_path, camera + '[decision]\nreview_scor = 0.3\n\nreject_score = 7\n[plc]\nrole = "clinet"\n')
    assert [problem.partition(":")[0] for problem in sorted(found)] == ["line 10", "line 6", "line 8"]
    assert any('[decision] review_scor: unknown key, did you mean "review_score"?' in problem for problem in found)


def test_a_key_like_no_other_suggests_nothing(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[cameras.top]\ndriver = "folder"\nfolder = "a"\ntrigger = "plc"\nxyzzy = 1\n')
    assert problem.startswith("line 5: [cameras.top] xyzzy: unknown key; allowed here: ")


def test_a_problem_of_a_recipe_names_the_line_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/nut.toml").write_text("number = 1\n[decision]\n\nreject_score = 3\n")
    camera = '[cameras.top]\ndriver = "folder"\nfolder = "images"\ntrigger = "plc"\n'
    (problem,) = problems(tmp_path, camera + '[recipe]\nactive = "nut"\n')
    assert problem.startswith("line 4: [decision] reject_score = 3")


def test_a_file_in_utf_16_has_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_bytes(
        '[cameras.top]\r\ndriver = "folder"\r\nfolder = "a"\r\ntrigger = "plc"\r\nx = 1\r\n'.encode("utf-16")
    )
    with pytest.raises(ConfigurationError, match=r"line 5: \[cameras.top\] x: unknown key"):
        load(path)
