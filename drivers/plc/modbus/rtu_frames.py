"""Cuts the bytes of a serial line into RTU frames. Pure: no port, no clock of its own.

A frame is what stands between two silences of 3.5 characters, with a right check sum. Bytes at the front of something
longer are no frame, even if their check sum happens to be right. Two things must be forgiven, because a busy machine or
an adapter is in between:

* a silence inside a frame: all places where a frame may have begun are tried, the earliest first, so this also passes
  over garbage before a frame;
* a silence that was not seen: then what came must be whole frames without rest. On RS-485 those in front are often what
  others say, requests to other devices and their responses.
"""

from __future__ import annotations

from pymodbus.framer import FramerRTU

LONGEST = 256
SHORTEST = 4
MOST = 4 * LONGEST
"""Bytes without a silence; more of them are garbage."""
STARTS_KEPT = 8

_REQUESTS: dict[int, tuple[int, int | None]] = {
    **dict.fromkeys(range(1, 7), (8, None)),
    15: (9, 6),
    16: (9, 6),
    23: (13, 10),
    43: (7, None),
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

    def feed(self, data: bytes, now_s: float) -> None:
        """What was received now."""
        if now_s - self._last_s >= self._gap_s:
            self._starts = [*self._starts[1 - STARTS_KEPT :], len(self._bytes)]
        self._last_s = now_s
        self._bytes += data
        if not self._starts or len(self._bytes) - self._starts[-1] > MOST:
            self._bytes.clear()
            self._starts = []
        elif len(self._bytes) > 2 * MOST:
            del self._bytes[: self._starts[-1]]
            self._starts = [0]

    def silence(self) -> list[bytes]:
        """The line has been silent for the gap: the frames that have come, without their check sums."""
        for start in self._starts:
            frames = self._split(bytes(self._bytes[start:]))
            if frames:
                self._bytes.clear()
                self._starts = []
                return frames
        return []

    def _split(self, data: bytes) -> list[bytes]:
        """The one frame that it is, or the frames it consists of without rest."""
        if (frame := _checked(data)) is not None:
            return [frame]
        frames = []
        while data:
            found = ((size, _checked(data[:size])) for size in self._sizes(data))
            size, frame = next(((size, frame) for size, frame in found if frame is not None), (0, None))
            if frame is None:
                return []
            frames.append(frame)
            data = data[size:]
        return frames

    def _sizes(self, data: bytes) -> list[int]:
        """How long the frame at the front may be; those that are complete."""
        if len(data) < SHORTEST:
            return []
        # our own device is only asked: taking the head of a request for an answer would depend on its values
        tables = (_REQUESTS,) if data[0] in (self._unit_id, 0) else (_REQUESTS, _ANSWERS)
        sizes = []
        for fixed, count_at in (table[data[1]] for table in tables if data[1] in table):
            if count_at is None:
                sizes.append(fixed)
            elif count_at < len(data):
                sizes.append(fixed + data[count_at])
        return [size for size in sizes if size <= len(data)]


def _checked(data: bytes) -> bytes | None:
    """The frame without its check sum; None when that is wrong."""
    if not SHORTEST <= len(data) <= LONGEST:
        return None
    content, check_sum = data[:-2], int.from_bytes(data[-2:], "big")
    return content if FramerRTU.check_CRC(content, check_sum) else None
