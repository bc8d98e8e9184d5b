"""An engine in the shadow: sees parts after their verdict is out, and nothing of what it says reaches the PLC.

    record ─► offer ─► at most `MAX_WAITING` parts ─► thread ─► process of the lowest priority ─► `judged`
                └── full: dropped, and counted

A process and no thread: a thread of low priority that holds the GIL holds up every other one, and a graph that crashes,
hangs or fills the memory must end itself alone. The thread here copies frames and waits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from station.codes import ReasonCode
from station.line.inspection.shadow_handle import LOOK_S, ShadowFailed, ShadowHandle, ShadowOrder, ShadowSaid
from station.results import InspectionRecord, Verdict

log = structlog.get_logger()

MAX_WAITING = 2
"""Parts that wait with their frames, besides the one in hand."""
ERRORS_IN_A_ROW = 10
"""A shadow that can judge nothing is switched off."""


@dataclass(frozen=True, slots=True)
class ShadowCounts:
    """What came of the parts since this shadow was ready."""

    offered: int
    dropped: int


class ShadowStage:
    """Owns the thread and, through it, the process of one engine. `start`, then `stop`."""

    def __init__(
        self,
        order: ShadowOrder,
        *,
        judged: Callable[[InspectionRecord, ShadowSaid], None],
        failed: Callable[[ShadowStage, str], None],
    ) -> None:
        """Both are called on the thread of this stage. `failed`: once, why this shadow has ended by itself."""
        self._order = order
        self._judged = judged
        self._failed = failed
        self._inbox: queue.SimpleQueue[InspectionRecord | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._offered = self._dropped = 0
        self.is_ready = False
        """The engine is loaded and warm."""

    @property
    def counts(self) -> ShadowCounts:
        return ShadowCounts(self._offered, self._dropped)

    def start(self) -> None:
        """Starts thread and process; returns at once."""
        self._thread.start()

    def offer(self, record: InspectionRecord) -> None:
        """A part has its result. Called on the signalling thread; returns within microseconds, and never waits."""
        if not self.is_ready:
            return
        self._offered += 1
        if self._inbox.qsize() >= MAX_WAITING:
            self._dropped += 1
            return
        self._inbox.put(record)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ends process and thread, whatever they do; False when they did not end in time. Not for its own thread."""
        self.is_ready = False
        self._stop.set()
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # ---- on the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with ShadowHandle(self._order, self._stop) as handle:
                self.is_ready = True
                log.info("shadow is ready", engine=handle.engine_id[:12], pid=handle.pid)
                self._turn(handle)
        except ShadowFailed as problem:
            self._end(str(problem))
        except Exception as problem:  # stage boundary: watching an engine never ends the station
            log.exception("the shadow ended")
            self._end(f"{type(problem).__name__}: {problem}")

    def _turn(self, handle: ShadowHandle) -> None:
        errors = 0
        while not self._stop.is_set():
            try:
                record = self._inbox.get(timeout=LOOK_S)
            except queue.Empty:
                handle.check()
                continue
            if record is None:
                return
            said = handle.judge(record.views)
            errors = errors + 1 if said.verdict is Verdict.ERROR else 0
            self._judged(record, said)
            if errors >= ERRORS_IN_A_ROW:
                raise ShadowFailed(f"{errors} parts in a row could not be judged: {said.reasons}")

    def _end(self, why: str) -> None:
        self.is_ready = False
        if not self._stop.is_set():
            self._failed(self, why[:500])


class ShadowDoor:
    """Where the line leaves its parts: with the shadow of now, or nowhere. Any thread may exchange it."""

    def __init__(self) -> None:
        self.stage: ShadowStage | None = None

    def record(self, record: InspectionRecord) -> None:
        """A part has its result. Parts that were not inspected, and late results, are nothing to compare.

        A master part that had to be rejected and passed is in error, but it was inspected: what says the other engine?
        """
        stage, decision = self.stage, record.decision
        if stage is None or record.late or not record.views:
            return
        if decision.verdict is Verdict.ERROR and decision.code is not ReasonCode.CHALLENGE_PART_PASSED:
            return
        stage.offer(record)
