"""A disk that remembers every write and every flush in their order, so that a power cut at any of them can be replayed.

    python -m tests.bench.recorded_disk FOLDER MEGABYTES      serves FOLDER/device/disk and writes FOLDER/writes.log

    station ── ext4 ── loop device ── file of a FUSE file system ── this process

The loop device hands on what the block layer sends to a disk: writes in the order in which they are begun, and a flush
(as fsync) where the file system wants all before it to be safe. A disk that loses its power keeps what was flushed; of
what came after that it keeps any part. `Replay` makes the image of such a disk. Needs root, loop devices and FUSE.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.places import ROOT

DEVICE, FILE, LOG = "device", "disk", "writes.log"
MAX_WRITE = 128 * 1024
START_S = 20.0
_LIBC = ctypes.CDLL(None, use_errno=True)
_ROOT_NODE, _FILE_NODE = 1, 2
_IN, _OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_RECORD = struct.Struct("<qQI")
"""Monotonic ns, offset, bytes that follow; a flush has no bytes."""
_FLUSH_AT = (1 << 64) - 1
_ENOENT, _ENOSYS = 2, 38


def can_record() -> bool:
    """This user may mount here, and the programs are there."""
    programs = all(shutil.which(name) for name in ("mkfs.ext4", "mount", "losetup"))
    return os.geteuid() == 0 and programs and Path("/dev/fuse").exists() and Path("/dev/loop-control").exists()


# ---- the writes and what they leave ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """One request of the file system."""

    at_ns: int
    """Monotonic time."""
    offset: int
    data: bytes
    """Empty: a flush."""

    @property
    def is_flush(self) -> bool:
        return not self.data


def read_writes(folder: Path) -> list[Write]:
    """All that was written so far, in order."""
    data = (folder / LOG).read_bytes()
    writes, at = [], 0
    while at + _RECORD.size <= len(data):
        at_ns, offset, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + size > len(data):
            break
        writes.append(Write(at_ns, offset, data[at : at + size]))
        at += size
    return writes


class Replay:
    """The image of the disk at rising points of its writes."""

    def __init__(self, writes: Sequence[Write], image: Path, megabytes: int) -> None:
        self._writes = writes
        self._image = image
        self._done = 0
        """All before it is in the image."""
        with image.open("wb") as file:
            file.truncate(megabytes << 20)

    def cut(self, point: int, into: Path, rng: random.Random | None = None) -> None:
        """Writes into `into` what a disk holds that loses its power before write number `point`, which only rises.

        With `rng`: of the writes since the last flush any part; else all of them.
        """
        flushed = max((n + 1 for n in range(self._done, point) if self._writes[n].is_flush), default=self._done)
        self._apply(self._image, self._writes[self._done : flushed])
        self._done = flushed
        subprocess.run(["cp", "--sparse=always", str(self._image), str(into)], check=True)
        since = self._writes[flushed:point]
        self._apply(into, since if rng is None else [write for write in since if rng.random() < 0.5])

    @staticmethod
    def _apply(image: Path, writes: Sequence[Write]) -> None:
        with image.open("r+b") as file:
            for write in writes:
                if not write.is_flush:
                    file.seek(write.offset)
                    file.write(write.data)


@contextlib.contextmanager
def recorded_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """An ext4 on a recorded disk, mounted; its writes lie in FOLDER/writes.log also afterwards."""
    device, mounted = folder / DEVICE, folder / "mounted"
    device.mkdir()
    mounted.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.recorded_disk", str(folder), str(megabytes)], cwd=ROOT
    )
    try:
        end = time.monotonic() + START_S
        while not (device / FILE).exists():
            if server.poll() is not None or time.monotonic() > end:
                raise OSError("the recorded disk cannot be served: is FUSE there?")
            time.sleep(0.02)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard", str(device / FILE)], check=True)
        subprocess.run(["mount", "-o", "loop", str(device / FILE), str(mounted)], check=True)
        try:
            yield mounted
        finally:
            if subprocess.run(["umount", str(mounted)], check=False).returncode:  # somebody still has a file open
                subprocess.run(["umount", "--lazy", str(mounted)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(device)], check=False, stderr=subprocess.DEVNULL)
        server.terminate()
        server.wait()


@contextlib.contextmanager
def mounted_image(image: Path, at: Path) -> Iterator[Path]:
    """The file system of an image, as after a restart: its journal is replayed."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


# ---- the file system of one file ------------------------------------------------------------------------------------


class Server:
    """Answers the kernel (the FUSE protocol 7.31): one folder with one file, which lies in memory."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self._content = bytearray(megabytes << 20)
        self._log = (folder / LOG).open("wb", buffering=0)
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0"
        if _LIBC.mount(b"recorded", os.fsencode(folder / DEVICE), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount of the recorded disk")

    def run(self) -> None:
        """Until it is unmounted."""
        while True:
            try:
                request = os.read(self._device, MAX_WRITE + 65536)
            except OSError:  # ENODEV: unmounted
                return
            _, opcode, unique, node, *_ = _IN.unpack_from(request)
            reply = self._reply(opcode, node, memoryview(request)[_IN.size :])
            if reply is not None:
                error, data = (reply, b"") if isinstance(reply, int) else (0, reply)
                with contextlib.suppress(OSError):
                    os.write(self._device, _OUT.pack(_OUT.size + len(data), -error, unique) + data)

    def _reply(self, opcode: int, node: int, body: memoryview) -> bytes | int | None:  # noqa: PLR0911  one a request
        """What to reply: data, or the number of an error; None: nothing."""
        match opcode:
            case 26:  # INIT
                flags = 1 | 1 << 5 | 1 << 22  # reads side by side, large writes, as many pages as said
                return struct.pack("<IIIIHHIIHHI28x", 7, 31, MAX_WRITE, flags, 12, 10, MAX_WRITE, 1, 32, 0, 0)
            case 1:  # LOOKUP
                if bytes(body).rstrip(b"\0") != FILE.encode():
                    return _ENOENT
                return struct.pack("<QQQQII", _FILE_NODE, 1, 3600, 3600, 0, 0) + self._attributes(_FILE_NODE)
            case 3 | 4:  # GETATTR, SETATTR
                return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
            case 14 | 27:  # OPEN, OPENDIR
                return struct.pack("<QII", 1, 0, 0)
            case 15:  # READ
                _, offset, size = struct.unpack_from("<QQI", body)
                return bytes(self._content[offset : offset + size])
            case 16:  # WRITE
                _, offset, size = struct.unpack_from("<QQI", body)
                data = body[40 : 40 + size]
                self._log.write(_RECORD.pack(time.monotonic_ns(), offset, size) + data)
                self._content[offset : offset + size] = data
                return struct.pack("<II", size, 0)
            case 20:  # FSYNC: a flush
                self._log.write(_RECORD.pack(time.monotonic_ns(), _FLUSH_AT, 0))
                return b""
            case 17:  # STATFS
                return struct.pack("<5Q4I24x", len(self._content) >> 12, 0, 0, 2, 0, 4096, 255, 4096, 0)
            case 18 | 25 | 29 | 34 | 38:  # RELEASE, FLUSH, RELEASEDIR, ACCESS, DESTROY
                return b""
            case 2 | 36 | 42:  # FORGET, INTERRUPT, BATCH_FORGET
                return None
        return _ENOSYS

    def _attributes(self, node: int) -> bytes:
        is_file = node == _FILE_NODE
        size = len(self._content) if is_file else 0
        mode = 0o100600 if is_file else 0o40700
        return _ATTR.pack(node, size, size >> 9, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


if __name__ == "__main__":
    Server(Path(sys.argv[1]), int(sys.argv[2])).run()
