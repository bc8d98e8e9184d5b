"""Cuts the bytes of a serial line into RTU frames. Pure: no port, no clock of its own.

A frame begins after a silence of 3.5 characters or right behind another frame, and is one when its check sum is right.
Where it ends follows from its function and its byte count, so it is answered without waiting for the silence behind
it, and a gap that an adapter or a busy machine puts into a frame does no harm. A frame of another function, or with a
byte count that lies, ends at the silence.

Garbage is passed over at the next silence: every place where a frame may begin is tried, the earliest first. What
others on the line say (RS-485: requests to other devices and their answers) is cut off in the same way.
"""

from __future__ import annotations

from pymodbus.framer import FramerRTU

LONGEST = 256
SHORTEST = 4
STARTS_KEPT = 8

_REQUESTS: dict[int, tuple[int, int | None]] = {
    **dict.fromkeys(range(1, 7), (8, None)),
    15: (9, 6),
    16: (9, 6),
    23: (13, 10),
}
"""Function: size of the frame without what its byte count counts, and where the byte count stands."""
_ANSWERS: dict[int, tuple[int, int | None]] = {
    **dict.fromkeys((1, 2, 3, 4, 23), (5, 2)),
    **dict.fromkeys((5, 6, 15, 16), (8, None)),
    **{function | 0x80: (5, None) for function in _REQUESTS},
}


class RtuFrames:
    """The frames of one line, for the device `unit_id`."""

    def __init__(self, unit_id: int, gap_s: float) -> None:
        self._unit_id = unit_id
        self._gap_s = gap_s
        self._bytes = bytearray()
        self._starts: list[int] = []
        """Where in the bytes a frame may begin. None: what comes is garbage until the next silence."""
        self._last_s = -gap_s

    def feed(self, data: bytes, now_s: float) -> list[bytes]:
        """What was received now. The frames that are complete, without their check sums."""
        if now_s - self._last_s >= self._gap_s:
            self._starts = [*self._starts[1 - STARTS_KEPT :], len(self._bytes)]
        self._last_s = now_s
        self._bytes += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        if not self._starts or len(self._bytes) - self._starts[-1] > LONGEST:
            self._bytes.clear()
            self._starts = []
        elif len(self._bytes) > 2 * LONGEST:
            self._cut(self._starts[-1])
        return frames

    def silence(self) -> bytes | None:
        """The line has been silent for the gap: what came last is a frame when its check sum is right."""
        for start in self._starts:
            if (frame := _checked(self._bytes[start:])) is not None:
                self._cut(len(self._bytes))
                return frame
        return None

    def _next(self) -> bytes | None:
        for start in self._starts:
            for size in self._sizes(start):
                frame = _checked(self._bytes[start : start + size])
                if frame is not None:
                    self._cut(start + size)
                    return frame
        return None

    def _sizes(self, start: int) -> list[int]:
        """How long a frame that begins here may be; those that are complete."""
        received = len(self._bytes) - start
        if received < SHORTEST:
            return []
        unit_id, function = self._bytes[start], self._bytes[start + 1]
        # our own device is only asked: taking the head of a request for an answer would depend on its values
        tables = (_REQUESTS,) if unit_id in (self._unit_id, 0) else (_REQUESTS, _ANSWERS)
        sizes = []
        for fixed, count_at in (table[function] for table in tables if function in table):
            if count_at is None:
                sizes.append(fixed)
            elif count_at < received:
                sizes.append(fixed + self._bytes[start + count_at])
        return [size for size in sizes if size <= received]

    def _cut(self, end: int) -> None:
        """Forgets everything before `end`, where the next frame may begin."""
        del self._bytes[:end]
        self._starts = [0, *(start - end for start in self._starts if start > end)]


def _checked(data: bytes | bytearray) -> bytes | None:
    """The frame without its check sum; None when that is wrong."""
    if not SHORTEST <= len(data) <= LONGEST:
        return None
    content, check_sum = bytes(data[:-2]), int.from_bytes(data[-2:], "big")
    return content if FramerRTU.check_CRC(content, check_sum) else None
