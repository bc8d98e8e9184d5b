"""The evidence file of a part: everything that is known of it as a ZIP, every member listed with its SHA-256.

about.json      which station, software, engine; who made the file and when; what could not be added, and why
part.json       the row and its views    trace.json   every step with its time    labels.json  what people said
overview.png    the part as it is shown  images/      as they were stored, with their maps
configuration.toml, recipe.toml          as they were when the part was judged    engine.json  its manifest
audit.json      changes of the day before and after                               SHA256SUMS   for `sha256sum -c`
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
import time
import zipfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from engines.bundle.files import MANIFEST_FILE
from station import __version__
from station.labels.labels import read_labels, said_of
from station.labels.quarantine import quarantined
from station.labels.schema import open_reader as labels_reader
from station.records.audit import audit_between, head_of
from station.records.configurations import kept_files
from station.records.parts import PartRow
from station.reports import part_picture
from station.reports.seen import Eyes
from station.reports.shifts import Calendar
from station.reports.trace import find

AROUND_S = 86_400.0
"""Changes this long before and after the part are listed."""
SUMS = "SHA256SUMS"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member: the same evidence is the same file."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the evidence of this station lies."""

    eyes: Eyes
    labels: Path
    calendar: Calendar
    station: str
    """Its name."""


def collect(connection: sqlite3.Connection, source: Source, part: PartRow, made_by: str) -> dict[str, bytes]:
    """Name of the member -> content, `SHA256SUMS` last; what is not there any more stands in `about.json`.

    Raises:
        RecordingError, LabelError, sqlite3.Error: records or labels cannot be read.
    """
    files: dict[str, bytes] = {}
    missing: list[str] = []
    files["part.json"] = _json(asdict(part))
    trace = find(connection, part)
    files["trace.json"] = _json(
        {"steps": [asdict(step) for step in trace.steps], "events": [asdict(event) for event in trace.events]}
    )
    files["labels.json"] = _json(_labels(source, part))
    audit = audit_between(connection, part.wall_time - AROUND_S, part.wall_time + AROUND_S)
    files["audit.json"] = _json([asdict(row) for row in audit])
    for name, checksum in (("configuration.toml", part.config_checksum), ("recipe.toml", part.recipe_checksum)):
        kept = kept_files(connection, checksum) if checksum else []
        if kept:
            files[name] = kept[0].content.encode()
        elif checksum or name == "configuration.toml":
            missing.append(f"{name}: no file with checksum {checksum[:12] or 'none'} is on record")
    _add_images(files, missing, source, part)
    engine = source.eyes.engine_of(part)
    if engine is None:
        missing.append(f"engine.json: engine {part.engine_id[:12] or 'none'} is not on this station")
    else:
        files["engine.json"] = (engine / MANIFEST_FILE).read_bytes()
    about = {
        "station": source.station,
        "software": __version__,
        "part_id": part.part_id,
        "session": part.session,
        "acquisition_id": part.acquisition_id,
        "triggered": source.calendar.iso(part.wall_time),
        "made": source.calendar.iso(time.time()),
        "made_by": made_by,
        "audit_head": str(head_of(connection) or "none"),
        "missing": missing,
    }
    files = {"about.json": _json(about), **files}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    return {**files, SUMS: sums.encode()}


def write(files: dict[str, bytes], output: IO[bytes]) -> None:
    """As ZIP. Raises OSError."""
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            packed = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, packed)


def as_zip(files: dict[str, bytes]) -> bytes:
    """In memory: a part has a few images."""
    buffer = io.BytesIO()
    write(files, buffer)
    return buffer.getvalue()


def file_name(part: PartRow) -> str:
    """Of the evidence of a part; what a PLC or a person wrote does not get into it."""
    session = re.sub(r"[^A-Za-z0-9_-]", "_", part.session)[:40]
    return f"evidence-{part.part_id}-{session}-{part.acquisition_id}.zip"


def _labels(source: Source, part: PartRow) -> dict[str, object]:
    """What holds, everything that was ever said, and whether it is in the quarantine."""
    holds = [asdict(one) for one in read_labels(source.labels, part)]
    kept = [asdict(one) for one in quarantined(source.labels, part)]
    connection = labels_reader(source.labels)
    if connection is None:
        return {"holds": holds, "said": [], "quarantine": kept}
    with closing(connection):
        return {"holds": holds, "said": [asdict(one) for one in said_of(connection, part)], "quarantine": kept}


def _add_images(files: dict[str, bytes], missing: list[str], source: Source, part: PartRow) -> None:
    seen = source.eyes.look(part)
    files["overview.png"] = bytes(part_picture.draw(seen, source.calendar).png())
    for view in seen.views:
        if view.why_no_image:
            missing.append(f"image of camera {view.row.camera}: {view.why_no_image}")
        camera = re.sub(r"[^A-Za-z0-9_-]", "_", view.row.camera)[:40]
        for path, name in (
            (view.row.image_path, f"images/{camera}.png"),
            (view.row.map_path, f"images/{camera}.map.png"),
        ):
            if path is None:
                continue
            try:
                files[name] = source.eyes.bytes_of(path)
            except OSError as problem:
                missing.append(f"{name}: {problem.strerror or problem}")


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
