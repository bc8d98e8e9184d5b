"""Regions of an image as they are written on a command line: corners as shares of its width and height."""

from __future__ import annotations

from argparse import ArgumentTypeError

from engines.bundle.location_spec import Point, Polygon


def polygons(text: str) -> tuple[Polygon, ...]:
    """`"0.1,0.1 0.3,0.1 0.2,0.4; ..."`: polygons apart by semicolons, corners `x,y` by blanks, each from 0 to 1.

    Raises:
        ArgumentTypeError: says which corner or polygon is none.
    """
    found = []
    for part in text.split(";"):
        corners = tuple(_corner(word) for word in part.split())
        if len(corners) < 3:
            raise ArgumentTypeError(
                f'region "{part.strip()}" has {len(corners)} corners, at least 3 are needed: "x,y x,y x,y"'
            )
        found.append(corners)
    return tuple(found)


def box(text: str) -> tuple[float, float, float, float]:
    """`"x,y,width,height"`, shares of the image, inside of it.

    Raises:
        ArgumentTypeError: it is none.
    """
    numbers = _numbers(text, "x,y,width,height")
    if len(numbers) != 4 or not (0 < numbers[2] <= 1 - numbers[0] and 0 < numbers[3] <= 1 - numbers[1]):
        raise ArgumentTypeError(
            f'box "{text}": "x,y,width,height" as shares of the image, inside of it, as 0.2,0.2,0.6,0.5'
        )
    x, y, width, height = numbers
    return x, y, width, height


def _corner(word: str) -> Point:
    numbers = _numbers(word, "x,y")
    if len(numbers) != 2:
        raise ArgumentTypeError(f'corner "{word}": two numbers "x,y" are needed, as 0.25,0.5')
    return numbers[0], numbers[1]


def _numbers(text: str, form: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(f'"{text}": numbers "{form}" are needed, as 0.25,0.5') from None
    if not all(0 <= number <= 1 for number in numbers):  # NaN is refused, too
        raise ArgumentTypeError(f'"{text}": shares of the image, each from 0 to 1, are needed')
    return numbers
