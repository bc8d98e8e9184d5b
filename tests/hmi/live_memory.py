"""A station that is there for Live alone: the real live memory, written by its real stage, with parts of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.scale import ScoreScale
from station.live.feed import LiveFeed
from station.live.stage import LiveStage
from station.results import InspectionRecord, Pixels, Verdict
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for

SCALE = ScoreScale(typical=0.0, limit=1.0)
BITS = 16
CELL_PX = 20
"""Of a bit in the picture: survives JPEG."""
RUNS: dict[str, Any] = {
    "state": "CONTINUOUS_EXECUTION",
    "online": True,
    "ready": True,
    "offline": 0,
    "fault": 0,
    "fault_detail": "",
    "line_stop": False,
    "warnings": [],
    "cameras": {"top": {"streams": True, "state": "streaming", "detail": ""}},
    "counters": {"triggers": 0, "passed": 0, "failed": 0, "review": 0, "error": 0},
    "in_flight": 0,
    "recipe": "flange",
    "engine": "0123456789ab",
    "challenge": {"state": "IDLE", "step": 0, "next_part": "", "awaits_confirmation": False, "overdue": False},
    "simulated": False,
}
"""As `in_codes` makes it of a station that runs."""


def numbered(number: int) -> Pixels:
    """A picture that has its number as bits, light and dark, in the first row of cells."""
    pixels = np.full((240, 2 * BITS * CELL_PX), 90, np.uint8)
    for bit in range(BITS):
        pixels[:CELL_PX, bit * CELL_PX : (bit + 1) * CELL_PX] = 230 if number >> bit & 1 else 20
    return pixels


class LiveMemoryStation:
    """What the daemon would write. `turns`: whether signalling still turns."""

    def __init__(self, folder: Path) -> None:
        self.state: dict[str, Any] = dict(RUNS)
        self.turns = True
        self._turned_ns = 0
        self._asked = 0
        self._maker = PartMaker(pixels=numbered)
        self.feed = LiveFeed(lambda _record: None)
        self._lock = threading.Lock()
        self._next = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.stage = LiveStage(
            folder,
            f"start-{time.monotonic_ns()}",
            self.feed,
            cameras=2,
            turned_ns=self._turned,
            state=lambda: self.state,
        )

    def stand(self) -> None:
        """Signalling does not turn any more, and its last beat is in the memory."""
        self.turns = False
        asked = self._asked
        wait_for(lambda: self._asked > asked + 1, "the beat that was asked for before to be written")

    def _turned(self) -> int:
        self._asked += 1
        if self.turns:
            self._turned_ns = time.monotonic_ns()
        return self._turned_ns

    def part(self, verdict: Verdict = Verdict.PASS, cameras: tuple[str, ...] = ("top",)) -> int:
        """A part gets its result; its acquisition id, which its pictures show."""
        self._next += 1
        record = self._maker.seen_by(self._next, dict.fromkeys(cameras, verdict))
        self.feed.record(_seen(record))
        return self._next

    def changes(self, **state: Any) -> None:
        """The station says something else from now on."""
        self.state = {**self.state, **state}


def _seen(record: InspectionRecord) -> InspectionRecord:
    now = time.monotonic_ns()
    views = tuple(replace(view, pixel_scale=SCALE) for view in record.views)
    return replace(record, views=views, signalled_ns=now)


@contextmanager
def station_in(folder: Path) -> Iterator[LiveMemoryStation]:
    """Runs until the end of the block."""
    station = LiveMemoryStation(folder)
    station.stage.start()
    try:
        yield station
    finally:
        assert station.stage.stop(10.0)
