"""Where the channel lies: a folder (of this computer, of a share) or an address over https. Both are only read.

No redirect is followed and no proxy of the environment is asked. What is larger than it may be is refused before it
fills the disk, and what comes a byte a second ends by its time limit.
"""

from __future__ import annotations

import http.client
import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from station.fleet.asking import PIECE, AskingError, Server
from station.fleet.channel import ChannelError


class Absent(ChannelError):
    """There is no file of this name."""


class Source(Protocol):
    """Reads files of one place."""

    @property
    def where(self) -> str:
        """For people."""
        ...

    def copy(self, name: str, to: BinaryIO, most: int) -> None:
        """The file of this name, at most `most` bytes. Raises ChannelError; Absent: there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """Of this computer, or a share that is mounted here."""

    folder: Path

    @property
    def where(self) -> str:
        return f'"{self.folder}"'

    def copy(self, name: str, to: BinaryIO, most: int) -> None:
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ChannelError(f'"{path}" is no plain file')
                _copy(lambda: stream.read(PIECE), to, most, f'"{path}"')
        except FileNotFoundError as problem:
            raise Absent(f'"{path}" is not there') from problem
        except OSError as problem:
            raise ChannelError(f'"{path}" cannot be read: {problem.strerror or problem}') from problem


class Https:
    """A server; one connection for each file."""

    def __init__(self, url: str, *, ca_file: Path | None, timeout_s: float) -> None:
        """`timeout_s`: of one file. Raises ChannelError: the certificates cannot be used."""
        try:
            tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except OSError as problem:
            raise ChannelError(f"[channel] ca_file = {ca_file}: {problem.strerror or problem}") from problem
        self._server = Server(url, tls, timeout_s=timeout_s, section="[channel]")
        self._path = urlsplit(url).path.rstrip("/")
        self.where = f"{self._server.host}:{self._server.port}{self._path}"

    def copy(self, name: str, to: BinaryIO, most: int) -> None:
        where = f"{self.where}/{name}"
        try:
            with self._server.reply(f"{self._path}/{quote(name)}", {}) as reply:
                if reply.status == http.client.NOT_FOUND:
                    raise Absent(f"{where} is not there (404)")
                if reply.status != http.client.OK:
                    more = "; redirects are not followed" if 300 <= reply.status < 400 else ""
                    raise ChannelError(f"{where}: the server replied {reply.status} {reply.reason:.60}{more}")
                _copy(lambda: reply.read1(PIECE), to, most, where)
                if reply.length:
                    raise ChannelError(f"{where} was cut off: {reply.length} bytes are missing")
        except AskingError as problem:
            raise ChannelError(f"{where}: {problem}") from problem


def source_at(url: str, base: Callable[[Path], Path], *, ca_file: Path | None, timeout_s: float) -> Source:
    """`base`: where a folder is relative to. Raises ChannelError."""
    if url.startswith(("https://", "http://")):
        return Https(url, ca_file=ca_file, timeout_s=timeout_s)
    return Folder(base(Path(url)))


def _copy(read: Callable[[], bytes], to: BinaryIO, most: int, where: str) -> None:
    size = 0
    while piece := read():
        size += len(piece)
        if size > most:
            raise ChannelError(f"{where} has more than {most} bytes, which is what it may have")
        to.write(piece)
