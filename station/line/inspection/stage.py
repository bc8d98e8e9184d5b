"""The inspection stage: one named thread that puts frames through the inspector and posts what it finds.

    begin (cameras)     ─► model input ─┐
    submit (signalling) ─► queue ───────┴─► Inspector.inspect ─► Inspected, to signalling

A frame that is begun while this thread waits for work wakes it: it makes the model input itself while signalling finds
out whose frame it is, and is awake when that is known. While the engine runs, the input is made beside it.

Views of one part that wait in the queue at the same time go through the engine together.

The thread owns the inspector (and so the engine): a new one is handed over through the same queue as the frames, so
frames that were queued before it are still judged by the old one.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from engines.errors import DeviceFault
from station.codes import ReasonCode
from station.line.inspection.inspector import Begun, Inspector
from station.results import Decision, Frame, Identity, Inspection, Part

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Inspected:
    """One view of a part has its verdict."""

    acquisition_id: int
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class InspectorChanged:
    """Another inspector (or none) has been installed; frames from now on are judged by it."""

    inspector: Inspector | None
    after: int | None = None
    """Acquisition id of the last part that has begun with the one before, and stays with it; None: no part is open."""
    identity: Identity | None = None
    """What the records say from that part on; None: as before."""


@dataclass(frozen=True, slots=True)
class _Install:
    inspector: Inspector | None
    identity: Identity | None = None
    between_parts: bool = False
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Retire:
    """The inspector before judges no part any more."""

    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Before:
    """The inspector before, and the last part that has begun with it."""

    inspector: Inspector
    last: int


@dataclass(frozen=True, slots=True)
class _Work:
    part: Part
    frame: Frame


_Item = _Work | _Install | _Retire | Begun | None
"""What the thread is sent; None ends it."""


class InspectionStage:
    """Owns the inspection thread, its queue and the inspector that is installed.

    Signalling submits, a changeover installs, the supervisor watches. A part that is queued gets a verdict, whatever
    goes wrong; nothing here knows which parts are open.
    """

    def __init__(self, post: Callable[[Inspected | InspectorChanged], None], *, queue_size: int) -> None:
        self._post = post
        self._queue_size = queue_size
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        """Bounded by `submit`."""
        self._lock = threading.Lock()
        """Guards `_idle` and what is put into the queue."""
        self._idle = False
        """The queue is empty and the thread waits for it."""
        self._ahead: deque[_Item] = deque()
        """Taken from the queue while looking for views of the same part: at most one, and the next to be done."""
        self._begun: deque[Begun] = deque(maxlen=queue_size)
        """Frames whose part is not known yet, the newest; those that find none fall out at the end."""
        self._thread = threading.Thread(target=self._run, name="inspection")
        self._inspector: Inspector | None = None
        self._before: _Before | None = None
        self._last_part = 0
        """Highest acquisition id of a frame that came."""
        self._busy_since_ns = 0
        self._lost = ""

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def busy_for_s(self) -> float:
        """How long the frame in hand has been in hand; 0 when idle."""
        since = self._busy_since_ns
        return (time.monotonic_ns() - since) / 1e9 if since else 0.0

    @property
    def device_lost(self) -> str:
        """Why nothing can be inspected before this process has ended; empty: all is well."""
        return self._lost

    def start(self) -> None:
        self._thread.start()

    def begin(self, frame: Frame) -> None:
        """A frame is there: starts with what needs only its pixels. Never waits; for the threads of the cameras."""
        inspector = self._inspector
        if inspector is None:
            return
        begun = inspector.begin(frame)
        self._begun.append(begun)
        with self._lock:
            idle = self._idle
            if idle:
                self._put(begun)
        if not idle:
            begun.make_beside()

    def submit(self, part: Part, frame: Frame) -> bool:
        """Queues a frame; False when the queue is full (the caller makes it an error part). For one thread."""
        if self._queue.qsize() > self._queue_size:
            return False
        with self._lock:
            self._put(_Work(part, frame))
        return True

    def install(self, inspector: Inspector | None, timeout_s: float = 30.0) -> None:
        """Hands over another inspector and waits until it is the active one and `InspectorChanged` is posted.

        Raises queue.Full when the engine in hand does not come to an end.
        """
        install = _Install(inspector)
        with self._lock:
            self._put(install)
        if not install.done.wait(timeout_s):
            raise queue.Full

    def install_between_parts(self, inspector: Inspector, identity: Identity, timeout_s: float = 30.0) -> int:
        """Hands over another inspector while parts come: each part stays with the one that its first frame met.

        Both are warm; the one before is closed by `retire`. Returns the last part of it. Raises queue.Full, as above.
        """
        install = _Install(inspector, identity, between_parts=True)
        with self._lock:
            self._put(install)
        if not install.done.wait(timeout_s):
            raise queue.Full
        before = self._before
        return 0 if before is None else before.last

    def retire(self, timeout_s: float = 30.0) -> None:
        """Closes the inspector before: no part that has begun with it is open. Raises queue.Full, as above."""
        before, retire = self._before, _Retire()
        with self._lock:
            self._put(retire)
        if not retire.done.wait(timeout_s):
            raise queue.Full
        if before is not None:
            before.inspector.scorer.close()  # on the caller's thread: parts go on meanwhile

    def stop(self, timeout_s: float) -> bool:
        """Lets what is queued finish and ends the thread; False when it did not end in time (a hanging engine)."""
        if self._thread.ident is None:
            return True
        with self._lock:
            self._put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, item: _Item) -> None:
        """With the lock held."""
        self._idle = False
        self._queue.put(item)

    def _next(self) -> _Item:
        if self._ahead:
            return self._ahead.popleft()
        with self._lock:
            self._idle = self._queue.empty()
        return self._queue.get()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            if isinstance(work, _Install):
                self._install(work)
                continue
            if isinstance(work, _Retire):
                self._before = None
                work.done.set()
                continue
            self._busy_since_ns = time.monotonic_ns()
            if isinstance(work, Begun):
                work.make()
                self._busy_since_ns = 0
                continue
            self._last_part = max(self._last_part, work.part.acquisition_id)
            batch = self._views_with(work)
            for inspection in self.inspect(batch):
                self._post(Inspected(work.part.acquisition_id, inspection))
            self._busy_since_ns = 0
        self._swap(None)

    def _views_with(self, work: _Work) -> list[_Work]:
        """The frame and those of the same part that wait behind it. Frames of the next part never delay this one."""
        batch = [work]
        with contextlib.suppress(queue.Empty):
            while not self._ahead:
                following = self._queue.get_nowait()
                if isinstance(following, Begun):
                    following.make_beside()
                elif isinstance(following, _Work) and following.part == work.part:
                    batch.append(following)
                else:
                    self._ahead.append(following)
        return batch

    def inspect(self, batch: Sequence[_Work]) -> list[Inspection]:
        """Frames of one part through the inspector; whatever goes wrong is an error part with its reason."""
        inspector = self._inspector_of(batch[0].part)
        if inspector is None:
            return [_not_inspected(work, Decision.error(ReasonCode.NO_ENGINE)) for work in batch]
        try:
            return inspector.inspect([self._taken(work.frame, inspector) for work in batch])
        except DeviceFault as problem:
            log.error("GPU failed", acquisition_id=batch[0].part.acquisition_id, problem=str(problem))
            if problem.needs_restart:
                self._lost = str(problem)
            decision = Decision.error(ReasonCode.DEVICE_FAILED, f"{problem.kind.value}: {problem}"[:200])
            return [_not_inspected(work, decision) for work in batch]
        except Exception as problem:  # stage boundary: a part is never left without a verdict
            log.exception("inspection failed", acquisition_id=batch[0].part.acquisition_id)
            decision = Decision.error(ReasonCode.ENGINE_RAISED, f"{type(problem).__name__}: {problem}"[:200])
            return [_not_inspected(work, decision) for work in batch]

    def _taken(self, frame: Frame, inspector: Inspector) -> Begun:
        """What was begun with this frame; begun now if it was not, or by another inspector."""
        for begun in tuple(self._begun):
            if begun.frame is frame:
                with contextlib.suppress(ValueError):  # it has just fallen out at the end
                    self._begun.remove(begun)
                if begun.by is inspector:
                    return begun
        return inspector.begin(frame)

    def _inspector_of(self, part: Part) -> Inspector | None:
        """The one that the first frame of this part met: no part is judged by half a change."""
        before = self._before
        return before.inspector if before is not None and part.acquisition_id <= before.last else self._inspector

    def _install(self, work: _Install) -> None:
        old = self._inspector
        if not work.between_parts or work.inspector is None or old is None:
            self._swap(work.inspector)
        else:
            self._before = _Before(old, self._last_part)
            self._inspector = work.inspector
            self._post(InspectorChanged(work.inspector, self._last_part, work.identity))
        work.done.set()

    def _swap(self, inspector: Inspector | None) -> None:
        """No part is open, or the station stops."""
        before, self._before = self._before, None
        if before is not None:
            before.inspector.scorer.close()
        old, self._inspector = self._inspector, inspector
        self._post(InspectorChanged(inspector))
        if old is not None and (inspector is None or old.scorer is not inspector.scorer):
            old.scorer.close()


def _not_inspected(work: _Work, decision: Decision) -> Inspection:
    return Inspection(work.frame, decision, decided_ns=time.monotonic_ns())
