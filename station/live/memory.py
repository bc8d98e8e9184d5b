"""The file of the live memory: its layout, and the one writer.

    0     magic, version, sizes, boot, start: written once, before the file gets its name
    512   beat: when signalling last turned (CLOCK_MONOTONIC, ns)
    4096  state, two slots: JSON of the station and of the last parts
    ...   part, two slots: see `part_message`

A slot is a sequence number, a publication number, length and CRC-32, then the payload. The number is odd while it is
being written; the writer takes the slot that was published longer ago. So a reader finds one whole publication at any
moment, also after `kill -9` in the middle of a write. The checksum makes that hold on processors that reorder stores.

Reading and writing are system calls on the file, not a mapping: a file that somebody cuts short is an error here, and
no SIGBUS in the daemon.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

LIVE_FILE = "live"
WATCH_FILE = "live.watch"
MAGIC = b"STNLIVE\0"
VERSION = 1
HEADER = struct.Struct("<8sIII36s64s")
"""Magic, version, bytes of a slot of the state, bytes of a slot of the part, boot id, start id; then CRC-32."""
CHECKSUM = struct.Struct("<I")
BEAT = struct.Struct("<Q")
SLOT = struct.Struct("<QQII")
"""Sequence number, publication, length, CRC-32 of the first three and the payload."""
STAMP = struct.Struct("<Q")
"""In the watch file: when a reader last looked (CLOCK_MONOTONIC, ns)."""
BEAT_AT = 512
SLOTS_AT = 4096
STATE_BYTES = 64 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> bytes:
    """Of this run of the operating system: times of CLOCK_MONOTONIC mean nothing in another one."""
    return _BOOT_ID.read_bytes().strip()[:36]


def slot_checksum(sequence: int, publication: int, payload: bytes) -> int:
    """CRC-32 of what a reader relies on."""
    return zlib.crc32(payload, zlib.crc32(struct.pack("<QQI", sequence, publication, len(payload))))


@dataclass(frozen=True, slots=True)
class Area:
    """Two slots of the file."""

    at: int
    bytes_each: int
    """With the head of the slot."""

    @property
    def capacity(self) -> int:
        return self.bytes_each - SLOT.size

    def slot_at(self, index: int) -> int:
        return self.at + index * self.bytes_each


def areas(state_bytes: int, part_bytes: int) -> tuple[Area, Area]:
    """Where the slots of state and part lie."""
    state = Area(SLOTS_AT, state_bytes)
    return state, Area(SLOTS_AT + 2 * state_bytes, part_bytes)


class Slots:
    """Owns the two slots of one area; one thread publishes."""

    def __init__(self, fd: int, area: Area) -> None:
        self._fd = fd
        self._area = area
        self._sequence = [0, 0]
        self._publication = 0

    def publish(self, payload: bytes) -> None:
        """Puts a payload where readers look. Raises ValueError when it is too large, OSError.

        After an OSError the older publication stands, and the next call may succeed.
        """
        if len(payload) > self._area.capacity:
            raise ValueError(f"{len(payload)} bytes for a slot of the live memory of {self._area.capacity}")
        publication = self._publication + 1
        index = publication % 2
        at = self._area.slot_at(index)
        begun = self._sequence[index] + 1
        self._sequence[index] = begun + 1
        done = self._sequence[index]
        _write(self._fd, SLOT.pack(begun, publication, 0, 0), at)
        _write(self._fd, payload, at + SLOT.size)
        _write(self._fd, SLOT.pack(done, publication, len(payload), slot_checksum(done, publication, payload)), at)
        self._publication = publication


class LiveMemory:
    """Owns the file of one run of the station, from `create` until `close`; one thread writes."""

    def __init__(self, folder: Path, fd: int, watch_fd: int, part_bytes: int) -> None:
        self._folder = folder
        self._fd = fd
        self._watch_fd = watch_fd
        state, part = areas(STATE_BYTES, part_bytes)
        self.state = Slots(fd, state)
        self.part = Slots(fd, part)

    @classmethod
    def create(cls, folder: Path, start_id: str, *, part_bytes: int) -> LiveMemory:
        """A new file in place of one that an earlier run left; its group may read it and write the watch stamp.

        Raises OSError.
        """
        head = HEADER.pack(MAGIC, VERSION, STATE_BYTES, part_bytes, boot_id(), start_id.encode()[:64])
        temporary = folder / f"{LIVE_FILE}.new"
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        with contextlib.ExitStack() as opened:
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            opened.callback(os.close, fd)
            # Taken now: a memory file system that is full says so here, and not with every part.
            os.posix_fallocate(fd, 0, SLOTS_AT + 2 * (STATE_BYTES + part_bytes))
            _write(fd, head + CHECKSUM.pack(zlib.crc32(head)), 0)
            os.fchmod(fd, 0o640)
            watch_flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            watch_fd = os.open(folder / WATCH_FILE, watch_flags, 0o660)
            opened.callback(os.close, watch_fd)
            os.fchmod(watch_fd, 0o660)
            temporary.replace(folder / LIVE_FILE)
            opened.pop_all()
        return cls(folder, fd, watch_fd, part_bytes)

    def beat(self, turned_ns: int) -> None:
        """Says when signalling last turned. Raises OSError."""
        beat = BEAT.pack(turned_ns)
        _write(self._fd, beat + CHECKSUM.pack(zlib.crc32(beat)), BEAT_AT)

    def watched_ns(self) -> int:
        """When a reader says that it last looked; 0: never, or it wrote something else. Raises OSError."""
        stamp = os.pread(self._watch_fd, STAMP.size, 0)
        return int(STAMP.unpack(stamp)[0]) if len(stamp) == STAMP.size else 0

    def close(self) -> None:
        """Removes the file: who looks finds that no station runs. May be called again."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            mine = os.fstat(self._fd)
            path = self._folder / LIVE_FILE
            if os.path.samestat(mine, path.stat()):
                path.unlink()
        os.close(self._fd)
        os.close(self._watch_fd)
        self._fd = -1


def _write(fd: int, data: bytes, at: int) -> None:
    """All of it. Raises OSError."""
    written = os.pwrite(fd, data, at)
    if written != len(data):
        raise OSError(f"live memory: {written} of {len(data)} bytes written")
