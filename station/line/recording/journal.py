"""The flight journal: which parts are open or not yet on record, in memory that survives `kill -9`.

A part that was triggered must end in the records exactly once, also when the process is killed between trigger and
commit. Each such part has a slot in a memory-mapped file; writing it is a few memory stores, no system call:

    FREE --open_part--> OPEN --decide_part--> DECIDED --commit--> FREE

What the process had stored before it was killed stays in the page cache and is there for the next one: a part found
OPEN becomes an error part (RESTARTED), a part found DECIDED is recorded with its verdict. The journal is never synced:
a power cut loses it. It lies on a memory file system (`station.configuration.runtime_folder`): on a disk the kernel
makes a store wait while it writes that page back, as long as the disk stands still, and the GIL is held meanwhile.

Torn writes: a slot's content is stored first and its state, a single byte, last. A kill between the two leaves the
slot in its earlier state. A checksum over the content finds what a power cut may leave behind.

Call `decide_part` before the verdict is published to the PLC: then the records never hold less than the PLC has read.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from station.codes import ReasonCode
from station.results import Decision, Part, Reason, Verdict

log = structlog.get_logger()

MAGIC = b"EISJRNL\x00"
VERSION = 2
SLOT_BYTES = 128
SESSION_BYTES = 40
SOURCE_BYTES = 12

_HEADER = struct.Struct("<8sIII")
"""Magic, version, bytes per slot, number of slots."""
_CONTENT = struct.Struct(f"<{SESSION_BYTES}s{SOURCE_BYTES}sqqqdqqI")
"""session, source, acquisition_id, part_id, time_ns, wall_time, deadline_ns, encoder_count, challenge."""
_CHECK = struct.Struct("<I")
_DECIDED = struct.Struct("<BHI")
"""Verdict, reason code, checksum over content, verdict and code."""

_STATE_AT = 0
_CONTENT_AT = 4
_CHECK_AT = _CONTENT_AT + _CONTENT.size
_DECIDED_AT = _CHECK_AT + _CHECK.size

FREE, OPEN, DECIDED = 0, 1, 2

PartKey = tuple[str, int]
"""(session, acquisition_id): names a part for good."""


class JournalError(Exception):
    """The journal cannot be opened."""


@dataclass(frozen=True, slots=True)
class UnfinishedPart:
    """A part of an earlier process that may not be on record."""

    session: str
    part: Part
    decision: Decision
    """Its verdict if it had one, else ERROR with RESTARTED."""

    @property
    def key(self) -> PartKey:
        return (self.session, self.part.acquisition_id)


class Journal:
    """The journal file of one station. Context manager; opening locks the file against a second station.

    `open_part` and `decide_part` are called by one thread, `commit` by any one thread.
    """

    def __init__(self, path: Path, session: str, *, slots: int = 4096) -> None:
        """Opens or creates the journal. `slots`: parts that may be open or wait for the database.

        A file that is no journal of this version is kept beside as `<name>.unreadable` and reported.

        Raises:
            JournalError: another station has it open, or the file cannot be made.
        """
        if len(session.encode()) > SESSION_BYTES:
            raise JournalError(f'session "{session}": at most {SESSION_BYTES} bytes')
        self._path = path
        self._session = session
        self._session_bytes = session.encode()
        self._free: deque[int] = deque()
        self._taken: dict[PartKey, int] = {}
        self._unfinished: list[UnfinishedPart] = []
        self.damaged = 0
        """Slots found that were in use but unreadable: parts that are lost."""
        self.is_new = not path.exists()
        """There was none: nothing is known of the parts that an earlier station may have left."""
        try:
            self._file_descriptor = _open(path, slots)
        except BlockingIOError as problem:
            raise JournalError(f'journal "{path}" is in use: another station runs with it; stop it first') from problem
        except OSError as problem:
            raise JournalError(f'journal "{path}" cannot be opened: {problem.strerror}') from problem
        size = os.fstat(self._file_descriptor).st_size
        self._map = mmap.mmap(self._file_descriptor, size)
        self._slots = (size - SLOT_BYTES) // SLOT_BYTES
        self._read()
        if any(part.session == session for part in self._unfinished):
            self.close()
            raise JournalError(f'session "{session}" is in the journal already: every start needs a name of its own')
        if self.damaged:
            log.error("journal slots are damaged: these parts are lost", path=str(path), parts=self.damaged)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def free_slots(self) -> int:
        return len(self._free)

    @property
    def held(self) -> int:
        """Parts that are open or not yet on record."""
        return len(self._taken)

    def recover(self) -> list[UnfinishedPart]:
        """The parts an earlier process left, oldest first. Their slots stay taken until `commit`."""
        return list(self._unfinished)

    def open_part(self, part: Part) -> bool:
        """A part exists from now on. False when the journal is full: the part is then not protected."""
        if not self._free:
            return False
        slot = self._free.popleft()
        at = slot * SLOT_BYTES
        content = _CONTENT.pack(
            self._session_bytes,
            part.source.encode()[:SOURCE_BYTES],
            part.acquisition_id,
            part.part_id,
            part.time_ns,
            part.wall_time,
            part.deadline_ns,
            part.encoder_count,
            part.challenge,
        )
        self._map[at + _CONTENT_AT : at + _CHECK_AT] = content
        _CHECK.pack_into(self._map, at + _CHECK_AT, zlib.crc32(content))
        self._map[at + _STATE_AT] = OPEN
        self._taken[self._session, part.acquisition_id] = slot
        return True

    def decide_part(self, acquisition_id: int, verdict: Verdict, code: ReasonCode) -> None:
        """The part has its verdict. Unknown parts (opened while the journal was full) are passed over."""
        slot = self._taken.get((self._session, acquisition_id))
        if slot is None:
            return
        at = slot * SLOT_BYTES
        _DECIDED.pack_into(self._map, at + _DECIDED_AT, verdict, code, self._decided_check(at, verdict, code))
        self._map[at + _STATE_AT] = DECIDED

    def commit(self, keys: Iterable[PartKey]) -> None:
        """These parts are on record: their slots are free again. Unknown keys are passed over."""
        for key in keys:
            slot = self._taken.pop(key, None)
            if slot is not None:
                self._map[slot * SLOT_BYTES + _STATE_AT] = FREE
                self._free.append(slot)

    def close(self) -> None:
        """Unmaps and unlocks; what is not committed stays for the next station, else the file goes: it would hold
        memory. May be called twice.
        """
        if not self._map.closed:
            self._map.close()
            if not self._taken:
                self._path.unlink(missing_ok=True)
            os.close(self._file_descriptor)

    def _decided_check(self, at: int, verdict: int, code: int) -> int:
        content_check = self._map[at + _CHECK_AT : at + _DECIDED_AT]
        return zlib.crc32(bytes((verdict, code & 0xFF, code >> 8)), _CHECK.unpack(content_check)[0])

    def _read(self) -> None:
        for slot in range(1, self._slots + 1):
            at = slot * SLOT_BYTES
            state = self._map[at + _STATE_AT]
            part = self._read_slot(at, state) if state != FREE else None
            if part is not None:
                self._unfinished.append(part)
                self._taken[part.key] = slot
                continue
            if state != FREE:
                self.damaged += 1
                self._map[at + _STATE_AT] = FREE
            self._free.append(slot)
        self._unfinished.sort(key=lambda left: (left.part.wall_time, left.part.acquisition_id))

    def _read_slot(self, at: int, state: int) -> UnfinishedPart | None:
        content = self._map[at + _CONTENT_AT : at + _CHECK_AT]
        if state not in (OPEN, DECIDED) or _CHECK.unpack_from(self._map, at + _CHECK_AT)[0] != zlib.crc32(content):
            return None
        session, source, acquisition_id, part_id, *rest = _CONTENT.unpack(content)
        part = Part(acquisition_id, part_id, _text(source), *rest)
        decision = Decision.error(ReasonCode.RESTARTED)
        if state == DECIDED:
            verdict, code, check = _DECIDED.unpack_from(self._map, at + _DECIDED_AT)
            if check != self._decided_check(at, verdict, code):
                return None
            try:
                decision = _decision(Verdict(verdict), ReasonCode(code))
            except ValueError:  # a code that this version does not know
                return None
        return UnfinishedPart(_text(session), part, decision)


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\x00").decode(errors="replace")


def _decision(verdict: Verdict, code: ReasonCode) -> Decision:
    if verdict is Verdict.PASS:
        return Decision(verdict)
    return Decision(verdict, (Reason(code, "details lost in a restart"),))


def _open(path: Path, slots: int) -> int:
    """Opens the journal file, locked. A new one is complete before it gets its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(path, slots)
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink == 0:  # its station has ended and removed it meanwhile
                os.close(descriptor)
                continue
            if _is_journal(descriptor):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        aside = path.with_name(path.name + ".unreadable")
        path.replace(aside)
        log.error("not a journal of this version: parts that were open are lost", path=str(path), kept_as=str(aside))


def _create(path: Path, slots: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    header = _HEADER.pack(MAGIC, VERSION, SLOT_BYTES, slots)
    # Zeros are written, not left as a hole: on a full disk a store into a hole would kill the process (SIGBUS).
    temporary.write_bytes(header.ljust(SLOT_BYTES, b"\x00") + bytes(SLOT_BYTES * slots))
    temporary.replace(path)


def _is_journal(descriptor: int) -> bool:
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return False
    magic, version, slot_bytes, slots = _HEADER.unpack(header)
    size = os.fstat(descriptor).st_size
    return (magic, version, slot_bytes) == (MAGIC, VERSION, SLOT_BYTES) and size == SLOT_BYTES * (1 + slots)
