"""Medians per day from the records: a sample of each day is enough, and a day that is over is read once.

`trends.json` in the work folder keeps what was read of days that are over; rows of records go, medians stay.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from station.process.storage import COMPUTER, PROCESS_FILE, ProcessError, reading, samples
from station.records.ejections import ejections
from station.records.images import write_atomic
from station.records.schema import RecordingError, open_reader
from station.trends.signals import SIGNALS, Series

TRENDS_FILE = "trends.json"
FORMAT = 1
MAX_BYTES = 64_000_000
DAY_S = 86_400.0
DAYS = 120
"""Kept and looked at."""
SAMPLE = 2_000
"""Parts of a day that are read: the median of as many is known to a fortieth of their spread."""
LEAST_PARTS = 30
"""Of a recipe and camera on a day; fewer say nothing."""
Medians = dict[str, float]
"""By signal, place and recipe, joined by line feeds."""
OnDay = Callable[[int, int], None]


def series_of(records: Path, now: float, on_day: OnDay = lambda _done, _of: None) -> list[Series]:
    """Everything there is of the last `DAYS` days. Raises RecordingError.

    `records`: the folder of the records. What was read is kept beside it, where this user may write.
    """
    file = records.parent / TRENDS_FILE
    known = _read(file)
    today = int(now // DAY_S)
    try:
        with closing(open_reader(records)) as connection, reading(records.parent / PROCESS_FILE) as process:
            first = connection.execute("SELECT MIN(wall_time) FROM parts").fetchone()[0]
            begin = today if first is None else max(today - DAYS, int(float(first) // DAY_S))
            wanted = [day for day in range(begin, today + 1) if day not in known or day == today]
            for number, day in enumerate(wanted):
                span = (day * DAY_S, (day + 1) * DAY_S)
                known[day] = {**medians_of(connection, *span), **computer_medians(process, *span)}
                on_day(number + 1, len(wanted))
    except (sqlite3.Error, ProcessError) as problem:
        raise RecordingError(f'records "{records}" cannot be read: {problem}') from problem
    known = {day: found for day, found in known.items() if day > today - DAYS}
    _keep(file, {day: found for day, found in known.items() if day < today})
    return as_series(known)


def known_days(records: Path) -> dict[int, Medians]:
    """What was read before, of days that are over; reads no records."""
    return _read(records.parent / TRENDS_FILE)


def as_series(known: Mapping[int, Medians]) -> list[Series]:
    """One series for each signal, place and recipe."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for day in sorted(known):
        for key, value in known[day].items():
            rows.setdefault(key, []).append((float(day), value))
    made = []
    for key, points in sorted(rows.items()):
        signal, place, recipe = key.split("\n")
        if signal in SIGNALS:
            made.append(
                Series(signal, place, recipe, tuple(at for at, _ in points), tuple(value for _, value in points))
            )
    return made


def medians_of(connection: sqlite3.Connection, since: float, until: float) -> Medians:
    """Of one day. Raises sqlite3.Error."""
    found = {**_of_pictures(connection, since, until), **_of_parts(connection, since, until)}
    found.update(_of_ejections(connection, since, until))
    found.update(_of_reconnects(connection, since, until))
    return found


def _chosen(connection: sqlite3.Connection, since: float, until: float) -> tuple[str, tuple[float, float, int]] | None:
    """Which parts of a day are read: all of few, every n-th of many. None: there are too few."""
    where = "wall_time >= ? AND wall_time < ? AND challenge IS NULL"
    (count,) = connection.execute(f"SELECT COUNT(*) FROM parts WHERE {where}", (since, until)).fetchone()
    if count < LEAST_PARTS:
        return None
    return f"{where} AND parts.id % ? = 0", (since, until, max(1, int(count) // SAMPLE))


def _of_pictures(connection: sqlite3.Connection, since: float, until: float) -> Medians:
    chosen = _chosen(connection, since, until)
    if chosen is None:
        return {}
    columns = ("mean_grey", "saturated_share", "sharpness", "received_ms", "inspection_start_ms", "engine_start_ms",
               "engine_end_ms")  # fmt: skip
    query = (
        f"SELECT recipe, camera, {', '.join(columns)} FROM parts JOIN views ON views.part = parts.id WHERE {chosen[0]}"
    )
    groups: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for recipe, camera, *values in connection.execute(query, chosen[1]):
        groups.setdefault((str(recipe), str(camera)), []).append(tuple(values))
    found: Medians = {}
    for (recipe, camera), rows in groups.items():
        if len(rows) < LEAST_PARTS:
            continue
        grey, saturated, sharp, received, started, engine, ended = np.array(rows, float).T
        values = {
            "mean grey": grey,
            "saturated share": saturated,
            "sharpness": sharp / np.maximum(grey, 1.0) ** 2,  # a weaker lamp does not change it
            "trigger to frame": received,
            "waiting for the engine": engine - started,
            "engine": ended - engine,
        }
        for name, seen in values.items():
            _put(found, name, camera, recipe, seen)
        _put_jitter(found, _key("trigger jitter", camera, recipe), received)
    return found


def _of_parts(connection: sqlite3.Connection, since: float, until: float) -> Medians:
    chosen = _chosen(connection, since, until)
    if chosen is None:
        return {}
    found: Medians = {}
    rows = connection.execute(f"SELECT signalled_ms FROM parts WHERE {chosen[0]}", chosen[1]).fetchall()
    _put(found, "trigger to result", "", "", np.array([row[0] for row in rows], float))
    query = (
        "SELECT session, acquisition_id, encoder_count, recipe FROM parts WHERE wall_time >= ? AND wall_time < ? "
        "ORDER BY id LIMIT ?"
    )
    steps: dict[str, list[float]] = {}
    before: tuple[str, int, int] | None = None
    for session, number, count, recipe in connection.execute(query, (since, until, SAMPLE)):
        if before is not None and before[:2] == (session, number - 1) and count > before[2] > 0:
            steps.setdefault(str(recipe), []).append(float(count - before[2]))
        before = (session, number, count)
    for recipe, counts in steps.items():
        _put(found, "encoder counts a part", "", recipe, np.array(counts))
    return found


def _of_ejections(connection: sqlite3.Connection, since: float, until: float) -> Medians:
    groups: dict[int, list[tuple[float | None, ...]]] = {}
    for one in ejections(connection, between=(since, until)):
        if one.wall_time < until:
            groups.setdefault(one.ejector, []).append((one.error, one.confirmed, one.confirmed_ms))
    found: Medians = {}
    for ejector, rows in groups.items():
        errors, confirmed, after = np.array(rows, float).T
        _put(found, "ejector error", f"ejector {ejector}", "", errors)
        _put(found, "reject confirmed after", f"ejector {ejector}", "", after)
        _put_jitter(found, _key("confirmation jitter", f"ejector {ejector}", ""), after)
        known = confirmed[np.isfinite(confirmed)]
        if len(known) >= LEAST_PARTS:
            found[_key("rejects not confirmed", f"ejector {ejector}", "")] = float(1 - known.mean())
    return found


def _of_reconnects(connection: sqlite3.Connection, since: float, until: float) -> Medians:
    """Of a day on which parts came: how often a camera was connected again."""
    if _chosen(connection, since, until) is None:
        return {}
    query = "SELECT detail FROM events WHERE kind = 'camera_streaming' AND wall_time >= ? AND wall_time < ?"
    starts = "SELECT COUNT(*) FROM sessions WHERE start_wall_time >= ? AND start_wall_time < ?"
    streaming = len(connection.execute(query, (since, until)).fetchall())
    (begun,) = connection.execute(starts, (since, until)).fetchone()
    cameras = connection.execute("SELECT COUNT(DISTINCT camera) FROM views").fetchone()[0]
    return {_key("reconnects a day", "", ""): float(max(0, streaming - int(begun) * int(cameras)))}


def computer_medians(process: sqlite3.Connection | None, since: float, until: float) -> Medians:
    """What `station process run` has read of the computer: temperatures and the free share of the disk."""
    if process is None:
        return {}
    values: dict[str, list[float]] = {}
    for _, known in samples(process, COMPUTER, since, until):
        for name, value in known.items():
            values.setdefault(name, []).append(float(value))
    found: Medians = {}
    for name, seen in values.items():
        is_disk = name == "disk free"
        _put(found, name if is_disk else "temperature", "computer" if is_disk else name, "", np.array(seen), least=5)
    return found


def _put(
    found: Medians, name: str, place: str, recipe: str, values: np.ndarray[Any, Any], *, least: int | None = None
) -> None:
    known = values[np.isfinite(values)]
    if len(known) >= (LEAST_PARTS if least is None else least):
        found[_key(name, place, recipe)] = float(np.median(known))


def _put_jitter(found: Medians, key: str, values: np.ndarray[Any, Any]) -> None:
    """Within how much nine of ten lie."""
    known = values[np.isfinite(values)]
    if len(known) >= LEAST_PARTS:
        low, high = np.quantile(known, [0.05, 0.95])
        found[key] = float(high - low)


def _key(name: str, place: str, recipe: str) -> str:
    return "\n".join((name, place.replace("\n", " "), recipe.replace("\n", " ")))


def _read(file: Path) -> dict[int, Medians]:
    """What was kept; a file that cannot be used is made anew."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            return {}
        return {int(day): dict(_entries(medians)) for day, medians in found["days"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _entries(medians: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in medians.items():
        if key.count("\n") == 2 and isinstance(value, int | float) and np.isfinite(value):
            yield key, float(value)


def _keep(file: Path, known: Mapping[int, Medians]) -> None:
    """Who may not write there reads the days again next time."""
    if os.access(file.parent, os.W_OK):
        write_atomic(file, json.dumps({"format": FORMAT, "days": known}).encode())
