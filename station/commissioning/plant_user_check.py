"""Whether the user of the plant process is there, and may what he needs and no more: part of `station check`."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from station.commissioning.plant_check import Finding
from station.commissioning.service_users import (
    cannot_read_the_station,
    groups_of,
    name_of_group,
    owns_the_station,
    rights_of_people,
    service_user,
    station_outside,
)
from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import forwarding_beside
from station.labels.schema import labels_beside

UNIT = Path("/etc/systemd/system/station-plant.service")
NAME = "plant's user"
SECTIONS = ("webhook", "sparkplug", "postgres", "images")
"""Those that name files: secrets, certificates."""
_READ, _WRITE, _PASS = 4, 2, 1


def plant_user_finding(configuration: LoadedConfiguration, unit: Path = UNIT) -> Finding | None:
    """`unit`: where it is installed the user has to be there. None: nothing is sent to the plant."""
    if not configuration.settings.sends_to_plant:
        return None
    name = configuration.settings.access.plant_user
    if not name:
        return Finding(NAME, True, "none ([access] plant_user is empty): it runs as the station's own user")
    plant = service_user(NAME, name, unit, "it runs as whoever starts it")
    if isinstance(plant, Finding):
        return plant
    try:
        wrong = list(_wrong(configuration, plant))
    except PermissionError as problem:
        return Finding(NAME, False, f'"{name}": not looked at ({problem}): check as station, or as root')
    return Finding(NAME, not wrong, f'"{name}": {"; ".join(wrong) or "reads records and secrets, writes its folder"}')


def _wrong(configuration: LoadedConfiguration, plant: pwd.struct_passwd) -> Iterator[str]:
    work_dir, numbers = configuration.work_dir, groups_of(plant)
    yield from rights_of_people(plant, configuration.settings.access)
    own_group = name_of_group(plant.pw_gid)
    for file in files_of(configuration):
        if not _may(plant, numbers, file, _READ):
            yield f'cannot read "{file}": sudo chgrp {own_group} "{file}"; sudo chmod 640 "{file}"'
    if not work_dir.exists():
        return
    if owns := owns_the_station(plant, work_dir):
        yield owns
        return
    if cannot := cannot_read_the_station(plant, work_dir):
        yield cannot
    if station := station_outside(plant, work_dir):
        yield f"commands of {station} cannot write its cursors: sudo usermod -aG {own_group} {station}"
    yield from _folder(forwarding_beside(configuration.records_dir).parent, plant, numbers, own_group)
    labels, rows = labels_beside(configuration.records_dir), configuration.settings.postgres
    if rows.host is not None and rows.labels and labels.exists() and not _may(plant, numbers, labels, _READ):
        yield f'cannot read labels: sudo chmod o+x "{labels.parent}"; sudo chmod o+r "{labels}"'
    folder = configuration.settings.images.folder
    shared = None if folder is None else configuration.resolve(folder)
    if shared is not None and shared.is_dir() and not _may(plant, numbers, shared, _WRITE | _PASS):
        yield f'cannot write images into "{shared}": let {plant.pw_name} write there'


def _folder(folder: Path, plant: pwd.struct_passwd, numbers: set[int], own_group: str) -> Iterator[str]:
    """Its own: made by systemd with the first start, or left by an older installation."""
    if not folder.exists():
        return
    its_own = f'sudo chown -R -h {plant.pw_name}:{own_group} "{folder}"; sudo chmod 2771 "{folder}"'
    foreign = [file for file in _files(folder) if not _may(plant, numbers, file, _READ | _needed(file))]
    if folder.stat().st_uid != plant.pw_uid:
        yield f'does not own "{folder}": stop station-plant, then {its_own}'
    elif foreign:
        yield f"cannot use {', '.join(f'{file}' for file in foreign[:3])}: stop station-plant, then {its_own}"


def _files(folder: Path) -> list[Path]:
    """Those that the process uses, and the key of its certificate."""
    there = [*folder.glob("*"), *folder.glob("opcua/own/*")]
    return sorted(file for file in there if file.is_file() and not file.is_symlink())


def _needed(file: Path) -> int:
    return _WRITE if file.name.startswith("plant.db") else 0


def files_of(configuration: LoadedConfiguration) -> list[Path]:
    """Secrets and certificates that the configuration names for the plant process, where they are there."""
    found = []
    for section in SECTIONS:
        for key, value in getattr(configuration.settings, section):
            if key.endswith("_file") and isinstance(value, Path) and (file := configuration.resolve(value)).exists():
                found.append(file)
    return found


def _may(user: pwd.struct_passwd, groups: Collection[int], path: Path, bits: int) -> bool:
    """Whether modes and owners let this user do that with the path, and pass through the folders above it."""
    steps = [(folder, _PASS) for folder in path.absolute().parents] + [(path, bits)]
    return all(_lets(user, groups, step.stat(), needed) for step, needed in steps)


def _lets(user: pwd.struct_passwd, groups: Collection[int], found: os.stat_result, bits: int) -> bool:
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == user.pw_uid:
        return mode >> 6 & bits == bits
    if found.st_gid in groups:
        return mode >> 3 & bits == bits
    return mode & bits == bits
