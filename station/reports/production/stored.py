"""A report as a file that can be shown again: its figures as data, drawn anew each time. And which reports there are.

A report is several files of one stem in the folder `reports` of the work folder: `STEM.json` has the figures, the
others are for people (`.html`, `.pdf`) and programs (`.csv`, `.parquet`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from station.reports.production.figures import Report
from station.terminal import one_line

FOLDER = "reports"
DATA = ".json"
MAX_BYTES = 32 * 1024 * 1024
_LONGEST_STEM = 100
_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)


class StoredReportError(Exception):
    """A stored report cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One report that is stored."""

    stem: str
    """Of its files."""
    ends: tuple[str, ...]
    """Of their names, in order: `.csv`, `.html`, ..."""
    written_at: float
    """The newest of them."""


def as_json(report: Report) -> bytes:
    """The whole report as data."""
    return _ADAPTER.dump_json(report, indent=1)


def read_report(file: Path) -> Report:
    """The report of a file that `as_json` made. Raises StoredReportError."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise StoredReportError(f'report "{file.name}" is larger than {MAX_BYTES >> 20} MiB')
        return _ADAPTER.validate_json(file.read_bytes())
    except OSError as problem:
        raise StoredReportError(f'report "{file.name}" cannot be read: {problem.strerror}') from problem
    except ValidationError as problem:
        raise StoredReportError(f'report "{file.name}" is damaged or of another version; make it again') from problem


def stem_of(name: str) -> str:
    """The name of a report's files, without their end: letters and digits of its name, never the same for two names."""
    line = one_line(name)
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter == "-") else "_" for letter in line)
    if len(plain) <= _LONGEST_STEM and plain.replace("_", " ") == line.replace("_", " ").replace(":", " "):
        return plain
    return f"{plain[:_LONGEST_STEM]}-{hashlib.sha256(line.encode()).hexdigest()[:8]}"


def stored(folder: Path, ends: Sequence[str]) -> list[Entry]:
    """The reports of a folder, newest first. Raises StoredReportError: it cannot be read."""
    found: dict[str, list[tuple[str, float]]] = {}
    try:
        for file in folder.iterdir():
            if file.suffix in ends and file.is_file() and not file.is_symlink():
                found.setdefault(file.stem, []).append((file.suffix, file.stat().st_mtime))
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise StoredReportError(f'the reports in "{folder}" cannot be read: {problem.strerror}') from problem
    entries = [
        Entry(stem, tuple(sorted(end for end, _ in files)), max(at for _, at in files))
        for stem, files in found.items()
    ]  # fmt: skip
    return sorted(entries, key=lambda entry: (-entry.written_at, entry.stem))
