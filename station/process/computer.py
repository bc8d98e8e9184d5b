"""What the computer says of itself, for the trends: temperatures, free disk. What is not there is left out."""

from __future__ import annotations

import os
from pathlib import Path

THERMAL = Path("/sys/class/thermal")


def of_computer(work_dir: Path, thermal: Path = THERMAL) -> dict[str, float]:
    """Degrees Celsius by the name of the sensor, and the free share of the disk that holds the records."""
    found: dict[str, float] = {}
    for zone in sorted(thermal.glob("thermal_zone*")):
        try:
            name = (zone / "type").read_text().strip()[:40]
            degrees = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue
        if name.isprintable() and -50 < degrees < 200:
            found[name] = degrees
    try:
        disk = os.statvfs(work_dir)
    except OSError:
        return found
    if disk.f_blocks:
        found["disk free"] = disk.f_bavail / disk.f_blocks
    return found
