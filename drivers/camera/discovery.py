"""Loading a GenTL producer (.cti) and finding its cameras."""

from __future__ import annotations

import ctypes
import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harvesters.core import Harvester, ParameterKey, ParameterSet

from drivers.camera.protocol import CameraNotFound, ProducerError


@dataclass(frozen=True, slots=True)
class CameraListing:
    """A camera as its producer announces it, not opened."""

    serial_number: str
    vendor: str
    model: str
    user_name: str
    """DeviceUserID."""


@contextmanager
def opened_producer(path: Path) -> Iterator[Harvester]:
    """Loads a producer and lists its cameras; one at a time per file in a process (a second one finds nothing).

    Raises ProducerError when the file is missing, is no shared library or is no GenTL producer.
    """
    path = path.absolute()
    _check(path)
    warnings = _Warnings()
    logger = logging.Logger("harvesters", logging.WARNING)
    logger.addHandler(warnings)
    harvester = Harvester(config=ParameterSet({ParameterKey.LOGGER: logger}))
    try:
        harvester.add_file(str(path))
        harvester.update()
        if warnings.messages and not harvester.device_info_list:
            raise ProducerError(f'GenTL producer "{path}" does not start: {"; ".join(warnings.messages)}')
        yield harvester
    finally:
        harvester.reset()


def listings(harvester: Harvester) -> list[CameraListing]:
    """What `opened_producer` found, in the producer's order."""

    def text(info: Any, name: str) -> str:
        return str(info.property_dict.get(name) or "")

    return [
        CameraListing(
            serial_number=text(info, "serial_number"),
            vendor=text(info, "vendor"),
            model=text(info, "model"),
            user_name=text(info, "user_defined_name"),
        )
        for info in harvester.device_info_list
    ]


def list_cameras(producer: Path) -> list[CameraListing]:
    """The cameras that a producer finds now. Raises ProducerError."""
    with opened_producer(producer) as harvester:
        return listings(harvester)


def find(cameras: list[CameraListing], serial_number: str, producer: Path) -> int:
    """Index of the camera with this serial number; of the only camera when the number is empty.

    Raises CameraNotFound with the serial numbers that are there.
    """
    matching = [index for index, camera in enumerate(cameras) if serial_number in ("", camera.serial_number)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        problem = f'{len(matching)} cameras and no serial number given on producer "{producer}"'
    elif serial_number:
        problem = f'no camera with DeviceSerialNumber "{serial_number}" on producer "{producer}"'
    else:
        problem = f'no camera on producer "{producer}"'
    found = ", ".join(f'"{camera.serial_number}"' for camera in cameras) or "none"
    raise CameraNotFound(f'{problem}: found {found}; see "station camera list --producer {producer}"')


def _check(path: Path) -> None:
    """Harvesters only logs a producer that does not load, so look first."""
    if not path.is_file():
        raise ProducerError(f'GenTL producer "{path}" does not exist or is no file; give the path of a .cti file')
    try:
        library = ctypes.CDLL(str(path), mode=os.RTLD_LOCAL | os.RTLD_LAZY)
    except OSError as error:
        raise ProducerError(
            f'GenTL producer "{path}" cannot be loaded: {error}; built for another processor, or a library is missing?'
        ) from error
    if not hasattr(library, "GCInitLib"):
        raise ProducerError(f'"{path}" is a shared library but no GenTL producer: it exports no GCInitLib')


class _Warnings(logging.Handler):
    """What harvesters catches and logs instead of raising: the last few messages."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: deque[str] = deque(maxlen=5)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
