"""How many parts are between camera and ejector, in a file that outlives the process.

A station that is killed leaves parts on the belt that the next one does not know. The number is one memory store into a
mapped file, as in the flight journal: it survives `kill -9`, not a power cut, which stops the belt as well.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from types import TracebackType

_NUMBER = struct.Struct("<Q")


class BeltMemoryError(Exception):
    """The file cannot be opened or made."""


class BeltMemory:
    """Owns the number of parts on the belt. The ejection thread writes it, the start reads it."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises BeltMemoryError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if os.fstat(descriptor).st_size != _NUMBER.size:
                    os.ftruncate(descriptor, 0)
                    os.posix_fallocate(descriptor, 0, _NUMBER.size)
                self._map = mmap.mmap(descriptor, _NUMBER.size)
            finally:
                os.close(descriptor)
        except OSError as problem:
            raise BeltMemoryError(
                f'belt memory "{path}" cannot be opened: {problem.strerror}; check the folder [station] runtime_dir'
            ) from problem

    @property
    def parts(self) -> int:
        number: int = _NUMBER.unpack_from(self._map)[0]
        return number

    def write(self, parts: int) -> None:
        _NUMBER.pack_into(self._map, 0, parts)

    def __enter__(self) -> BeltMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._map.close()
