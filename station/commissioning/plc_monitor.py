"""`station plc monitor`: every point of a station's map, live. It reads and never writes."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from drivers.plc.signal_map import Area, Point, PointType
from station.codes import ERRORS, OFFLINE_REASONS, REASONS, WARNINGS, CodeText
from station.command_results import COMMAND_RESULTS
from station.commissioning.plc_client import (
    LinkError,
    ModbusClient,
    Order,
    Refused,
    Value,
    decode,
    length_of,
    points_in,
)
from station.line.handshake.messages import Command, StationState
from station.reports.shifts import Calendar
from station.terminal import console, say

HIGHLIGHT_S = 2.0
"""How long a change is highlighted."""
RETRY_S = 1.0
WIDEST = 400
"""Columns: more than the whole map needs."""

_RESULTS = {0: "none", 1: "pass", 2: "fail", 3: "review", 4: "error (not inspected)"}
_CHALLENGES = {0: "none", 1: "due", 2: "running", 3: "passed", 4: "failed"}
_SHORT = {Area.COIL: "coil", Area.DISCRETE_INPUT: "input", Area.INPUT_REGISTER: "in.reg", Area.HOLDING_REGISTER: "hold"}
_Code = TypeVar("_Code", bound=IntEnum)


@dataclass(frozen=True, slots=True)
class Change:
    """A point that has another value than before; `before` is None when it was seen for the first time."""

    time_s: float
    """Since the epoch."""
    point: Point
    before: Value | None
    value: Value

    def as_row(self, calendar: Calendar) -> dict[str, object]:
        """For scripts and spreadsheets, with the time as the clock beside the station shows it."""
        point = self.point
        return {
            "time": calendar.iso(self.time_s),
            "area": point.area.value,
            "address": point.address,
            "name": point.name,
            "before": self.before,
            "value": self.value,
            "words": in_words(point, self.value),
        }


def _texts(table: Mapping[_Code, CodeText]) -> dict[int, str]:
    return {int(code): text.text for code, text in table.items()}


def _names(codes: type[IntEnum]) -> dict[int, str]:
    return {int(code): code.name.lower().replace("_", " ") for code in codes}


_WORDS: dict[str, dict[int, str]] = {
    "command": _names(Command),
    "state": _names(StationState),
    "offline_reason": _texts(OFFLINE_REASONS),
    "error_code": _texts(ERRORS),
    "warning_code": _texts(WARNINGS),
    "reason_code": _texts(REASONS),
    "command_result": _texts(COMMAND_RESULTS),
    "result": _RESULTS,
    "challenge_state": _CHALLENGES,
}


def in_words(point: Point, value: Value) -> str:
    """What a code means, or the value with its unit; empty when the value says it all."""
    if isinstance(value, str):
        return ""
    if point.attribute in _WORDS:
        meanings = _WORDS[point.attribute]
        return meanings.get(int(value), "" if point.attribute == "command" and not value else "unknown code")
    match point.attribute:
        case "latency":
            return f"{value / 10:.1f} ms"
        case "defect_area":
            return f"{value / 1000:.3f} mm²"
        case "engine_id" | "config_checksum" | "recipe_checksum":
            return f"{int(value):08x}"
    return ""


class Reader:
    """Reads the whole map and finds what has changed."""

    def __init__(self, client: ModbusClient, order: Order) -> None:
        self._client = client
        self._order = order
        self.values: dict[Point, Value] = {}
        self.changed_s: dict[Point, float] = {}

    def read(self, now_s: float) -> list[Change]:
        """One request per area. Raises LinkError and Refused."""
        changes: list[Change] = []
        for area in Area:
            count = length_of(area)
            raw: Sequence[int]
            if area in (Area.COIL, Area.DISCRETE_INPUT):
                raw = self._client.read_bits(area, 0, count)
            else:
                raw = self._client.read_registers(area, 0, count)
            for point in points_in(area):
                value, before = decode(point, raw, self._order), self.values.get(point)
                if value != before:
                    changes.append(Change(now_s, point, before, value))
                    self.values[point] = value
                    if before is not None:
                        self.changed_s[point] = now_s
        return changes

    def as_json(self) -> dict[str, dict[str, Value]]:
        """All values by area and name."""
        areas: dict[str, dict[str, Value]] = {area.value: {} for area in Area}
        for point, value in self.values.items():
            areas[point.area.value][point.name] = value
        return areas


def recorder(file: TextIO, calendar: Calendar, *, as_csv: bool, with_head: bool) -> Callable[[list[Change]], None]:
    """What appends changes to the file, as CSV or as JSON lines."""
    if not as_csv:

        def write_lines(changes: list[Change]) -> None:
            file.writelines(json.dumps(change.as_row(calendar)) + "\n" for change in changes)
            file.flush()

        return write_lines

    table = csv.DictWriter(file, ["time", "area", "address", "name", "before", "value", "words"])
    if with_head:
        table.writeheader()

    def write_rows(changes: list[Change]) -> None:
        table.writerows(change.as_row(calendar) for change in changes)
        file.flush()

    return write_rows


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print all points once and end")
    parser.add_argument(
        "--json",
        action="store_true",
        help="as JSON: a line of time, area, address, name, before, value, words per change; with --once: coil, "
        "discrete input, input register, holding register",
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="append changes: .csv, else JSON lines")
    parser.add_argument("--period", type=float, default=0.1, metavar="S", help="seconds between scans (%(default)s)")
    parser.add_argument("--for", dest="seconds", type=float, metavar="S", help="end after S seconds")


def monitor(options: argparse.Namespace, client: ModbusClient, order: Order, calendar: Calendar) -> int:
    """Shows the map until interrupted. Raises LinkError when the first scan fails, OSError for the file."""
    reader = Reader(client, order)
    try:
        first = reader.read(time.time())
    except Refused as problem:
        raise LinkError(f"{client.transport.name}: this is not a station of this map: {problem}") from problem
    with ExitStack() as closing:
        outlets: list[Callable[[list[Change]], None]] = []
        if options.record is not None:
            is_new = not options.record.exists() or options.record.stat().st_size == 0
            file = closing.enter_context(options.record.open("a", newline=""))
            outlets.append(recorder(file, calendar, as_csv=options.record.suffix == ".csv", with_head=is_new))
        if options.json and not options.once:
            outlets.append(recorder(sys.stdout, calendar, as_csv=False, with_head=False))
        for show in outlets:
            show(first)
        if options.once:
            if options.json:
                print(json.dumps(reader.as_json(), indent=2))  # noqa: T201
            else:
                console().print(one_table(reader, client.transport.name))
            return 0
        view = None if options.json else closing.enter_context(Live(console=console(), auto_refresh=False, screen=True))
        for changes, trouble in _scans(reader, options.period, options.seconds):
            for show in outlets:
                show(changes)
            if view is not None:
                columns, lines = view.console.size
                view.update(picture(reader, client.transport.name, trouble, columns, lines), refresh=True)
            elif trouble:
                say(f"station: {trouble}", error=True)
    return 0


def _scans(reader: Reader, period_s: float, seconds: float | None) -> Iterator[tuple[list[Change], str]]:
    """Changes, and what keeps the monitor from reading."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        try:
            yield reader.read(time.time()), ""
            time.sleep(period_s)
        except (LinkError, Refused) as problem:
            yield [], str(problem)
            time.sleep(RETRY_S)


# ---- pictures -------------------------------------------------------------------------------------------------------


def one_table(reader: Reader, name: str) -> Table:
    """All points, one below the other."""
    return _table(f"station at {name}", _of(reader, *Area), reader, time.time())


def picture(reader: Reader, name: str, problem: str, columns: int, lines: int) -> RenderableType:
    """What a terminal of this size shows: the whole map where it has room, else what changed last."""
    whole = side_by_side(reader, name, problem)
    measured = Console(width=WIDEST)
    if measured.measure(whole).maximum <= columns and len(measured.render_lines(whole)) <= lines:
        return whole
    return changed_last(reader, name, problem, lines)


def changed_last(reader: Reader, name: str, problem: str, lines: int) -> RenderableType:
    """Points that changed last, then those that are not 0, in one column of at most `lines` lines."""
    by_age = sorted(reader.values, key=lambda point: (-reader.changed_s.get(point, 0.0), not reader.values[point]))
    shown = by_age[: max(1, lines - len(("head", "title", "headings", "last line")))]
    page = Table.grid()
    page.add_row(_head(name, problem))
    page.add_row(_table(f"{len(shown)} of {len(by_age)} points, changed last", shown, reader, time.time()))
    page.add_row(Text("all of them: a larger terminal, or --once", style="dim"))
    return page


def side_by_side(reader: Reader, name: str, problem: str) -> RenderableType:
    """Bits on the left, registers on the right."""
    now_s = time.time()
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        _table("the PLC writes", _of(reader, Area.COIL, Area.HOLDING_REGISTER), reader, now_s),
        _table("status bits", _of(reader, Area.DISCRETE_INPUT), reader, now_s),
        _table("status registers", _of(reader, Area.INPUT_REGISTER), reader, now_s),
    )
    page = Table.grid()
    page.add_row(_head(name, problem))
    page.add_row(grid)
    return page


def _head(name: str, problem: str) -> Text:
    head = Text(f"station at {name}   Ctrl-C ends")
    if problem:
        head.append(f"   {problem}: the values are old", style="bold red")
    return head


def _of(reader: Reader, *areas: Area) -> list[Point]:
    """Points of these areas that were read, in the order of the map."""
    return [point for area in areas for point in points_in(area) if point in reader.values]


def _table(title: str, points: Sequence[Point], reader: Reader, now_s: float) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("", "point", "value", "changed"):
        table.add_column(heading, justify="right" if heading in ("", "changed") else "left", no_wrap=True)
    for point in points:
        value, changed_s = reader.values[point], reader.changed_s.get(point)
        age_s = None if changed_s is None else now_s - changed_s
        style = "bold reverse" if age_s is not None and age_s < HIGHLIGHT_S else "bold" if value else "dim"
        where = f"{_SHORT[point.area]} {point.address}"
        table.add_row(where, point.name, Text(_shown(point, value), style=style), _age(age_s))
    return table


def _shown(point: Point, value: Value) -> str:
    if isinstance(value, str):
        return value.encode("unicode_escape").decode("ascii")
    text = f"{value:.4f}" if point.type is PointType.F32 else f"{int(value)}"
    words = in_words(point, value)
    return f"{text}  {words}" if words else text


def _age(age_s: float | None) -> str:
    if age_s is None:
        return ""
    return f"{age_s:.1f} s" if age_s < 100 else f"{age_s / 60:.0f} min"
