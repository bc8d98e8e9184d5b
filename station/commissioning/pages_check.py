"""Whether the user of the pages is there, and may what he needs and no more: part of `station check`."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from station.access.shared_folder import FOLDER
from station.commissioning.plant_check import Finding
from station.configuration.load import LoadedConfiguration

UNIT = Path("/etc/systemd/system/station-hmi.service")
NAME = "pages' user"
_DO = "see docs/integrator.md, Who may do what"


def pages_finding(configuration: LoadedConfiguration, unit: Path = UNIT) -> Finding:
    """`unit`: where it is installed the user has to be there; without it somebody runs the pages by hand, or nobody."""
    name = configuration.settings.access.pages_user
    if not name:
        return Finding(NAME, True, "none ([access] pages_user is empty): the pages run as the station's own user")
    try:
        pages = pwd.getpwnam(name)
    except KeyError:
        make = f"sudo useradd --system --user-group {name}; sudo usermod -aG GROUP_OF_THE_STATION {name}"
        if unit.exists():
            return Finding(NAME, False, f'{unit.name} is installed and there is no user "{name}": {make}; {_DO}')
        return Finding(NAME, True, f'there is no user "{name}": the pages run as whoever starts them')
    wrong = _wrong(configuration, pages)
    return Finding(
        NAME, not wrong, f'"{name}": {"; ".join(wrong) or "reads records, writes accounts and labels alone"}'
    )


def _wrong(configuration: LoadedConfiguration, pages: pwd.struct_passwd) -> list[str]:
    access, work_dir = configuration.settings.access, configuration.work_dir
    groups = {name_of_group(number) for number in os.getgrouplist(pages.pw_name, pages.pw_gid)}
    found = [
        f'is a member of "{group}" and may what its members may: sudo gpasswd -d {pages.pw_name} {group}'
        for group in sorted(groups & {*access.operate, *access.maintain})
    ]
    if not work_dir.exists():
        return found
    of_station = work_dir.stat()
    if of_station.st_uid == pages.pw_uid:
        return [*found, f"owns {work_dir}, so that he may write everything of the line: the station needs another user"]
    group, owner = name_of_group(of_station.st_gid), name_of_user(of_station.st_uid)
    if group not in groups:
        found.append(f"cannot read what the station writes: sudo usermod -aG {group} {pages.pw_name}")
    shared, own_group = work_dir / FOLDER, name_of_group(pages.pw_gid)
    if not shared.is_dir():
        make = f"sudo install -d -m 2771 -o {pages.pw_name} -g {own_group} {shared}"
        found.append(f"cannot write labels: {make}, and move labels.db and msa.db into it")
    elif of_station.st_uid and pages.pw_gid not in os.getgrouplist(owner, of_station.st_gid):
        found.append(f"the station cannot read its labels: sudo usermod -aG {own_group} {owner}")
    return found


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
