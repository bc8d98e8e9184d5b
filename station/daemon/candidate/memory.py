"""Whether this computer has the memory for one more engine, beside the one that judges parts."""

from __future__ import annotations

from pathlib import Path

MB = 1024 * 1024
BASE_MB = 250
"""Of a runtime with its libraries, and what stays free for the line."""
TIMES_ITS_FILES = 3
"""Weights, the graph that is optimised, and the memory between its layers: measured 1.5 to 2.5."""
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def too_little_memory(engine: Path) -> str:
    """Why a second engine does not fit; empty: it does. What cannot be read counts as enough."""
    files_mb = sum(file.stat().st_size for file in engine.iterdir() if file.is_file()) / MB
    wanted = BASE_MB + TIMES_ITS_FILES * files_mb
    free = free_mb()
    if free is None or free >= wanted:
        return ""
    return f"two engines do not fit into memory: {free:.0f} MB are free, {wanted:.0f} MB are needed for the second one"


def free_mb() -> float | None:
    """What this process may still take, of the computer and of its group; None: not known."""
    found = [value for value in (_of_computer(), _of_group()) if value is not None]
    return min(found) if found else None


def _of_computer() -> float | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def _of_group() -> float | None:
    """Of a service with MemoryMax, or a container."""
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="ascii").strip().rpartition("::")[2]
        folder = _CGROUP / group.lstrip("/")
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        return None if limit == "max" else (int(limit) - used) / MB
    except (OSError, ValueError):
        return None
