"""Where the channel lies: a folder (of this computer, of a share) or an address over https. Both are only read.

No redirect is followed and no proxy of the environment is asked. What is larger than it may be is refused before it
fills the disk, and what comes a byte a second ends by its time limit.
"""

from __future__ import annotations

import http.client
import os
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from station import __version__
from station.fleet.channel import ChannelError

PIECE = 1 << 18
IDLE_S = 30.0
"""Longest silence of a server."""


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
        parts = urlsplit(url)
        self._host, self._is_encrypted = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._is_encrypted else 80)
        self._path = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self.where = f"{self._host}:{self._port}{self._path}"
        try:
            self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except OSError as problem:
            raise ChannelError(f"[channel] ca_file = {ca_file}: {problem.strerror or problem}") from problem

    def copy(self, name: str, to: BinaryIO, most: int) -> None:
        where = f"{self.where}/{name}"
        connection = self._new()
        try:
            with self._limited(connection):
                headers = {"User-Agent": f"edge-inspection-station/{__version__}", "Accept-Encoding": "identity"}
                connection.request("GET", f"{self._path}/{quote(name)}", headers=headers)
                reply = connection.getresponse()
                if reply.status == http.client.NOT_FOUND:
                    raise Absent(f"{where} is not there (404)")
                if reply.status != http.client.OK:
                    more = "; redirects are not followed" if 300 <= reply.status < 400 else ""
                    raise ChannelError(f"{where}: the server replied {reply.status} {reply.reason:.60}{more}")
                _copy(lambda: reply.read1(PIECE), to, most, where)
                if reply.length:
                    raise ChannelError(f"{where} was cut off: {reply.length} bytes are missing")
        except ssl.SSLCertVerificationError as problem:
            said = f"{where}: its certificate is not trusted: {problem.verify_message}; [channel] ca_file"
            raise ChannelError(said) from problem
        except (OSError, ValueError, http.client.HTTPException) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
            raise ChannelError(f"{where}: {str(why) or type(problem).__name__:.200}") from problem
        finally:
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        silence_s = min(IDLE_S, self._timeout_s)
        if self._is_encrypted:
            return http.client.HTTPSConnection(self._host, self._port, timeout=silence_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=silence_s)

    @contextmanager
    def _limited(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Within `timeout_s` in all, where a time-out of the socket is one for each byte."""
        end = time.monotonic() + self._timeout_s

        def cut() -> None:
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(2)
                except OSError:
                    return  # it is closed already

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if time.monotonic() >= end:
                raise ChannelError(f"{self.where}: not done within {self._timeout_s:g} s; [channel] timeout_s")


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
