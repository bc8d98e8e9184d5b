"""A real station in front of the simulated line that ages: what it calls it, and how long that takes.

    python -m benchmarks.ageing_line [--work DIR] [--rate 8] [--only NAME...] [--json FILE]

Each line is `station demo` with one engine that was taught at first: software camera, Modbus, records, monitoring. What
happens within a shift is named by monitoring: 1,100 parts as ever, then the change; delay in parts. What takes weeks is
named by trends: 40 parts of the run are a day (their times on record are set so), the first 20 days are healthy; delay
in days.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.codes import WARNINGS, WarningCode
from station.records.schema import DATABASE_FILE, open_reader
from station.trends.advice import advice_of, trend_of
from station.trends.reading import series_of
from station.trends.signals import Cause, Series

HEALTHY, CHANGED = 1100, 700
A_DAY, DAYS, HEALTHY_DAYS = 40, 40, 20
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that happens to the line, and what it must be called."""

    name: str
    age: str
    names: tuple[WarningCode | Cause, ...]
    options: tuple[str, ...] = ("--defects", "0.01")


WITHIN_A_SHIFT = (
    Scenario("lamp -10 %", "lamp=0.1", (WarningCode.LIGHT_CHANGED,)),
    Scenario("lamp -28 %", "lamp=0.28", (WarningCode.LIGHT_CHANGED,)),
    Scenario("defocus 1.5 px", "defocus=1.5", (WarningCode.SHARPNESS_LOST,)),
    Scenario("dust", "dust=0.5", (WarningCode.SHARPNESS_LOST, WarningCode.LIGHT_CHANGED)),
    Scenario("new supplier: rougher surface", "texture=0.5", (WarningCode.PRODUCT_CHANGED,)),
    Scenario("10 % defective", "defects=0.1", (WarningCode.REJECTS_ABOVE_PROMISE,)),
)
OF_TRACKING = ("--reject", "station", "--defects", "0.9")
OVER_WEEKS = (
    Scenario("lamp, 25 % in 20 days", "lamp=0.25", (Cause.LAMP,), ("--defects", "0.0")),
    Scenario("dust, 20 days", "dust=0.4", (Cause.LENS, Cause.FOCUS), ("--defects", "0.0")),
    Scenario("worn valve, 25 ms late in 20 days", "valve=0.025", (Cause.VALVE,), OF_TRACKING),
    Scenario("encoder slip, 2 % in 20 days", "slip=0.02", (Cause.ENCODER,), OF_TRACKING),
)


def station(*words: str) -> None:
    """Runs a command; a line whose parts are rejected ends with 1, and that is no mistake here."""
    ended = subprocess.run([sys.executable, "-m", "station", *words], capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"station {' '.join(words)}: {ended.returncode}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")


def line(work: Path, scenario: Scenario, age: str, parts: int, rate: float) -> Path:
    """Runs it with the engine in `work`; returns its folder."""
    folder = work / scenario.age.partition("=")[0]
    station("demo", "--work", str(folder), "--engine", str(work / "engine"), "--parts", str(parts),
            "--rate", f"{rate:g}", "--age", age, *scenario.options)  # fmt: skip
    return folder


def within_a_shift(folder: Path, scenario: Scenario) -> dict[str, Any]:
    """Which warnings came after the change, and after how many parts the right one."""
    with closing(open_reader(folder / "records")) as connection:
        times = [at for (at,) in connection.execute("SELECT wall_time FROM parts ORDER BY id")]
        query = "SELECT wall_time, detail FROM events WHERE kind = 'monitoring_change' ORDER BY id"
        events = connection.execute(query).fetchall()
    named = []
    for at, detail in events:
        code = next((code for code, text in WARNINGS.items() if detail.startswith(text.text)), WarningCode.NONE)
        named.append((sum(time <= at for time in times) - HEALTHY, code))
    right = [after for after, code in named if code in scenario.names]
    others = sorted({code.name for _, code in named if code not in scenario.names})
    before = sorted({code.name for after, code in named if after < 0})
    return {"parts": len(times), "named": bool(right), "delay_parts": right[0] if right else None,
            "also": others, "false_before": before}  # fmt: skip


def over_weeks(folder: Path, scenario: Scenario) -> dict[str, Any]:
    """Parts become days; which advice is given on which evening."""
    first = (time.time() // DAY_S - DAYS - 1) * DAY_S
    with closing(sqlite3.connect(folder / "records" / DATABASE_FILE)) as connection:
        at = f"{first} + (acquisition_id - 1) / {A_DAY} * {DAY_S} + acquisition_id % {A_DAY}"
        for table in ("parts", "ejections"):
            connection.execute(f"UPDATE {table} SET wall_time = {at} WHERE acquisition_id > 0")
        connection.commit()
    series = series_of(folder / "records", time.time())
    days = sorted({day for one in series for day in one.days})
    for evening in days[8:]:
        known = [
            Series(one.signal, one.place, one.recipe, one.days[:n], one.values[:n])
            for one in series
            if (n := sum(day <= evening for day in one.days))
        ]
        advice = advice_of([trend_of(one) for one in known])
        if advice:
            right = next((one for one in advice if one.cause in scenario.names), None)
            day = int(evening - days[0])
            return {"days": len(days), "named": right is not None, "day": day, "delay_days": day - HEALTHY_DAYS,
                    "says": str(right or advice[0]), "also": sorted({one.cause.name for one in advice if one is not right})}  # fmt: skip  # noqa: E501
    return {"days": len(days), "named": False, "delay_days": None, "also": []}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/ageing_line"))
    parser.add_argument("--rate", type=float, default=8.0, help="parts/s; this machine must keep up")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    engine = options.work / "engine"
    if not engine.is_dir():
        station("demo", "--work", str(options.work / "teach"), "--parts", "8", "--rate", "4")
        shutil.copytree(options.work / "teach" / "engine", engine)
    rows = []
    for scenario in (*WITHIN_A_SHIFT, *OVER_WEEKS):
        if options.only and scenario.name not in options.only:
            continue
        if scenario in OVER_WEEKS:
            age = f"{scenario.age}@{HEALTHY_DAYS / DAYS}"
            folder = line(options.work, scenario, age, A_DAY * DAYS, options.rate)
            found = over_weeks(folder, scenario)
        else:
            age = f"{scenario.age}@{HEALTHY / (HEALTHY + CHANGED)}!"
            folder = line(options.work, scenario, age, HEALTHY + CHANGED, options.rate)
            found = within_a_shift(folder, scenario)
        shutil.rmtree(folder / "records" / "images", ignore_errors=True)
        rows.append({"line": scenario.name, "age": age, **found})
        print(rows[-1], flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps({"rate_per_s": options.rate, "lines": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
