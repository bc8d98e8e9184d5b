"""Which GenTL producer (.cti) a configuration names. Loads nothing: the daemon needs this, and no GenICam."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from drivers.camera import simtl
from drivers.camera.protocol import ProducerError


def producer_from_name(name: str, base: Path = Path()) -> Path:
    """The producer that `name` stands for: `simtl` (the software camera of the station), `viky` (the virtual cameras
    in the genicam wheel) or the path of a .cti file, relative to `base`.

    Raises ProducerError for another short name and for one of the two that is not installed here. Whether a path
    leads to a producer is found out when it is loaded.
    """
    if name == "simtl":
        return simtl.producer_path()
    if name == "viky":
        return _viky_path()
    path = Path(name)
    if path.name == name and path.suffix != ".cti" and not (base / path).exists():
        raise ProducerError(f'unknown GenTL producer "{name}"; allowed: simtl, viky or the path of a .cti file')
    return base / path


def _viky_path() -> Path:
    package = importlib.util.find_spec("genicam")
    if package is None or package.origin is None:
        raise ProducerError('GenTL producer "viky": the Python package genicam is not installed')
    path = Path(package.origin).with_name("viky.cti")
    if not path.is_file():
        raise ProducerError(f'GenTL producer "viky": "{path}" is missing; genicam has none for this processor')
    return path
