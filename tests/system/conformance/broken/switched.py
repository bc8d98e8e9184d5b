"""A handshake that can be made to break a rule while the station runs."""

from __future__ import annotations

from pathlib import Path

from station.line.handshake.machine import Handshake
from station.line.handshake.messages import HandshakeRequest

Requests = list[HandshakeRequest]
VARIANTS: dict[str, type[Switched]] = {}
"""All subclasses by name. Each is the real handshake with one rule switched off."""


class Switched(Handshake):
    """As it should be; becomes one of its subclasses on request."""

    directory = Path()

    def __init_subclass__(cls) -> None:
        VARIANTS[cls.__name__] = cls

    def tick(self, now_ns: int) -> Requests:
        name = read(self.directory / "broken")
        if name != read(self.directory / "broken.now"):
            self.__class__ = VARIANTS[name] if name else Switched
            Handshake._reset(self)  # what the one before has left behind
            (self.directory / "broken.now").write_text(name)
        return super().tick(now_ns)


def read(path: Path) -> str:
    """The text of a file; nothing when there is no file."""
    return path.read_text() if path.exists() else ""
