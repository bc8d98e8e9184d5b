"""Whether the user of the pages is there, and may what he needs and no more: part of `station check`."""

from __future__ import annotations

import pwd
from pathlib import Path

from station.access.shared_folder import FOLDER
from station.commissioning.plant_check import Finding
from station.commissioning.service_users import (
    cannot_read_the_station,
    name_of_group,
    owns_the_station,
    rights_of_people,
    service_user,
    station_outside,
)
from station.configuration.load import LoadedConfiguration

UNIT = Path("/etc/systemd/system/station-hmi.service")
NAME = "pages' user"


def pages_finding(configuration: LoadedConfiguration, unit: Path = UNIT) -> Finding:
    """`unit`: where it is installed the user has to be there; without it somebody runs the pages by hand, or nobody."""
    name = configuration.settings.access.pages_user
    if not name:
        return Finding(NAME, True, "none ([access] pages_user is empty): the pages run as the station's own user")
    pages = service_user(NAME, name, unit, "the pages run as whoever starts them")
    if isinstance(pages, Finding):
        return pages
    wrong = _wrong(configuration, pages)
    return Finding(
        NAME, not wrong, f'"{name}": {"; ".join(wrong) or "reads records, writes accounts and labels alone"}'
    )


def _wrong(configuration: LoadedConfiguration, pages: pwd.struct_passwd) -> list[str]:
    work_dir = configuration.work_dir
    found = rights_of_people(pages, configuration.settings.access)
    if not work_dir.exists():
        return found
    if owns := owns_the_station(pages, work_dir):
        return [*found, owns]
    if cannot := cannot_read_the_station(pages, work_dir):
        found.append(cannot)
    shared, own_group = work_dir / FOLDER, name_of_group(pages.pw_gid)
    if not shared.is_dir():
        make = f"sudo install -d -m 2771 -o {pages.pw_name} -g {own_group} {shared}"
        found.append(f"cannot write labels: {make}, and move labels.db and msa.db into it")
    elif owner := station_outside(pages, work_dir):
        found.append(f"the station cannot read its labels: sudo usermod -aG {own_group} {owner}")
    return found
