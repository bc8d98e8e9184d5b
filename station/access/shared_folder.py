"""Files that both write, the station's user and that of the pages: labels and studies.

Where the pages have a user of their own (`station-hmi.service`), a folder `labels` in the work folder belongs to him
and to his group, of which the station's user is a member. Without such a folder they lie in the work folder, of one
user.
"""

from __future__ import annotations

import stat
from pathlib import Path

FOLDER = "labels"
MODE, MODE_OF_GROUP = 0o640, 0o660


def file_beside(records: Path, name: str) -> Path:
    """Where the file lies, in the folder beside that of the records if there is one. `records`: their folder."""
    shared = records.parent / FOLDER
    return (shared if shared.is_dir() else records.parent) / name


def mode_in(folder: Path) -> int:
    """Of a new file in this folder: the group writes it where the group owns the folder, too."""
    shared = stat.S_ISGID | stat.S_IWGRP
    return MODE_OF_GROUP if folder.stat().st_mode & shared == shared else MODE
