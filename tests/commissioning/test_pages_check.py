"""What `station check` says of the user of the pages: missing, or with more or less than he needs."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from station.commissioning import service_users
from station.commissioning.pages_check import pages_finding
from station.configuration.load import LoadedConfiguration, load_station

STATION = '[cameras.top]\nproducer = "simtl"\n'


def configured(folder: Path, access: str = "") -> LoadedConfiguration:
    path = folder / "station.toml"
    path.write_text(f"{STATION}[station]\nwork_dir = 'work'\n[access]\n{access}\n")
    return load_station(path)


def user(name: str, uid: int, gid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/false"))


def test_a_unit_without_its_user_is_wrong_and_a_notebook_has_none(tmp_path: Path) -> None:
    station = configured(tmp_path, 'pages_user = "nobody-has-this-name"')
    assert pages_finding(station, tmp_path / "no unit").ok
    (tmp_path / "station-hmi.service").touch()
    found = pages_finding(station, tmp_path / "station-hmi.service")
    assert not found.ok
    assert 'there is no user "nobody-has-this-name": sudo useradd --system' in found.detail
    assert pages_finding(configured(tmp_path, 'pages_user = ""'), tmp_path / "station-hmi.service").ok


def test_each_group_and_folder_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid, gid = 61_200, os.getegid()
    group = grp.getgrgid(gid).gr_name
    station = configured(tmp_path)
    (tmp_path / "work").mkdir()
    groups = {"station-hmi": [61_200], "of the station": [gid]}
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: user("station-hmi", uid, uid))
    monkeypatch.setattr(service_users, "name_of_user", lambda _uid: "of the station")
    monkeypatch.setattr(os, "getgrouplist", lambda name, _gid: groups[name])
    found = pages_finding(station)
    assert not found.ok
    assert f"cannot read what the station writes: sudo usermod -aG {group} station-hmi" in found.detail
    assert "cannot write labels: sudo install -d -m 2771 -o station-hmi" in found.detail
    (tmp_path / "work" / "labels").mkdir()
    groups["station-hmi"].append(gid)
    groups["of the station"].append(uid)
    assert pages_finding(station).ok
    station = configured(tmp_path, f'maintain = ["{group}"]')
    assert f'is a member of "{group}" and may what its members may: sudo gpasswd -d' in pages_finding(station).detail
