"""A user of this computer that a service of the station runs as: what is wrong with any of them."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from station.commissioning.plant_check import Finding
from station.configuration.model import AccessSection

_DO = "see docs/integrator.md, Who may do what"


def service_user(title: str, name: str, unit: Path, without: str) -> pwd.struct_passwd | Finding:
    """The user, or that there is none: wrong where the unit is installed, which needs him.

    `title`: of the finding; `without`: as whom the service runs then.
    """
    try:
        return pwd.getpwnam(name)
    except KeyError:
        if unit.exists():
            make = f"sudo useradd --system --user-group {name}; sudo usermod -aG GROUP_OF_THE_STATION {name}"
            return Finding(title, False, f'{unit.name} is installed and there is no user "{name}": {make}; {_DO}')
        return Finding(title, True, f'there is no user "{name}": {without}')


def rights_of_people(user: pwd.struct_passwd, access: AccessSection) -> list[str]:
    """Groups that make him a person who operates or maintains."""
    groups = {name_of_group(number) for number in groups_of(user)}
    return [
        f'is a member of "{group}" and may what its members may: sudo gpasswd -d {user.pw_name} {group}'
        for group in sorted(groups & {*access.operate, *access.maintain})
    ]


def owns_the_station(user: pwd.struct_passwd, work_dir: Path) -> str:
    """Empty: he does not."""
    if work_dir.stat().st_uid != user.pw_uid:
        return ""
    return f"owns {work_dir}, so that he may write everything of the line: the station needs another user"


def cannot_read_the_station(user: pwd.struct_passwd, work_dir: Path) -> str:
    """Empty: he is a member of its group."""
    group = work_dir.stat().st_gid
    if group in groups_of(user):
        return ""
    return f"cannot read what the station writes: sudo usermod -aG {name_of_group(group)} {user.pw_name}"


def station_outside(user: pwd.struct_passwd, work_dir: Path) -> str:
    """The user of the station, who is no member of the group of this one; empty: he is, or is root."""
    found = work_dir.stat()
    if not found.st_uid:
        return ""
    station = name_of_user(found.st_uid)
    return "" if user.pw_gid in os.getgrouplist(station, found.st_gid) else station


def groups_of(user: pwd.struct_passwd) -> set[int]:
    """Their numbers."""
    return set(os.getgrouplist(user.pw_name, user.pw_gid))


def name_of_group(gid: int) -> str:
    """Or its number, where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"gid {gid}"


def name_of_user(uid: int) -> str:
    """Or his number, where he has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
