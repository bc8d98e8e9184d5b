"""Settings by number: every content of station.toml and of a recipe that was ever active, who made it and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.configuration.load import LoadedConfiguration
from station.hmi.site import Site
from station.records.audit import AuditRow, audit_rows
from station.records.configurations import KeptFile, kept_files

ENTRIES = 1000
"""Of the audit log, newest, in which reasons are looked up."""
DIGITS = 8
"""Of a checksum, in the audit log."""


@dataclass(frozen=True, slots=True)
class Version:
    """One content of a file."""

    number: int
    """1 is the oldest of its kind and name."""
    kind: str
    name: str
    checksum: str
    wall_time: float
    """When it was active for the first time."""
    content: str
    who: str
    """Empty: the audit log does not say."""
    why: str
    """The reason and what changed, as the audit log has it."""


def versions_of(site: Site, active: LoadedConfiguration) -> list[Version]:
    """Of station.toml and of the active recipe, newest first. Raises RecordingError."""
    with site.reading() as connection:
        files, entries = kept_files(connection), list(audit_rows(connection, ENTRIES))
    recipe = active.recipe
    names = {file.name for file in files if file.kind == "configuration"}
    found = [_numbered([f for f in files if f.kind == "configuration"], entries)] if names else []
    if recipe is not None:
        found.append(_numbered([f for f in files if f.kind == "recipe" and f.name == recipe.name], entries))
    return sorted((one for group in found for one in group), key=lambda one: -one.wall_time)


def version_of(site: Site, checksum: str) -> Version | None:
    """The settings with this checksum; None: there are none. Raises RecordingError."""
    with site.reading() as connection:
        (same,) = [kept_files(connection, checksum)] if checksum else [[]]
        if len(same) != 1 or same[0].checksum != checksum:
            return None
        files, entries = kept_files(connection), list(audit_rows(connection, ENTRIES))
    kind, name = same[0].kind, same[0].name
    group = [f for f in files if f.kind == kind and (kind == "configuration" or f.name == name)]
    return next(one for one in _numbered(group, entries) if one.checksum == checksum)


def _numbered(files: Sequence[KeptFile], entries: Sequence[AuditRow]) -> list[Version]:
    made = {entry.after: entry for entry in reversed(entries) if entry.result == "done" and entry.action in _MAKE}
    found = []
    for number, file in enumerate(files, start=1):
        entry = made.get(file.checksum[:DIGITS])
        who, why = ("", "") if entry is None else (entry.who, entry.detail)
        found.append(Version(number, file.kind, file.name, file.checksum, file.wall_time, file.content, who, why))
    return found


_MAKE = ("settings", "configuration")
"""Actions whose `after` is the begin of a checksum."""
