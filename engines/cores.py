"""How many cores this process may use: its affinity and the quota of its control groups, whichever is less.

A container or a unit with a quota shows all cores of the machine. Threads beyond the quota do not run beside each
other, they take the time from each other: 15 threads on a quota of 2 cores made 360 ms of an inference of 14 ms.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores(mounted: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """At least one. A quota of 2.5 cores is two: a third thread would stand still for half of the time."""
    return max(1, math.floor(min([float(len(os.sched_getaffinity(0))), *_quotas(mounted, own)])))


def _quotas(mounted: Path, own: Path) -> Iterator[float]:
    """In cores, of every group from the own one up: each of them holds. Both versions of control groups."""
    try:
        groups = own.read_text().splitlines()
    except OSError:
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mounted / controllers if controllers else mounted
        for folder in _up_from(top / path.lstrip("/"), top):
            if controllers:
                yield from _cores(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
            else:
                quota, _, period = _read(folder / "cpu.max").partition(" ")
                yield from _cores(quota, period)


def _up_from(folder: Path, top: Path) -> Iterator[Path]:
    """A folder and those above it, up to `top`; in a container the own group lies at `top` itself."""
    yield from (place for place in (folder, *folder.parents) if place.is_relative_to(top))


def _cores(quota: str, period: str) -> Iterator[float]:
    """Nothing where there is no limit (`max`, -1) or none can be read."""
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
