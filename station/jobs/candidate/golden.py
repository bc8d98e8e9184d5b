"""Good parts of earlier refreshes, in every later comparison: a variant that no longer runs must not be forgotten.

VERSION/refresh/golden/     beside a candidate of the store
    golden.json             which parts, of which camera
    NNN.png                 as it was recorded
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from engines.store.versions import Version
from station.jobs.refresh_selection import EARLIER, Group, PartImage
from station.records.images import is_whole_png, write_atomic

FOLDER = "golden"
LIST = "golden.json"
OF_EACH = 20
"""Good parts of one refresh."""
MOST = 400
"""In one comparison; of the newest versions."""
_MAX_LIST_BYTES = 1 << 20
_GOOD = (Group.GOOD, Group.PASSED)


def keep(report: Path, held_out: Sequence[PartImage], images: Path) -> None:
    """Copies some of the held-out good parts to the report of a refresh, evenly spread. `images`: where they lie.

    Raises OSError.
    """
    good = [part for part in held_out if part.group in _GOOD and part.image.suffix.lower() == ".png"]
    chosen = good[:: max(1, -(-len(good) // OF_EACH))]
    folder = report / FOLDER
    folder.mkdir(exist_ok=True)
    entries = []
    for number, part in enumerate(chosen):
        name = f"{number:03d}.png"
        shutil.copyfile(images / part.name, folder / name)
        entries.append({"file": name, "key": part.key, "part_id": part.part_id, "camera": part.camera})
    write_atomic(folder / LIST, json.dumps({"format": 1, "parts": entries}).encode())


def of_earlier(versions: Iterable[Version], report: str, but: Sequence[PartImage]) -> list[PartImage]:
    """Those of all earlier refreshes, the newest first; what cannot be read is left out.

    `report`: name of the folder of a report. `but`: parts that are in the comparison anyway.
    """
    seen = {(part.key, part.camera) for part in but}
    found: list[PartImage] = []
    for version in sorted(versions, key=lambda one: -one.number):
        for part in _read(version.path / report / FOLDER):
            if (part.key, part.camera) not in seen and len(found) < MOST:
                seen.add((part.key, part.camera))
                found.append(part)
    return found


def _read(folder: Path) -> list[PartImage]:
    file = folder / LIST
    try:
        if file.is_symlink() or file.stat().st_size > _MAX_LIST_BYTES:
            return []
        entries = json.loads(file.read_text(encoding="utf-8"))["parts"]
        return [
            PartImage(str(entry["key"]), str(entry["part_id"]), image, EARLIER, camera=str(entry["camera"]))
            for entry in entries
            if (image := folder / Path(str(entry["file"])).name).is_file() and is_whole_png(image)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
