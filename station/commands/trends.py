"""`station trends`: what wears out, when it reaches its limit, and what to do about it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from station.commands.options import BadInput, add_json_option, print_json
from station.commands.progress import add_progress_option, end, signs_of
from station.commands.records.selecting import add_place_options, place_of, reporting
from station.reports.tables import table
from station.terminal import console, one_line, say
from station.trends.advice import Trend, advice_of, trend_of
from station.trends.looking import as_data, finite
from station.trends.picture import draw
from station.trends.reading import series_of

EXIT_ADVICE = 1


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `trends`."""
    parser = commands.add_parser("trends", help="what wears out, when it reaches its limit, and what to do about it")
    parser.add_argument("--all", action="store_true", help="every series, not only those that move")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="write a picture of each series that is shown, as SVG"
    )
    add_json_option(parser, "advice, trends")
    add_progress_option(parser)
    add_place_options(parser)
    parser.set_defaults(run=reporting(trends))


def trends(options: argparse.Namespace) -> int:
    """Reads the days that are not known yet, and prints advice; exit code 1 when there is some."""
    place = place_of(options)
    sign = signs_of(options)
    read = series_of(place.records, time.time(), lambda done, total: sign("days", done, total))
    found = [trend_of(series) for series in read]
    advice = advice_of(found)
    shown = found if options.all else [one for one in found if one.days_left is not None]
    if options.pictures is not None:
        try:
            options.pictures.mkdir(parents=True, exist_ok=True)
            for number, one in enumerate(shown, start=1):
                draw(one, place.calendar).save(options.pictures / f"trend_{number}.svg")
        except OSError as problem:
            raise BadInput(f'--pictures "{options.pictures}": {problem}') from problem
    if options.progress is not None:
        end(options, advice=len(advice))
        return 0
    if options.json:
        print_json({"advice": [as_data(one) for one in advice], "trends": [_trend(one) for one in shown]})
        return EXIT_ADVICE if advice else 0
    for each in advice:
        say(one_line(each))
    if not advice:
        days = max((len(one.series.days) for one in found), default=0)
        nothing = f"nothing wears out; {len(found)} series of up to {days} days"
        say(nothing if days else "no day with enough parts is on record")
    if shown:
        columns = (("what", False), ("where", False), ("recipe", False), ("days", True), ("normal", True),
                   ("now", True), ("a day", True), ("p", True), ("of the way", True))  # fmt: skip
        console().print(table("series", columns, [_row(one) for one in shown]))
    return EXIT_ADVICE if advice else 0


def _row(one: Trend) -> tuple[object, ...]:
    found = one.found
    series = one.series
    now = series.values[-1] if found is None else found.level
    slope = ("", "") if found is None else (f"{found.per_day:+.3g}", f"{found.p:.3f}")
    share = f"{100 * max(0.0, one.share_gone):.0f} %"
    return (
        series.signal,
        series.place,
        series.recipe,
        len(series.days),
        f"{one.normal:.4g}",
        f"{now:.4g}",
        *slope,
        share,
    )


def _trend(one: Trend) -> dict[str, Any]:
    found = one.found
    return {
        "signal": one.series.signal,
        "place": one.series.place,
        "recipe": one.series.recipe,
        "days": len(one.series.days),
        "normal": one.normal,
        "level": None if found is None else found.level,
        "per_day": None if found is None else found.per_day,
        "p": None if found is None else found.p,
        "limits": list(one.limits),
        "days_left": None if one.days_left is None else [finite(value) for value in one.days_left],
    }
