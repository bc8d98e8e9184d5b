"""Regions written on a command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from engines.training.images.ignored_regions import box, polygons


def test_polygons() -> None:
    assert polygons("0,0 1,0 1,0.5") == (((0, 0), (1, 0), (1, 0.5)),)
    assert polygons(" 0,0 1,0 1,1 ; 0.1,0.1 0.2,0.1 0.2,0.2 0.1,0.2 ")[1][3] == (0.1, 0.2)


def test_box() -> None:
    assert box("0.2,0.1,0.6,0.9") == (0.2, 0.1, 0.6, 0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 corners, at least 3"),
        ("0,0 1,0", "has 2 corners, at least 3"),
        ("0,0 1,0 1,1;", "has 0 corners"),
        ("0,0 1,0 1", 'corner "1": two numbers'),
        ("0,0 1,0 1,2", "each from 0 to 1"),
        ("0,0 1,0 1,nan", "each from 0 to 1"),
        ("0,0 1,0 a,b", 'numbers "x,y" are needed'),
    ],
)
def test_what_is_no_polygon(text: str, message: str) -> None:
    with pytest.raises(ArgumentTypeError, match=message):
        polygons(text)


@pytest.mark.parametrize("text", ["", "0.2,0.2,0.5", "0,0,0,1", "0.5,0,0.6,1", "0,0,1,nan", "x"])
def test_what_is_no_box(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"are needed|inside of it"):
        box(text)
