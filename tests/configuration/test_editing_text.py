"""Keys are set in the text of a TOML file as a person would: everything else stays, comments above all."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.configuration.editing.comments import comments_of, split_comment
from station.configuration.editing.text import EditError, edited_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = """# the station of line 4
[station]
name = "line # 4"  # no comment in quotes

[decision]
reject_score = 0.5  # agreed with quality, March
# zones below
pixel_size_mm = 0.05

# the hole in the middle
[[decision.zones]]
name = "hole"  # of the drill
polygon = [
  [0.4, 0.4],  # top left
  [0.6, 0.4],
  [0.6, 0.6],
]
ignore = true

[[decision.zones]]
name = "edge"
polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]]

# cameras
[cameras.top]
producer = "simtl"
exposure_time_us = 500.0
"""
HOLE: dict[str, Any] = {"name": "hole", "polygon": [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6]], "ignore": True}
EDGE: dict[str, Any] = {"name": "edge", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]]}


def test_a_value_is_replaced_and_its_comment_stays() -> None:
    done = edited_text(TEXT, {("decision", "reject_score"): 0.55, ("cameras", "top", "exposure_time_us"): 350})
    assert "reject_score = 0.55  # agreed with quality, March\n" in done
    assert done.replace("0.55", "0.5").replace("us = 350\n", "us = 500.0\n") == TEXT


def test_a_new_key_comes_into_its_table_and_a_new_table_behind_its_relatives() -> None:
    done = edited_text(TEXT, {("decision", "review_score"): 0.4, ("decision", "limits", "fail_length_mm"): 2.0})
    lines = done.splitlines()
    assert lines[lines.index("pixel_size_mm = 0.05") + 1] == "review_score = 0.4"
    assert lines[lines.index("[decision.limits]") + 1] == "fail_length_mm = 2.0"
    assert lines.index("[decision.limits]") < lines.index("# cameras")
    assert comments_of(done) == comments_of(TEXT)


def test_a_key_is_taken_out_and_its_comment_is_kept() -> None:
    done = edited_text(TEXT, {("decision", "reject_score"): None, ("decision", "pixel_size_mm"): None})
    assert "# reject_score = 0.5  # agreed with quality, March\n" in done
    assert "pixel_size_mm" not in done
    assert edited_text(TEXT, {("decision", "not_there"): None, ("no", "such"): None}) == TEXT


def test_zones_that_stay_keep_their_text() -> None:
    wide = {**EDGE, "fail_length_mm": 1.5}
    new: dict[str, Any] = {"name": "rim", "polygon": [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]}
    done = edited_text(TEXT, {("decision", "zones"): [HOLE, wide, new]})
    assert TEXT[: TEXT.index('name = "edge"')] in done
    assert comments_of(done) == comments_of(TEXT)
    assert tomllib.loads(done)["decision"]["zones"] == [HOLE, wide, new]
    done = edited_text(TEXT, {("decision", "zones"): [{**HOLE, "ignore": False}]})
    assert "# top left" in done
    assert "edge" not in done
    done = edited_text(TEXT, {("decision", "zones"): None})
    assert "zones" not in tomllib.loads(done)["decision"]
    assert "# cameras\n[cameras.top]" in done


def test_the_first_zone_comes_and_the_last_one_goes() -> None:
    text = "[cameras.top]\nproducer = 'simtl'  # soft\n"
    with_zone = edited_text(text, {("decision", "zones"): [HOLE]})
    assert tomllib.loads(with_zone)["decision"]["zones"] == [HOLE]
    assert edited_text(with_zone, {("decision", "zones"): None}).rstrip() == text.rstrip()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("decision.limits.fail_count = 3  # three\n", ("decision", "limits", "review_count")),
        ("[decision]\nlimits.fail_count = 3\n", ("decision", "limits", "review_count")),
        ("[decision]\nlimits = { fail_count = 3 }  # three\n", ("decision", "limits", "review_count")),
        ('"decision"."reject_score" = 0.5\n', ("decision", "reject_score")),
        ("[ decision . limits ]\nfail_count=3#three\n", ("decision", "limits", "fail_count")),
        ('[decision]\nx = """\n[decision.limits]\n# no comment\n"""\n', ("decision", "limits", "fail_count")),
        ("zones = 1\r\n[decision]\r\n", ("decision", "reject_score")),
        ("", ("decision", "limits", "fail_count")),
        ("[decision]", ("decision", "reject_score")),
    ],
)
def test_whatever_way_a_key_is_written(text: str, key: tuple[str, ...]) -> None:
    done = edited_text(text, {key: 2})
    found: Any = tomllib.loads(done)
    for part in key:
        found = found[part]
    assert found == 2
    assert comments_of(done) == comments_of(text)
    assert done.count("\r\n") in (0, done.count("\n"))


def test_what_cannot_be_written_is_refused_with_what_to_do() -> None:
    with pytest.raises(EditError, match="cannot be set: the file has a value in place of a table"):
        edited_text("decision = 5\n", {("decision", "limits", "fail_count"): 3})
    with pytest.raises(EditError, match="not valid TOML"):
        edited_text("[decision\n", {("decision", "reject_score"): 0.5})
    with pytest.raises(ValueError, match="no number"):
        edited_text(TEXT, {("decision", "reject_score"): float("nan")})


def test_comments_are_told_from_quotes() -> None:
    assert comments_of('a = "#" # b\nc = \'#\' \'\'# d\ne = """\n# no\n\\"""" # f') == ["# b", "# d", "# f"]
    assert split_comment('a = "x # y"  # z') == ('a = "x # y"', "  # z")


NAMES = st.sampled_from(["reject_score", "review_score", "pixel_score", "new-key", "a.b", "name"])
NUMBERS = st.one_of(st.integers(-5, 5), st.floats(0, 1), st.booleans(), st.text(max_size=8))
ZONES = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd"), "ignore": st.booleans()}), max_size=4,
    unique_by=lambda zone: zone["name"],
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, st.one_of(st.none(), NUMBERS)), max_size=5), ZONES)
def test_after_any_edits_the_file_means_what_was_asked_and_no_other_comment_is_gone(
    edits: list[tuple[str, Any]], zones: list[dict[str, Any]]
) -> None:
    text = TEXT
    for name, value in edits:
        text = edited_text(text, {("decision", name): value})
        assert tomllib.loads(text)["decision"].get(name) == value
    text = edited_text(text, {("decision", "zones"): zones or None})
    assert tomllib.loads(text)["decision"].get("zones", []) == zones
    of_zones = {"# the hole in the middle", "# of the drill", "# top left"}
    assert {"# the station of line 4", "# no comment in quotes", "# zones below", "# cameras"} <= set(comments_of(text))
    assert all(any(comment in kept for kept in comments_of(text)) for comment in set(comments_of(TEXT)) - of_zones)
