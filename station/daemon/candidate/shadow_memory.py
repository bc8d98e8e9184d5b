"""Which engine is in the shadow, over restarts: one small file in the work folder, replaced whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from engines.store.versions import number_of
from station.records.engines.shadows import Purpose, ShadowRun, last_run_of
from station.records.images import write_atomic
from station.records.schema import RecordingError, open_reader

log = structlog.get_logger()

FILE = "shadow.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What is wanted in the shadow, until somebody switches it off."""

    store: str
    """Folder of the engine store: it runs only where that is the active one."""
    version: str
    purpose: Purpose
    by: str


def read(file: Path) -> Shadowed | None:
    """None: nothing is wanted. A file that cannot be used is none, which the log says."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        wanted = Shadowed(**{name: str(value) for name, value in found.items()})  # type: ignore[arg-type]
        if number_of(wanted.version) is None or wanted.purpose not in ("shadow", "probation"):
            raise ValueError(f"version {wanted.version!r}, purpose {wanted.purpose!r}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        log.warning("no engine in the shadow: what was wanted cannot be read", file=str(file), problem=str(problem))
        return None
    return wanted


def write(file: Path, wanted: Shadowed | None) -> None:
    """None: nothing is wanted any more. Raises OSError."""
    if wanted is None:
        file.unlink(missing_ok=True)
    else:
        write_atomic(file, json.dumps({"format": FORMAT, **asdict(wanted)}).encode())


def run_to_go_on(records: Path, wanted: ShadowRun) -> ShadowRun | None:
    """The last run of this engine where it had not ended and was the same in everything; None: another one begins."""
    try:
        with closing(open_reader(records)) as connection:
            last = last_run_of(connection, wanted.engine_id)
    except (RecordingError, sqlite3.Error) as problem:
        log.warning("earlier runs of the shadow are not known", problem=str(problem))
        return None
    if last is None or last.end_wall_time is not None:
        return None
    same = ("purpose", "version", "engine_id", "active_engine_id", "recipe", "configuration")
    return last if all(getattr(last, name) == getattr(wanted, name) for name in same) else None
