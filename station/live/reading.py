"""The readers' side of the live memory. Loads the standard library alone, and holds nothing that others wait for."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.live.memory import (
    BEAT,
    BEAT_AT,
    CHECKSUM,
    HEADER,
    LIVE_FILE,
    MAGIC,
    SLOT,
    STAMP,
    VERSION,
    WATCH_FILE,
    Area,
    areas,
    boot_id,
    slot_checksum,
)

_TRIES = 8
_MOST_SLOT_BYTES = 256 * 1024 * 1024


class NoLiveMemory(Exception):
    """There is nothing to look at; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A whole payload. Of the same start, a higher number is newer."""

    start_id: str
    number: int
    payload: bytes


class LiveReader:
    """Looks at the live memory of one station; follows it through restarts. One thread at a time calls it."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """`folder`: the runtime folder of the station. `clock`: CLOCK_MONOTONIC in ns."""
        self._folder = folder
        self._clock = clock
        self._fd = -1
        self._file: os.stat_result | None = None
        self._start_id = ""
        self._state = self._part = Area(0, 0)

    @property
    def start_id(self) -> str:
        """Of the run of the station that was looked at last; empty: none yet."""
        return self._start_id

    def beat_age_s(self) -> float:
        """How long ago signalling last turned. Raises NoLiveMemory."""
        self._follow()
        for _ in range(_TRIES):
            data = self._read(BEAT.size + CHECKSUM.size, BEAT_AT)
            beat, checksum = data[: BEAT.size], data[BEAT.size :]
            if len(checksum) == CHECKSUM.size and CHECKSUM.unpack(checksum)[0] == zlib.crc32(beat):
                return max(0.0, (self._clock() - int(BEAT.unpack(beat)[0])) / 1e9)
        raise NoLiveMemory("the station has not begun to turn")

    def state(self, after: Publication | None = None) -> Publication | None:
        """The state of the station; None: none newer than `after`, or none can be read now. Raises NoLiveMemory."""
        self._follow()
        return self._newest(self._state, after)

    def part(self, after: Publication | None = None) -> Publication | None:
        """The last part, as `state`."""
        self._follow()
        return self._newest(self._part, after)

    def watch(self) -> None:
        """Stamps that somebody looks. Raises NoLiveMemory: it will make no pictures."""
        try:
            fd = os.open(self._folder / WATCH_FILE, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as problem:
            raise NoLiveMemory("no station runs; start it with: station run") from problem
        except OSError as problem:
            raise NoLiveMemory(f'"{problem.filename}" cannot be written: {problem.strerror}') from problem
        try:
            os.pwrite(fd, STAMP.pack(self._clock()), 0)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Lets go of the file. The next look opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._file = -1, None

    def _follow(self) -> None:
        """Opens the file, again when there is another one of this name. Raises NoLiveMemory."""
        path = self._folder / LIVE_FILE
        try:
            there = path.stat()
            if self._file is not None and os.path.samestat(there, self._file):
                return
            self.close()
            self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as problem:
            self.close()
            raise NoLiveMemory("no station runs; start it with: station run") from problem
        except OSError as problem:
            self.close()
            raise NoLiveMemory(
                f'"{path}" cannot be read: {problem.strerror}; whoever looks must be in the group of the station'
            ) from problem
        try:
            self._take(self._read(HEADER.size + CHECKSUM.size, 0))
        except NoLiveMemory:
            self.close()
            raise
        self._file = os.fstat(self._fd)

    def _take(self, data: bytes) -> None:
        head, checksum = data[: HEADER.size], data[HEADER.size :]
        if len(checksum) != CHECKSUM.size or not head.startswith(MAGIC):
            raise NoLiveMemory(f'"{self._folder / LIVE_FILE}" is no live memory; restart the station')
        _, version, state_bytes, part_bytes, boot, start = HEADER.unpack(head)
        if version != VERSION:
            raise NoLiveMemory(
                f"the station writes version {version} of its live memory, these pages read {VERSION}: restart both"
            )
        damaged = CHECKSUM.unpack(checksum)[0] != zlib.crc32(head)
        if damaged or not SLOT.size < min(state_bytes, part_bytes) <= max(state_bytes, part_bytes) < _MOST_SLOT_BYTES:
            raise NoLiveMemory(f'"{self._folder / LIVE_FILE}" is damaged; restart the station')
        if boot != boot_id():
            raise NoLiveMemory("no station runs since this computer was started; start it with: station run")
        self._start_id = start.rstrip(b"\0").decode(errors="replace")
        self._state, self._part = areas(state_bytes, part_bytes)

    def _newest(self, area: Area, after: Publication | None) -> Publication | None:
        known = after.number if after is not None and after.start_id == self._start_id else 0
        for _ in range(_TRIES):
            heads = [self._head(area, index) for index in (0, 1)]
            whole = [head for head in heads if head is not None]
            if not whole:
                continue
            index, sequence, number, length, checksum = max(whole, key=lambda head: head[2])
            if number <= known:
                return None
            payload = self._read(length, area.slot_at(index) + SLOT.size)
            if len(payload) == length and slot_checksum(sequence, number, payload) == checksum:
                return Publication(self._start_id, number, payload)
        return None

    def _head(self, area: Area, index: int) -> tuple[int, int, int, int, int] | None:
        """(index, sequence, publication, length, checksum) of a slot that is not being written."""
        data = self._read(SLOT.size, area.slot_at(index))
        if len(data) != SLOT.size:
            return None
        sequence, number, length, checksum = SLOT.unpack(data)
        is_whole = number and not sequence % 2 and length <= area.capacity
        return (index, sequence, number, length, checksum) if is_whole else None

    def _read(self, length: int, at: int) -> bytes:
        try:
            return os.pread(self._fd, length, at)
        except OSError as problem:
            self.close()
            raise NoLiveMemory(f"the live memory cannot be read: {problem.strerror}") from problem


def split_part(payload: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON of a part and its pictures, in the order in which its views name them. Raises ValueError."""
    with contextlib.suppress(struct.error, ValueError, KeyError, TypeError):
        (length,) = struct.unpack_from("<I", payload)
        part: dict[str, Any] = json.loads(payload[4 : 4 + length])
        at, blobs = 4 + length, []
        for size in (view[kind] for view in part["views"] for kind in ("picture", "heat")):
            blobs.append(payload[at : at + size])
            at += size
        if at == len(payload):
            return part, blobs
    raise ValueError(f"{len(payload)} bytes are no part of the live memory")
