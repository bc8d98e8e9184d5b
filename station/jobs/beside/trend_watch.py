"""What wears out, looked for by a timer: the advice of `station trends` as a warning of the process.

    kept advice ─► warning, as before the restart ─► every few hours: a process reads the records ─► warning, events

It decides about no part. Where it cannot look, what stood goes on standing and the status says what failed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from station.codes import WarningCode
from station.jobs.beside.waiting_thread import WaitingThread
from station.jobs.process import JobError, run_job
from station.line.signalling.messages import Warn
from station.python_command import python_command
from station.records.events import RecordEvent
from station.records.images import write_atomic

log = structlog.get_logger()

FILE = "advice.json"
FORMAT = 1
MAX_BYTES = 1_000_000
MODULE = "station.trends.looking"
MOST = 20
"""Pieces of advice that are kept, the most urgent: who has more reads the page."""
FIRST_S = 120.0
"""After the start, when the station has come up."""
WORDS = ("cause", "place", "action", "what", "text")
NUMBERS = ("days", "earliest", "latest")
Advice = Mapping[str, Any]
"""`WORDS` as text; `NUMBERS` in days, None: further away than can be said. See `station.trends.looking`."""


class TrendWatch(WaitingThread):
    """Owns the thread that waits, the process that it follows, the warning, and the file with what stands."""

    def __init__(
        self,
        records: Path,
        every_s: float,
        post: Callable[[Warn], None],
        event: RecordEvent,
        *,
        first_s: float = FIRST_S,
    ) -> None:
        """`records`: their folder; the advice is kept beside it."""
        super().__init__("trends")
        self._records = records
        self._file = records.parent / FILE
        self._every_s = every_s
        self._first_s = first_s
        self._post = post
        self._event = event
        self._advice: tuple[Advice, ...] = ()
        self._status: dict[str, Any] = {"state": "waiting", "at": None, "days": 0, "advice": [], "problem": ""}

    @property
    def status(self) -> dict[str, Any]:
        """`state`: waiting for the first look, known, or failed; `at`: of the last look that succeeded, s since the
        epoch. Any thread may read it."""
        return self._status

    # ---- on the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._take_up()
        wait_s = min(self._first_s, self._every_s)
        while not self._stopped.wait(wait_s):
            wait_s = self._every_s
            try:
                self._look()
            except (JobError, OSError, ValueError, KeyError, TypeError) as problem:
                if self._stopped.is_set():
                    return
                what = f"the records could not be looked through for trends: {problem}"
                if self._status["problem"] != what:
                    self._event("trends_failed", "warning", what[:1000])
                    log.warning("trends are not known", problem=str(problem))
                self._status = {**self._status, "state": "failed", "problem": what}

    def _look(self) -> None:
        command = python_command(MODULE, str(self._records.resolve()))
        found = run_job(command, what="the look for trends", threads=1, cancelled=self._stopped)
        advice = tuple(map(_checked, found["advice"][:MOST]))
        at = time.time()
        for one in advice:
            if _key(one) not in map(_key, self._advice):
                self._event("trend", "warning", str(one["text"])[:1000])
                log.warning("something wears out", what=one["text"])
        for one in self._advice:
            if _key(one) not in map(_key, advice):
                self._event("trend_over", "info", f"over: {one['text']}"[:1000])
        self._stands(advice, at, int(found["days"]))
        kept = {"format": FORMAT, "at": at, "days": int(found["days"]), "advice": list(advice)}
        try:
            write_atomic(self._file, json.dumps(kept).encode())
        except OSError as problem:
            log.warning("what wears out is not kept for a restart", problem=str(problem))

    def _take_up(self) -> None:
        """What stood before the restart stands until the next look says otherwise."""
        try:
            if self._file.stat().st_size > MAX_BYTES:
                raise ValueError(f"longer than {MAX_BYTES} bytes")
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if not isinstance(kept, dict) or kept.get("format") != FORMAT:
                raise ValueError(f"not of format {FORMAT}")
            self._stands(tuple(map(_checked, kept["advice"][:MOST])), float(kept["at"]), int(kept["days"]))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            what = f'"{self._file}" cannot be used, trends are looked for anew: {problem}'
            self._event("trends_begin_anew", "warning", what[:1000])
            log.warning("trends begin anew", problem=what)

    def _stands(self, advice: tuple[Advice, ...], at: float, days: int) -> None:
        if bool(advice) != bool(self._advice):
            self._post(Warn(WarningCode.WEARS_OUT, bool(advice)))
        self._advice = advice
        self._status = {"state": "known", "at": at, "days": days, "advice": list(advice), "problem": ""}


def _checked(one: Any) -> Advice:
    """Raises ValueError, KeyError, TypeError: it is no advice."""
    words = {name: one[name] for name in WORDS}
    if not all(isinstance(word, str) for word in words.values()):
        raise ValueError("advice without words")
    return words | {name: None if one[name] is None else float(one[name]) for name in NUMBERS}


def _key(one: Advice) -> tuple[str, str]:
    return str(one["cause"]), str(one["place"])
