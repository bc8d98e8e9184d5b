"""The live stage: one thread that writes the live memory. Nobody waits for it, and it never touches the line.

    every 100 ms   when signalling last turned, and whether somebody looks
    while watched  every 20 ms: is there another part? Its picture, at most 10 a second; the state, 5 times a second

What fails here is a line in the log, and pages that say that nothing comes. The station goes on.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from station.live.feed import LiveFeed
from station.live.memory import LiveMemory
from station.live.part_message import QualityOf, part_message, slot_bytes
from station.results import InspectionRecord

log = structlog.get_logger()

LOOK_S = 0.02
BEAT_S = 0.1
STATE_S = 0.2
PICTURE_S = 0.1
WATCHED_NS = 2_000_000_000
"""Somebody looks whose stamp is younger."""
AFTER_FAILURE_S = 1.0


class LiveStage:
    """Owns the thread and the live memory of this run. `start`, then `stop`."""

    def __init__(
        self,
        folder: Path,
        start_id: str,
        feed: LiveFeed,
        *,
        cameras: int,
        turned_ns: Callable[[], int],
        state: Callable[[], Mapping[str, Any]],
        quality_of: QualityOf | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`turned_ns`: when signalling last turned. `quality_of`: measures frames that were not inspected.

        `state`: of the station, as JSON; raises queue.Empty when signalling does not reply.
        """
        self._folder = folder
        self._start_id = start_id
        self._part_bytes = slot_bytes(cameras)
        self._feed = feed
        self._turned_ns = turned_ns
        self._state = state
        self._quality_of = quality_of
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._stop = threading.Event()
        # From here on: the live thread's own.
        self._due: dict[str, int] = {}
        self._shown: InspectionRecord | None = None
        self._known: Mapping[str, Any] = {}
        self._written: tuple[int, Mapping[str, Any]] | None = None
        self._is_watched = False
        self._problem = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread and removes the file; False when it does not end in time. May be called again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            memory = self._create()
            if memory is None:
                self._stop.wait(AFTER_FAILURE_S)
                continue
            try:
                while not self._stop.wait(LOOK_S if self._is_watched else BEAT_S):
                    self.turn(memory)
            except Exception as problem:
                log.exception("live pages get nothing for a moment", problem=str(problem))
            finally:
                memory.close()
            self._stop.wait(AFTER_FAILURE_S)

    def _create(self) -> LiveMemory | None:
        try:
            memory = LiveMemory.create(self._folder, self._start_id, part_bytes=self._part_bytes)
        except OSError as problem:
            if str(problem) != self._problem:
                self._problem = str(problem)
                log.warning("live pages get nothing: no live memory", folder=str(self._folder), problem=str(problem))
            return None
        self._problem = ""
        self._due, self._shown, self._written, self._is_watched = {}, None, None, False
        return memory

    def turn(self, memory: LiveMemory) -> None:
        """Writes what is due now. Raises OSError."""
        if self._is_due("beat", BEAT_S):
            memory.beat(self._turned_ns())
            self._is_watched = 0 <= self._clock() - memory.watched_ns() < WATCHED_NS
        if not self._is_watched:
            return
        newest = self._feed.newest
        if newest is not None and newest is not self._shown and self._is_due("picture", PICTURE_S):
            # The part first: whoever reads a line of the strip may ask for its picture.
            memory.part.publish(part_message(newest, self._quality_of))
            self._shown = newest
        if self._is_due("state", STATE_S):
            try:
                self._known = self._state()
            except queue.Empty:  # signalling does not turn; the age of its beat says so
                return
        written = (self._feed.parts, self._known)
        if self._known and written != self._written:
            lines = [line.as_json() for line in self._feed.lines()]
            state = {**self._known, "parts": lines, "parts_seen": self._feed.parts}
            memory.state.publish(json.dumps(state, allow_nan=False).encode())
            self._written = written

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock()
        if now < self._due.get(what, 0):
            return False
        self._due[what] = now + round(every_s * 1e9)
        return True
