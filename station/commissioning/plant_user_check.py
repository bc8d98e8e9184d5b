"""Whether the user of the plant process is there, and may what he needs and no more: part of `station check`."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from station.commissioning.pages_check import name_of_group, name_of_user
from station.commissioning.plant_check import Finding
from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import forwarding_beside
from station.labels.schema import labels_beside

UNIT = Path("/etc/systemd/system/station-plant.service")
NAME = "plant's user"
SECTIONS = ("webhook", "sparkplug", "postgres", "images")
"""Those that name files: secrets, certificates."""
_READ, _WRITE, _PASS = 4, 2, 1
_DO = "see docs/integrator.md, Who may do what"


def plant_user_finding(configuration: LoadedConfiguration, unit: Path = UNIT) -> Finding | None:
    """`unit`: where it is installed the user has to be there. None: nothing is sent to the plant."""
    if not configuration.settings.sends_to_plant:
        return None
    name = configuration.settings.access.plant_user
    if not name:
        return Finding(NAME, True, "none ([access] plant_user is empty): it runs as the station's own user")
    try:
        plant = pwd.getpwnam(name)
    except KeyError:
        if unit.exists():
            make = f"sudo useradd --system --user-group {name}; sudo usermod -aG GROUP_OF_THE_STATION {name}"
            return Finding(NAME, False, f'{unit.name} is installed and there is no user "{name}": {make}; {_DO}')
        return Finding(NAME, True, f'there is no user "{name}": it runs as whoever starts it')
    try:
        wrong = list(_wrong(configuration, plant))
    except PermissionError as problem:
        return Finding(NAME, False, f'"{name}": not looked at ({problem}): check as station, or as root')
    return Finding(NAME, not wrong, f'"{name}": {"; ".join(wrong) or "reads records and secrets, writes its folder"}')


def _wrong(configuration: LoadedConfiguration, plant: pwd.struct_passwd) -> Iterator[str]:
    access, work_dir, name = configuration.settings.access, configuration.work_dir, plant.pw_name
    numbers = set(os.getgrouplist(name, plant.pw_gid))
    groups = {name_of_group(number) for number in numbers}
    for group in sorted(groups & {*access.operate, *access.maintain}):
        yield f'is a member of "{group}" and may what its members may: sudo gpasswd -d {name} {group}'
    own_group = name_of_group(plant.pw_gid)
    for file in files_of(configuration):
        if not _may(plant, numbers, file, _READ):
            yield f'cannot read "{file}": sudo chgrp {own_group} "{file}"; sudo chmod 640 "{file}"'
    if not work_dir.exists():
        return
    of_station = work_dir.stat()
    if of_station.st_uid == plant.pw_uid:
        yield f"owns {work_dir}, so that he may write everything of the line: the station needs another user"
        return
    if of_station.st_gid not in numbers:
        yield f"cannot read what the station writes: sudo usermod -aG {name_of_group(of_station.st_gid)} {name}"
    station = name_of_user(of_station.st_uid)
    if of_station.st_uid and plant.pw_gid not in os.getgrouplist(station, of_station.st_gid):
        yield f"commands of {station} cannot write its cursors: sudo usermod -aG {own_group} {station}"
    yield from _folder(forwarding_beside(configuration.records_dir).parent, plant, numbers, own_group)
    labels, rows = labels_beside(configuration.records_dir), configuration.settings.postgres
    if rows.host is not None and rows.labels and labels.exists() and not _may(plant, numbers, labels, _READ):
        yield f'cannot read labels: sudo chmod o+x "{labels.parent}"; sudo chmod o+r "{labels}"'
    folder = configuration.settings.images.folder
    shared = None if folder is None else configuration.resolve(folder)
    if shared is not None and shared.is_dir() and not _may(plant, numbers, shared, _WRITE | _PASS):
        yield f'cannot write images into "{shared}": let {name} write there'


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
