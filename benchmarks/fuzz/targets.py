"""All that is fed with mutated input, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.fuzz.of_drivers import gentl, images, modbus
from benchmarks.fuzz.of_engines import archives
from benchmarks.fuzz.of_station import configuration, control
from benchmarks.fuzz.target import Target

TARGETS: Mapping[str, tuple[Target, int]] = {
    "archives": (archives, 150_000),
    "images": (images, 270_000),
    "control": (control, 100_000),
    "modbus": (modbus, 280_000),
    "configuration": (configuration, 150_000),
    "gentl": (gentl, 50_000),
}
"""And how many inputs each takes of a million."""
