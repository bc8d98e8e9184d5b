"""A drift that goes on standing has a candidate engine made of the newest parts, at most once a day.

    drift ─► stands for hours ─► a refresh, as a person asks for one ─► a candidate (event), or why there is none
      └─ is over: the next one counts anew

A candidate is nothing but an offer: a person looks for the cause first, and activates it, or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from station import noted
from station.jobs.beside.waiting_thread import WaitingThread
from station.jobs.process import JobError
from station.jobs.refresh_process import USUAL_PARTS, RefreshAsked, RefreshPhase, RefreshProcess
from station.records.events import RecordEvent
from station.records.images import write_atomic

log = structlog.get_logger()

ON_DRIFT = "refresh_on_drift"
"""Its name among the companions of the watch."""
FILE = "refresh_on_drift.txt"
"""In the work folder: when it last asked, s since the epoch. It is kept, so that a restart does not ask again."""
BY = "the station (drift)"
AT_MOST_EVERY_S = 86_400.0
LOOK_S = 5.0


class RefreshOnDrift(WaitingThread):
    """Owns the thread that looks whether the drift stands, and when it asked last."""

    def __init__(
        self,
        after_s: float,
        drifts: Callable[[], bool],
        refreshing: RefreshProcess,
        work: Path,
        event: RecordEvent,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        """`after_s`: how long a drift stands first. `drifts`: whether one stands now, any thread may ask."""
        super().__init__("refresh-on-drift")
        self._after_s = after_s
        self._drifts = drifts
        self._refreshing = refreshing
        self._file = work / FILE
        self._event = event
        self._look_s = look_s
        self._since: float | None = None
        self._asked = False
        """For the drift that stands."""
        self._follows = False
        self._status: dict[str, Any] = {"state": "waiting", "problem": ""}

    @property
    def status(self) -> dict[str, Any]:
        """`state`: waiting, or under way; `problem`: why the last one was not begun or failed. For any thread."""
        return self._status

    def _run(self) -> None:
        while not self._stopped.wait(self._look_s):
            if self._follows:
                self._follow()
            elif not self._drifts():
                self._since, self._asked = None, False
            elif self._since is None:
                self._since = time.monotonic()
            elif not self._asked and time.monotonic() - self._since >= self._after_s and self._is_due():
                self._ask()

    def _is_due(self) -> bool:
        """A file that cannot be read, or that is of the future, is none."""
        try:
            ago_s = time.time() - float(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return True
        return not 0 <= ago_s < AT_MOST_EVERY_S

    def _ask(self) -> None:
        try:
            self._refreshing.start(RefreshAsked(USUAL_PARTS, by=BY))
        except JobError as problem:  # a person's is under way: again at the next look
            self._says("waiting", str(problem))
            return
        self._asked = self._follows = True
        self._says("under way", "")
        self._event("refresh_on_drift", "info", noted.DRIFT_STANDS(count=USUAL_PARTS))
        try:  # whole seconds that have passed: rounded up it is of the future, and of the future is none
            write_atomic(self._file, f"{int(time.time())}\n".encode())
        except OSError as problem:
            log.warning("after a restart the same drift may have another candidate made", problem=str(problem))

    def _follow(self) -> None:
        status = self._refreshing.status
        if status.phase is RefreshPhase.RUNNING and status.by == BY:
            return
        self._follows = False
        if status.by != BY:  # ended, and a person's began since the last look: what it came to stands in the store
            self._says("waiting", "")
        elif status.phase is RefreshPhase.DONE:
            self._says("waiting", "")
            self._event("refresh_on_drift", "info", noted.MADE_AFTER_DRIFT(name=status.detail))
        else:
            self._says("waiting", status.detail)
            self._event("refresh_on_drift", "warning", noted.NONE_AFTER_DRIFT(why=status.detail)[:1000])

    def _says(self, state: str, problem: str) -> None:
        self._status = {"state": state, "problem": problem}
