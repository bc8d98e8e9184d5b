"""Whose frame it is: the part ids that wait for one, and what the times of trigger and frame say. Pure.

Where a light barrier triggers the camera, the PLC latches the id of a part shortly before the part reaches the barrier.
An id belongs to the next trigger. The station sees only the frame, so a frame belongs to the newest id latched before
the frame's trigger *time*:

    latched ─► WAITING ─┬─► a frame of a later trigger time: USED
                        ├─► overtaken: a frame found a newer id: USED, its part has lost its frame
                        └─► no frame within `no_frame_ms`: EXPIRED; a frame that still comes is late, and a gap
                            before the frame of a newer id is this one's: USED
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

NS_PER_MS = 1_000_000
SLACK_NS = 2 * NS_PER_MS
"""What the clocks of camera and station may differ: a part's own frame may seem so much older than its trigger."""
LATCH_HISTORY = 64


class LatchState(Enum):
    """What became of a latched id. The ledger and its `LatchedIds` change it, away from WAITING and once."""

    WAITING = "waiting"
    USED = "used"
    EXPIRED = "expired"
    """No frame came for it in time."""


@dataclass(slots=True)
class LatchedId:
    """What the PLC has announced of a part."""

    part_id: int
    encoder_count: int
    deadline_ms: int
    time_ns: int
    while_ready: bool
    state: LatchState = LatchState.WAITING


class LatchedIds:
    """Owns the last ids that the PLC latched, oldest first. Called by `Ledger` alone."""

    def __init__(self) -> None:
        self._latched: deque[LatchedId] = deque(maxlen=LATCH_HISTORY)
        self._expired_and_gone = 0
        """Expired ones that fell out, since the last frame."""

    def add(self, latched: LatchedId) -> bool:
        """True when another fell out unused for it."""
        fallen_out = self._latched[0].state if len(self._latched) == LATCH_HISTORY else LatchState.USED
        self._expired_and_gone += fallen_out is LatchState.EXPIRED
        self._latched.append(latched)
        return fallen_out is LatchState.WAITING

    def waiting(self) -> Iterator[LatchedId]:
        """Those whose frame may still come."""
        return (latched for latched in self._latched if latched.state is LatchState.WAITING)

    def newest_before(self, time_ns: int) -> LatchedId | None:
        """The one that a trigger of this time belongs to."""
        return next((latched for latched in reversed(self._latched) if latched.time_ns <= time_ns), None)

    def overtaken_by(self, newest: LatchedId | None) -> list[LatchedId]:
        """Older ones that never got a frame: they are used up now."""
        overtaken = []
        for latched in self._latched:
            if latched is newest:
                break
            if newest is not None and latched.state is LatchState.WAITING and latched.time_ns <= newest.time_ns:
                latched.state = LatchState.USED
                overtaken.append(latched)
        return overtaken

    def expired_before(self, newest: LatchedId | None) -> int:
        """Older ones that expired and whose frame has not come late either: it is lost. They are used up now.

        Not those behind `newest`: their frame may still come, or leave a gap before a later one.
        """
        expired, self._expired_and_gone = self._expired_and_gone, 0
        for latched in self._latched:
            if latched is newest:
                break
            if newest is not None and latched.state is LatchState.EXPIRED and latched.time_ns <= newest.time_ns:
                latched.state = LatchState.USED
                expired += 1
        return expired

    def expire(self, now_ns: int, no_frame_ns: int) -> list[LatchedId]:
        """Those whose frame should have come by now."""
        expired = []
        for latched in self._latched:
            if latched.state is LatchState.WAITING and now_ns >= latched.time_ns + no_frame_ns:
                latched.state = LatchState.EXPIRED
                expired.append(latched)
        return expired


def may_be_of(part_ns: int, frame_ns: int, given_up_ns: int | None) -> bool:
    """`part_ns`, `frame_ns`: triggers of the part and of the frame. `given_up_ns`: trigger of the last part that was
    closed without its frame; None: there was none.

    A frame from before the part is the late one of a part that was given up. Within the slack it may be either's, where
    parts follow each other so fast: then it shows the part to which it is nearer, and in doubt not this one.
    """
    early_ns = part_ns - frame_ns
    if early_ns <= 0:
        return True
    return early_ns <= SLACK_NS and (given_up_ns is None or early_ns < abs(frame_ns - given_up_ns))
