"""The picture of the line at the head of the README: belt, light barrier, camera, station, PLC and ejector."""

from __future__ import annotations

from docs.generate.svg import Svg

WIDTH, HEIGHT = 1080, 340
BELT_Y, PART = 236, 21
BARRIER_X, CAMERA_X, EJECTOR_X = 236, 330, 778
STATION = (452, 26, 216, 96)
PLC = (760, 26, 150, 96)


def line() -> Svg:
    """The whole picture."""
    svg = Svg(WIDTH, HEIGHT, "Parts on a belt: camera, station, PLC and ejector")
    _belt(svg)
    _camera(svg)
    x, y, width, height = STATION
    svg.box(x, y, width, height, "violet")
    svg.text(x + 16, y + 28, "inspection station", size=16, style="name")
    svg.text(x + 16, y + 52, "engine, limits, verdict", size=12, style="muted")
    svg.text(x + 16, y + 72, "PASS  FAIL  REVIEW  ERROR", size=11, style="code")
    x, y, width, height = PLC
    svg.box(x, y, width, height, "sand")
    svg.text(x + 16, y + 28, "PLC", size=16, style="name")
    svg.text(x + 16, y + 52, "belt, ejector", size=12, style="muted")
    svg.text(x + 16, y + 72, "no PASS: push off", size=12, style="muted")
    for y, name, style, ends in (
        (58, "trigger, part id", "muted", (PLC[0], STATION[0] + STATION[2])),
        (96, "verdict", "muted", (STATION[0] + STATION[2], PLC[0])),
    ):
        svg.arrow((ends[0], y), (ends[1], y))
        svg.text((ends[0] + ends[1]) / 2, y - 8, name, size=11, style=style, anchor="middle")
    return svg


def _belt(svg: Svg) -> None:
    svg.box(40, BELT_Y, 880, 18, "grey")
    for x in range(60, 920, 40):
        svg.circle(x, BELT_Y + 9, 5, "grey")
    svg.arrow((70, BELT_Y + 42), (190, BELT_Y + 42))
    svg.text(70, BELT_Y + 62, "parts", size=12, style="muted")
    for x, is_good in ((100, True), (CAMERA_X, True), (470, True), (590, True), (700, False), (880, True)):
        _part(svg, x, BELT_Y - PART - 1, is_good=is_good)
    svg.path(f"M{BARRIER_X} {BELT_Y - 66}V{BELT_Y + 24}", "beam")
    svg.box(BARRIER_X - 8, BELT_Y - 80, 16, 16, "sand")
    svg.text(BARRIER_X - 14, BELT_Y - 70, "light barrier", size=12, style="muted", anchor="end")
    _part(svg, EJECTOR_X, BELT_Y + 56, is_good=False)
    svg.box(EJECTOR_X - 50, BELT_Y + 82, 100, 12, "red")
    svg.text(EJECTOR_X + 62, BELT_Y + 92, "reject bin", size=12, style="muted")
    svg.box(EJECTOR_X - 12, BELT_Y - 72, 24, 44, "sand")
    svg.arrow((EJECTOR_X, BELT_Y - 28), (EJECTOR_X, BELT_Y + 32))
    svg.text(EJECTOR_X + 22, BELT_Y - 48, "ejector", size=12, style="muted")
    svg.arrow((PLC[0] + 18, PLC[1] + PLC[3]), (PLC[0] + 18, BELT_Y - 72))
    svg.arrow((920, BELT_Y + 9), (956, BELT_Y + 9))
    svg.box(960, BELT_Y - 30, 90, 80, "green")
    svg.text(1005, BELT_Y + 14, "PASS only", size=12, style="name", anchor="middle")


def _camera(svg: Svg) -> None:
    svg.path(f"M{CAMERA_X - 8} 122L{CAMERA_X - 44} {BELT_Y - 2}H{CAMERA_X + 44}L{CAMERA_X + 8} 122Z", "light")
    svg.box(CAMERA_X - 34, 50, 68, 52, "blue")
    svg.box(CAMERA_X - 14, 102, 28, 20, "blue")
    svg.text(CAMERA_X, 40, "camera", size=12, style="muted", anchor="middle")
    svg.arrow((CAMERA_X + 34, 76), (STATION[0], 76))
    svg.text((CAMERA_X + 34 + STATION[0]) / 2, 68, "frame", size=11, style="muted", anchor="middle")
    svg.path(f"M{BARRIER_X} {BELT_Y - 80}V76H{CAMERA_X - 40}", "arrow")
    svg.arrow((CAMERA_X - 50, 76), (CAMERA_X - 34, 76))
    svg.text(BARRIER_X - 8, 84, "trigger", size=11, style="muted", anchor="end")


def _part(svg: Svg, x: float, y: float, *, is_good: bool) -> None:
    """A flange with holes, seen at an angle that shows both: from above."""
    svg.circle(x, y, PART, "metal" if is_good else "red")
    svg.circle(x, y, 6, "hole")
    for dx, dy in ((13, 0), (-13, 0), (6.5, 11.3), (-6.5, 11.3), (6.5, -11.3), (-6.5, -11.3)):
        svg.circle(x + dx, y + dy, 2.4, "hole")
