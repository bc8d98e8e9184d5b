"""Outlines of regions and zones as a picture of a page lays them over an image: points of polygons and their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from station.reports.part_picture import REGIONS_LISTED
from station.reports.seen import SeenView

LETTERS_SHARE = 0.035
"""Height of a name, of the longer side of the image."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One outline."""

    name: str
    """Empty: it has none."""
    points: str
    """As the attribute of a polygon, in pixels of the shown image."""
    x: float
    y: float
    """Where its name stands."""
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """Everything that is drawn over one image."""

    width: int
    height: int
    letters: int
    zones: Sequence[Mark]
    regions: Sequence[Mark]


def marks_of(view: SeenView) -> Marks:
    """The outlines of a view; none without an image."""
    if view.image is None:
        return Marks(1, 1, 1, (), ())
    height, width = view.image.shape[:2]
    letters = round(max(height, width) * LETTERS_SHARE)
    zones = [
        _mark([(x * width, y * height) for x, y in zone.polygon], zone.name, letters, ignore=zone.ignore)
        for zone in view.zones
    ]
    regions = [
        _mark(
            [((x + 0.5) * view.scale, (y + 0.5) * view.scale) for x, y in region.contour_px],
            str(number) if number <= REGIONS_LISTED else "",
            letters,
        )
        for number, region in enumerate(view.row.region_list, start=1)
        if region.contour_px
    ]
    return Marks(width, height, letters, zones, regions)


def _mark(points: Iterable[tuple[float, float]], name: str, letters: int, *, ignore: bool = False) -> Mark:
    corners = [(round(x, 1), round(y, 1)) for x, y in points]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    text = " ".join(f"{x:g},{y:g}" for x, y in corners)
    return Mark(name, text, left, max(top - 0.2 * letters, letters), ignore)
