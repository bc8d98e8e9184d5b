"""What a station has seen of its channel: the highest sequence for good, and how the last pull ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engines.bundle.files import sync_directory
from station.fleet.channel import ChannelError
from station.records.images import write_atomic

FOLDER = "fleet"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one product."""

    sequence: int = 0
    digest: str = ""
    """SHA-256 of that channel: two of one sequence are not both genuine."""
    engine_id: str = ""
    expires: str = ""
    pulled_at: float = 0.0
    """When a pull last ended well; seconds since the epoch, 0: never."""
    problem: str = ""
    """Why the last one did not."""


def file_of(work_dir: Path, product: str) -> Path:
    """In which it is kept."""
    return work_dir / FOLDER / f"{product}.json"


def read_seen(file: Path) -> Seen:
    """Nothing was seen where there is no file. Raises ChannelError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return replace(Seen(**found), sequence=int(found["sequence"]))
    except FileNotFoundError:
        return Seen()
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise ChannelError(
            f'"{file}", which keeps the highest sequence, cannot be read: {problem}. Restore it from a backup; without '
            "it an older channel would be taken: remove it only where you know which one is the newest"
        ) from problem


def write_seen(file: Path, seen: Seen) -> None:
    """Survives a power cut. Raises ChannelError."""
    try:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_atomic(file, json.dumps(asdict(seen), indent=2).encode())
        sync_directory(file.parent)
    except OSError as problem:
        raise ChannelError(f'"{file}" cannot be written: {problem.strerror or problem}') from problem
