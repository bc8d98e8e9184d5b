"""One part as a picture: verdict and reasons, and of every view the image beside the same image under its heat map."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TypeAlias

from engines.overlay import CASING, OUTLINE, ZONE, Colour, Pixels, hexadecimal, legend
from station import said
from station.configuration.decision import ViewLimitsSection, ZoneSection
from station.reports.drawing import FAINT, INK, MUTED, Anchor, Drawing
from station.reports.seen import Seen, SeenView, limits_in_words
from station.reports.shifts import Calendar
from station.terminal import one_line

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height."""

WIDTH, EDGE, GAP = 1000, 20, 20
PHOTO = (WIDTH - 2 * EDGE - GAP) / 2
"""Width and largest height of one photo."""
REGIONS_LISTED = 8
_LETTERS = 128
_NO_PHOTO = 120.0
_LINE = 17.0
_THIN, _STRONG = (1.5, 0.5), (2.5, 1.0)
"""Widths of a line and of the dark one under it, the latter first."""


def draw(seen: Seen, calendar: Calendar, notes: tuple[str, ...] = ()) -> Drawing:
    """The whole part; `notes`: more lines below its reasons, as its labels."""
    drawing = Drawing(WIDTH, 0)
    y = _head(drawing, seen, calendar, notes)
    for view in seen.views:
        y = _view(drawing, view, y)
    if not seen.views:
        _empty(drawing, EDGE, y, WIDTH - 2 * EDGE, "no view of this part is on record")
        y += _NO_PHOTO + GAP
    draw_legend(drawing, EDGE, y, zones=any(view.zones for view in seen.views))
    drawing.height = round(y + 40)
    return drawing


def draw_view(drawing: Drawing, view: SeenView, photo: Pixels, box: Box, *, small: bool = False) -> None:
    """A photo with zones and outlines of regions in a box of its proportions. `small`: thin lines and no letters."""
    x, y, width, _ = box
    drawing.photo(*box, photo)
    casing, line = _THIN if small else _STRONG
    draw_zones(drawing, view.zones, box, small=small)
    px = width / photo.shape[1] * view.scale  # units of the drawing in one pixel of the frame
    for number, region in enumerate(view.row.region_list, start=1):
        if not region.contour_px:
            continue
        points = [(x + (across + 0.5) * px, y + (down + 0.5) * px) for across, down in region.contour_px]
        outline = [*points, points[0]]
        drawing.line(outline, hexadecimal(CASING), casing)
        drawing.line(outline, hexadecimal(OUTLINE), line)
        if not small and number <= REGIONS_LISTED:
            corner = max(x, min(across for across, _ in points) - 12), max(y, min(down for _, down in points) - 4)
            _label(drawing, str(number), *corner, OUTLINE)


def draw_zones(drawing: Drawing, zones: Sequence[ZoneSection], box: Box, *, small: bool = False) -> None:
    """Zones over a photo that fills this box. `small`: thin lines and no names."""
    x, y, width, height = box
    casing, line = _THIN if small else _STRONG
    for zone in zones:
        corners = [(x + across * width, y + down * height) for across, down in [*zone.polygon, zone.polygon[0]]]
        drawing.line(corners, hexadecimal(CASING), casing + 0.5)
        drawing.line(corners, hexadecimal(ZONE), line + 0.5, dashed=zone.ignore)
        if not small:
            _label(drawing, one_line(zone.name), *corners[0], ZONE)


def _label(drawing: Drawing, text: str, x: float, y: float, colour: Colour) -> None:
    """Letters on dark, upper left corner at (x, y)."""
    drawing.rectangle(x, y, 5 + 6 * len(text), 13, hexadecimal(CASING))
    drawing.text((x + 2.5, y + 10.5), text, size=10, colour=hexadecimal(colour))


def regions_in_words(view: SeenView) -> list[str]:
    """The regions that have a number in the picture, and how many there are more."""
    listed = view.row.region_list
    lines = [
        said.REGION(
            number=number,
            other_number=f"{region.area_mm2:.2f}",
            third_number=f"{region.length_mm:.1f}",
            peak=f"{region.peak_score:.3f}",
        )
        for number, region in enumerate(listed[:REGIONS_LISTED], start=1)
    ]
    more = max(view.row.region_count or 0, len(listed)) - len(lines)
    return [*lines, said.MORE_REGIONS(count=more)] if more > 0 else lines


def score_in_words(score: float | None, reject_score: float | None) -> str:
    """A score beside the limit that it was held against."""
    if score is None:
        return "not scored"
    return f"score {score:.3f}" + ("" if reject_score is None else f", limit {reject_score:.3f}")


def draw_legend(drawing: Drawing, x: float, y: float, *, zones: bool) -> None:
    """The scale of the heat map, and what the lines are; 28 high. `zones`: there are some."""
    drawing.photo(x, y, 240, 12, legend(480, 24))
    ends: tuple[tuple[float, str, Anchor], ...] = ((0, "0", "start"), (120, "0.5: limit", "middle"), (240, "1", "end"))
    for at, text, anchor in ends:
        drawing.text((x + at, y + 24), text, size=10, anchor=anchor)
    lines = [(OUTLINE, "measured region", False)]
    if zones:
        lines += [(ZONE, "zone", False), (ZONE, "zone that is ignored", True)]
    for number, (colour, text, dashed) in enumerate(lines):
        at = x + 280 + 160 * number
        line = [(at, y + 6), (at + 30, y + 6)]
        drawing.line(line, hexadecimal(CASING), 3.5)
        drawing.line(line, hexadecimal(colour), 1.5, dashed=dashed)
        drawing.text((at + 38, y + 10), text, size=11, colour=MUTED)


def facts(seen: Seen, calendar: Calendar) -> list[str]:
    """What else there is to know of the part, a line each."""
    part = seen.part
    when = calendar.in_words(part.wall_time)
    lines = [
        f"{when}, shift {calendar.shift_at(part.wall_time)}, recipe {one_line(part.recipe)}, "
        f"engine {one_line(part.engine_id[:12]) or 'none'}",
        f"session {one_line(part.session)}, acquisition {part.acquisition_id}",
    ]
    if part.challenge is not None:
        lines[-1] += f", challenge test {part.challenge}"
    if part.late:
        lines[-1] += f"; a late answer said {part.late_verdict}, it was never applied"
    if part.recovered:
        lines[-1] += "; written after a restart, from the journal"
    if part.kind:
        lines.append(f"looks like: {one_line(part.kind)} (a suggestion of the engine)")
    return lines + ([seen.note] if seen.note else [])


def _head(drawing: Drawing, seen: Seen, calendar: Calendar, notes: tuple[str, ...]) -> float:
    part = seen.part
    x = EDGE + drawing.verdict(EDGE, 16, part.verdict, size=20) + 14
    drawing.text((x, 40), f"part {part.part_id}", size=20, bold=True)
    score = score_in_words(part.score, part.reject_score)
    drawing.text((WIDTH - EDGE, 40), score, size=16, anchor="end", bold=True)
    y = 68.0
    for text in [one_line(reason) for reason in part.reason_list] or ["nothing was found"]:
        for line in textwrap.wrap(text, 100):
            drawing.text((EDGE, y), line, size=14)
            y += 19
    for text in [*notes, *facts(seen, calendar)]:
        for line in textwrap.wrap(text, _LETTERS):
            drawing.text((EDGE, y), line, size=11, colour=MUTED)
            y += _LINE
    return y


def _view(drawing: Drawing, view: SeenView, y: float) -> float:
    row = view.row
    drawing.line([(EDGE, y), (WIDTH - EDGE, y)], FAINT)
    width = drawing.verdict(EDGE, y + 10, row.verdict, size=11)
    drawing.text(
        (EDGE + width + 10, y + 23),
        f"camera {row.camera}: {score_in_words(row.score, row.reject_score)}",
        size=13,
        bold=True,
    )
    y += 36
    right = EDGE + PHOTO + GAP
    if view.image is None:
        _empty(drawing, EDGE, y, WIDTH - 2 * EDGE, view.why_no_image)
        height = _NO_PHOTO
    else:
        factor = min(PHOTO / view.image.shape[1], PHOTO / view.image.shape[0])
        size = (view.image.shape[1] * factor, view.image.shape[0] * factor)
        height = max(size[1], _NO_PHOTO)
        drawing.photo(EDGE, y, *size, view.image)
        draw_view(drawing, view, view.image if view.heated is None else view.heated, (right, y, *size))
        if view.heated is None:
            drawing.text((right, y + height + 14), view.why_no_heat, size=11, colour=MUTED)
    y += height + (_LINE if view.image is not None and view.heated is None else 0)
    for number, text in enumerate(regions_in_words(view)):
        drawing.text((EDGE + number % 2 * (PHOTO + GAP), y + _LINE * (1 + number // 2)), text, size=12)
    y += _LINE * -(-len(regions_in_words(view)) // 2) + 8
    for text in limits_of(view):
        for line in textwrap.wrap(text, _LETTERS):
            y += _LINE
            drawing.text((EDGE, y), line, size=11, colour=MUTED)
    return y + GAP


def limits_of(view: SeenView) -> list[str]:
    """The limits on regions of this view, outside the zones and in each."""
    return [] if view.limits is None else limits_and_zones(view.limits)


def limits_and_zones(limits: ViewLimitsSection) -> list[str]:
    """The limits on regions outside the zones and in each, a line each."""
    lines = [said.LIMITS(limits=limits_in_words(limits.limits))]
    for zone in limits.zones:
        lines.append(
            said.ZONE(name=one_line(zone.name), limits=said.IGNORED() if zone.ignore else limits_in_words(zone))
        )
    return lines


def _empty(drawing: Drawing, x: float, y: float, width: float, why: str) -> None:
    drawing.rectangle(x, y, width, _NO_PHOTO, FAINT)
    lines = textwrap.wrap(why, round(width / 8))
    for number, line in enumerate(lines):
        at = (x + width / 2, y + _NO_PHOTO / 2 + 18 * (number - (len(lines) - 1) / 2))
        drawing.text(at, line, size=13, anchor="middle", colour=INK)
