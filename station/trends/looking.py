"""One look at the records by a process of its own: reads the days that are not known yet, prints the advice.

    python -m station.trends.looking RECORDS

Lines of JSON as every job prints them; the last one is `{"event": "done", "days": 30, "advice": [...]}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from station.records.schema import RecordingError
from station.trends.advice import Advice, advice_of, trend_of
from station.trends.reading import series_of


def as_data(one: Advice) -> dict[str, Any]:
    """For programs: plain values; None for a day that is further away than can be said."""
    days, earliest, latest = one.days_left
    return {
        "cause": one.cause.value,
        "place": one.place,
        "action": one.action,
        "what": one.what,
        "days": finite(days),
        "earliest": finite(earliest),
        "latest": finite(latest),
        "text": str(one),
    }


def finite(value: float) -> float | None:
    return value if abs(value) < 1e6 else None


def main(arguments: list[str]) -> int:
    began = time.monotonic()

    def on_day(done: int, of: int) -> None:
        left_s = (time.monotonic() - began) / done * (of - done)
        _say({"step": "days", "done": done, "total": of, "left_s": round(left_s, 1)})

    try:
        series = series_of(Path(arguments[0]), time.time(), on_day)
    except (RecordingError, OSError) as problem:
        _say({"event": "error", "message": str(problem)})
        return 1
    days = max((len(one.days) for one in series), default=0)
    advice = advice_of([trend_of(one) for one in series])
    _say({"event": "done", "days": days, "advice": [as_data(one) for one in advice]})
    return 0


def _say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
