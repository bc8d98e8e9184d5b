"""Two serial ports that are wired to each other: a pair of ptys, and a thread that carries the bytes."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import threading
import tty
from pathlib import Path
from types import TracebackType

CHUNK = 4096
"""Bytes on the wire in one direction. Whoever sends more waits until the other end reads, as with flow control."""


class SerialPair:
    """Runs between `__enter__` and `__exit__`. `unplug` takes the line away, `plug_in` brings it back.

    Owned by the test: `station` and `plc` are the paths of the two ports, the same after every `plug_in`.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="line-")
        self._ends = [Path(self._folder.name) / name for name in ("station", "plc")]
        self.station, self.plc = map(str, self._ends)
        self._wire: _Wire | None = None

    def __enter__(self) -> SerialPair:
        self.plug_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        self._folder.cleanup()

    def plug_in(self) -> None:
        self._wire = _Wire()
        for end, port in zip(self._ends, self._wire.ports, strict=True):
            end.symlink_to(port)

    def unplug(self) -> None:
        """Both ports hang up: whoever has one open sees its end."""
        if self._wire is None:
            return
        for end in self._ends:
            end.unlink()
        self._wire.cut()
        self._wire = None


class _Wire:
    """The ptys and the thread between them."""

    def __init__(self) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self._masters = [master for master, _ in pairs]
        self._slaves = [slave for _, slave in pairs]  # kept open: a port that nobody has open is no error
        for slave in self._slaves:
            tty.setraw(slave)
        self.ports = [os.ttyname(slave) for slave in self._slaves]
        for master in self._masters:
            os.set_blocking(master, False)
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="serial wire")
        self._thread.start()

    def cut(self) -> None:
        os.close(self._stop)
        self._thread.join()
        for descriptor in (*self._masters, *self._slaves, self._stopped):
            os.close(descriptor)

    def _carry(self) -> None:
        here, there = self._masters
        to_end = {here: b"", there: b""}
        other = {here: there, there: here}
        while True:
            may_send = [end for end in other if not to_end[other[end]]]
            readable, writable, _ = select.select(
                [self._stopped, *may_send], [end for end, data in to_end.items() if data], []
            )
            if self._stopped in readable:
                return
            for end in readable:
                to_end[other[end]] = os.read(end, CHUNK)
            for end in {*writable, *(other[end] for end in readable)}:
                with contextlib.suppress(BlockingIOError):
                    to_end[end] = to_end[end][os.write(end, to_end[end]) :]
