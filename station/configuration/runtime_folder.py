"""Where a station keeps what must survive a kill and never wait for a disk: its open parts, and those on the belt.

Both are files mapped into memory. On a disk that stands still the kernel stops whoever stores into such a page, and
with it all of the daemon, so they belong on a memory file system. A power cut takes them; it stops the line as well.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

IN_MEMORY = frozenset({"tmpfs", "ramfs"})
SHARED_MEMORY = Path("/dev/shm")


def runtime_folder(chosen: Path | None, work_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder: `chosen`, else systemd's RuntimeDirectory, else one of this user and this work folder in /dev/shm or
    XDG_RUNTIME_DIR. Without any of them it is the work folder, on its disk.
    """
    if chosen is not None:
        return chosen
    if by_systemd := environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(by_systemd)
    of_work_dir = hashlib.sha256(os.fsencode(work_dir)).hexdigest()[:16]
    if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK):
        return SHARED_MEMORY / f"station-{os.geteuid()}" / of_work_dir
    if of_user := environment.get("XDG_RUNTIME_DIR", ""):
        return Path(of_user) / "station" / of_work_dir
    return work_dir


def make_runtime_folder(folder: Path) -> None:
    """Makes the folder for this user alone. Raises OSError; PermissionError also when it is another user's."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for made in (folder, folder.parent) if folder.is_relative_to(SHARED_MEMORY) else ():
        if made != SHARED_MEMORY and made.lstat().st_uid != os.geteuid():
            raise PermissionError(1, "it belongs to another user", str(made))


def is_in_memory(folder: Path) -> bool:
    """Whether a folder, or what is there of its way, lies on a memory file system. Raises OSError."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    device = there.stat().st_dev
    of_device = f"{os.major(device)}:{os.minor(device)}"
    for mount in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = mount.partition(" - ")
        if before.split()[2] == of_device:
            return after.split()[0] in IN_MEMORY
    return False
