"""Where images lie for all stations: what a store can do, where a bucket is, and the store that is a folder.

A bucket that takes images is in `s3.py`, one that gives them back in `station/fleet/refreshing/bucket.py`.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from station.records.images import read_below, write_atomic

MARK = ".station-images"
"""Lies in a folder that is meant: a share that is not mounted is an empty folder of this computer."""

ADVICE_OF_CODE = {
    "InvalidAccessKeyId": "the store knows no such key; [images] key_id",
    "SignatureDoesNotMatch": "wrong secret for this key; [images] secret_file",
    "NoSuchBucket": "there is no such bucket; make it, or correct [images] bucket",
    "RequestTimeTooSkewed": "the clocks of station and store are more than 15 min apart; set the one that is wrong",
    "AuthorizationHeaderMalformed": "the store has another region; [images] region",
    "PermanentRedirect": "the bucket has another address; [images] endpoint, region",
    "TemporaryRedirect": "the bucket has another address; [images] endpoint, region",
    "SlowDown": "the store asks to slow down",
}
"""What to do, by the code in the reply of an S3 store, whatever it was asked for."""


class StoreError(Exception):
    """Nothing was stored; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bucket of an S3 store is, and as whom; `repr` shows no secret."""

    endpoint: str
    bucket: str
    region: str
    key_id: str
    secret: str = field(repr=False)
    ca_file: Path | None = None
    timeout_s: float = 20.0


class Store(Protocol):
    """Takes an image under a name once. Used by one thread."""

    @property
    def where(self) -> str:
        """For people."""
        ...

    def put(self, name: str, content: bytes) -> bool:
        """Stores it; False: it is there already. Raises StoreError."""
        ...

    def reach(self) -> str:
        """Why it cannot be used, or empty."""
        ...


class Readable(Protocol):
    """Gives back what stations have put there: a refresh in one place reads it. Nothing of it is to be trusted."""

    @property
    def where(self) -> str:
        """For people."""
        ...

    def names(self, prefix: str, most: int) -> list[str]:
        """Of all images below `STATION/DAY`; none where nothing is. Raises StoreError, also beyond `most`."""
        ...

    def read(self, name: str, most: int) -> bytes | None:
        """At most `most` bytes; None: it is not there (any more). Raises StoreError; ValueError: it is larger."""
        ...

    def reach(self) -> str:
        """Why it cannot be used, or empty."""
        ...


class Folder:
    """Of a share, or of this computer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        return f'"{self._folder}"'

    def put(self, name: str, content: bytes) -> bool:
        if why := self.reach():
            raise StoreError(why)
        path = self._folder / name
        if path.exists():
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as problem:
            raise StoreError(f'"{path}" cannot be written: {problem.strerror or problem}') from problem
        return True

    def reach(self) -> str:
        try:
            (self._folder / MARK).stat()
        except FileNotFoundError:
            return (
                f'"{self._folder}" has no file {MARK}: is the share mounted? If this is the folder: touch '
                f'"{self._folder / MARK}"'
            )
        except OSError as problem:
            return f'"{self._folder}" cannot be used: {problem.strerror or problem}'
        return ""

    def names(self, prefix: str, most: int) -> list[str]:
        if why := self.reach():
            raise StoreError(why)
        found: list[str] = []
        try:
            for session in _entries(self._folder / prefix):
                if session.is_dir(follow_symlinks=False):
                    found += [
                        f"{prefix}/{session.name}/{image.name}"
                        for image in _entries(Path(session.path))
                        if image.is_file(follow_symlinks=False)
                    ]
                if len(found) > most:
                    raise StoreError(f'"{self._folder / prefix}" has more than {most} images of one day')
        except OSError as problem:
            raise StoreError(f'"{self._folder / prefix}" cannot be read: {problem.strerror or problem}') from problem
        return found

    def read(self, name: str, most: int) -> bytes | None:
        try:
            return read_below(self._folder, name, most)
        except OSError as problem:
            if problem.errno == errno.EFBIG:
                raise ValueError(f"more than {most} bytes") from problem
            if problem.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):  # gone, or a link that nobody follows
                return None
            raise StoreError(f'"{self._folder / name}" cannot be read: {problem.strerror or problem}') from problem


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """None where there is no such folder. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
