"""One change of recipe, engine or configuration at a time; each has its entry in the audit log, whatever becomes of it.

asked ─► another one is under way: refused, no entry
  └────► under way ─► made: "done"
            │   └───► refused, or it failed: "refused" with the reason
            └───────► the station stops: it is called off; one that does not end in time is entered all the same
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from station.daemon.change_record import ChangeRefused, Made
from station.jobs.ended import Ended
from station.line.recording.stage import Recorder
from station.records.audit import AuditEntry, Result

STARTING_S = 20.0
"""Longest wait for the cameras of a station that is still starting."""
NO_REPLY = "a stage of the station gave no reply in time: it is stopping, or stands still; see: station status"
STOPPING = "the station is stopping; ask again when it runs"
NOT_ENDED = "it was not over when the station stopped; the next start has what is on disk: see station status then"


@dataclass(slots=True)
class _UnderWay:
    """The change in hand, and whether its entry has been made."""

    who: str
    action: str
    before: str
    asked: str
    is_entered: bool = False


class OneChange:
    """Owns the turn, the last refusal, and the entries of the audit log. Any thread asks; the supervisor stops."""

    def __init__(
        self,
        recorder: Recorder,
        refused: Sequence[type[Exception]],
        is_building: Callable[[], bool],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refused`: what a person can set right. `is_building`: the plan of the engine is being built."""
        self._recorder = recorder
        self._refused: tuple[type[Exception], ...] = (ChangeRefused, *refused)
        self._is_building = is_building
        self._turn = threading.Lock()
        self._entering = threading.Lock()
        self._started = threading.Event()
        self._stopping = threading.Event()
        self._under_way: _UnderWay | None = None
        self._refusal = ""
        self._refused_at = Ended(clock_s)

    @property
    def refusal(self) -> str:
        """The last change that was refused, and why; empty after the next one that was made, and after an hour."""
        return "" if self._refused_at.is_old else self._refusal

    @property
    def refused_ago_s(self) -> float | None:
        """How long ago that was; None: there is none to show."""
        return self._refused_at.ago_s if self.refusal else None

    def started(self) -> None:
        """The cameras stream: changes may be made."""
        self._started.set()

    def check(self) -> None:
        """Called by a change before each of its steps. Raises ChangeRefused when the station stops."""
        if self._stopping.is_set():
            raise ChangeRefused(STOPPING)

    def make(
        self, change: Callable[[], Made], who: str, action: str, asked: str, *, before: str, wait_s: float = 0.0
    ) -> None:
        """Makes a change and enters it. `wait_s`: for another one that is under way. Raises ChangeRefused."""
        if not self._turn.acquire(timeout=wait_s):
            raise ChangeRefused("another change is under way; try again")
        try:
            self._under_way = under_way = _UnderWay(who, action, before, asked)
            try:
                self._may_begin()
                made = change()
            except self._refused as problem:
                self._refuse(under_way, str(problem) or NO_REPLY)
                raise ChangeRefused(str(problem) or NO_REPLY) from problem
            except BaseException as problem:  # a fault of the program: the entry is made, and it goes its way
                self._refuse(under_way, f"{type(problem).__name__}: {problem}; see the log")
                raise
            self._refusal = ""
            self._refused_at.forget()
            self._enter(under_way, made.after, "done", made.detail)
        finally:
            self._under_way = None
            self._turn.release()

    def refuse(self, who: str, action: str, asked: str, why: str) -> None:
        """Enters what was refused without a change: at the start nobody asks for one."""
        self._refuse(_UnderWay(who, action, "", asked), why)

    def stop(self) -> None:
        """Calls off what is under way; whoever asks from now on is refused. Never blocks."""
        self._stopping.set()
        self._started.set()  # who waits for the cameras waits no longer

    def close(self, limit_s: float) -> bool:
        """Waits until nothing is under way any more. False: a change did not end in time; its entry says so, and what
        becomes of it is not entered any more.
        """
        self.stop()
        if self._turn.acquire(timeout=limit_s):
            self._turn.release()
            return True
        if (under_way := self._under_way) is not None:
            self._enter(under_way, under_way.asked, "refused", NOT_ENDED)
        return False

    def _may_begin(self) -> None:
        if not self._started.wait(STARTING_S):
            raise ChangeRefused("the station is still starting: its cameras do not stream yet; try again")
        self.check()
        if self._is_building():
            raise ChangeRefused("the plan of the engine is being built; wait until it is done: station status")

    def _refuse(self, under_way: _UnderWay, why: str) -> None:
        self._refusal = f"{under_way.action} {under_way.asked}, asked by {under_way.who}: {why}"
        self._refused_at.mark()
        if self._enter(under_way, under_way.asked, "refused", why):
            self._recorder.event("change_refused", "warning", self._refusal)

    def _enter(self, under_way: _UnderWay, after: str, result: Result, detail: str) -> bool:
        """Makes the entry, once. Returns whether it was made now."""
        with self._entering:
            if under_way.is_entered:
                return False
            under_way.is_entered = True
        self._recorder.audit(AuditEntry(under_way.who, under_way.action, under_way.before, after, result, detail))
        return True
