"""The pictures of a trigger test: a file beside the live memory, in the form of a part that is none.

Written by the thread of the control socket that asks for it, never by the line; read by the pages of set-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from station.live.part_message import framed

FILE = "test-picture"


def write_trial_picture(
    folder: Path, views: Sequence[Mapping[str, Any]], jpegs: Sequence[bytes], taken_ns: int
) -> None:
    """Replaces the file in one step. Raises OSError.

    Args:
        views: as those of a part: camera, width, height, figures, why_no_picture.
        jpegs: of each view; empty: there is none.
        taken_ns: CLOCK_MONOTONIC.
    """
    head = {
        "part_id": 0,
        "acquisition_id": 0,
        "session": "",
        "signalled_ns": taken_ns,
        "views": [{**view, "picture": len(jpeg), "heat": 0} for view, jpeg in zip(views, jpegs, strict=True)],
    }
    blobs = [blob for jpeg in jpegs for blob in (jpeg, b"")]
    temporary = folder / f"{FILE}.new"
    temporary.write_bytes(framed(head, blobs))
    temporary.chmod(0o640)
    temporary.replace(folder / FILE)
