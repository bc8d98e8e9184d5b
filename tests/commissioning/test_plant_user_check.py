"""What `station check` says of the user of the plant process: missing, or with more or less than he needs."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from station.commissioning import service_users
from station.commissioning.plant_check import Finding
from station.commissioning.plant_user_check import plant_user_finding
from station.configuration.load import LoadedConfiguration, load_station
from station.forwarding.progress import forwarding_beside
from tests.bench.other_user import OF_STATION, PLANT, needs_root, open_folder

SENDS = '[cameras.top]\nproducer = "simtl"\n[station]\nwork_dir = "work"\n'
WEBHOOK = '[webhook]\nurl = "https://mes.example/x"\nsecret_file = "webhook.secret"\n'


def configured(folder: Path, access: str = "", more: str = WEBHOOK) -> LoadedConfiguration:
    path = folder / "station.toml"
    path.write_text(f"{SENDS}[access]\n{access}\n{more}")
    return load_station(path)


def test_who_sends_nothing_needs_no_user(tmp_path: Path) -> None:
    assert plant_user_finding(configured(tmp_path, more="")) is None


def test_a_unit_without_its_user_is_wrong_and_a_notebook_has_none(tmp_path: Path) -> None:
    station = configured(tmp_path, 'plant_user = "nobody-has-this-name"')
    found = plant_user_finding(station, tmp_path / "no unit")
    assert found is not None
    assert found.ok
    (tmp_path / "station-plant.service").touch()
    found = plant_user_finding(station, tmp_path / "station-plant.service")
    assert found is not None
    assert not found.ok
    assert 'there is no user "nobody-has-this-name": sudo useradd --system' in found.detail
    found = plant_user_finding(configured(tmp_path, 'plant_user = ""'), tmp_path / "station-plant.service")
    assert found is not None
    assert found.ok


@pytest.mark.system
@needs_root
def test_each_right_that_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as folder:
        more = '[postgres]\nhost = "127.0.0.1"\nuser = "st04"\nencryption = "none"\n[images]\nfolder = "share"\n'
        station = configured(folder, more=WEBHOOK + more)
        secret, work, share, labels = (folder / name for name in ("webhook.secret", "work", "share", "work/labels"))
        for place in (work, share, labels, forwarding_beside(station.records_dir).parent):
            place.mkdir(mode=0o750)
        for file in (secret, labels / "labels.db", forwarding_beside(station.records_dir)):
            file.touch(0o640)
        groups = {"station-plant": [PLANT], "root": [0]}
        monkeypatch.setattr(
            pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", PLANT, PLANT, "", "/", "/bin/false"))
        )
        monkeypatch.setattr(os, "getgrouplist", lambda name, _gid: groups[name])
        os.chown(work, 61_005, OF_STATION)
        monkeypatch.setattr(service_users, "name_of_user", lambda _uid: "root")

        def found() -> Finding:
            looked = plant_user_finding(station, folder / "no unit")
            assert looked is not None
            return looked

        mine = forwarding_beside(station.records_dir).parent
        said = found()
        assert not said.ok
        for sentence in (
            f'cannot read "{secret}": sudo chgrp gid {PLANT} "{secret}"; sudo chmod 640 "{secret}"',
            f"cannot read what the station writes: sudo usermod -aG gid {OF_STATION} station-plant",
            f"commands of root cannot write its cursors: sudo usermod -aG gid {PLANT} root",
            f'does not own "{mine}": stop station-plant, then sudo chown -R -h station-plant:gid {PLANT} "{mine}"',
            f'cannot read labels: sudo chmod o+x "{labels}"; sudo chmod o+r "{labels / "labels.db"}"',
            f'cannot write images into "{share}": let station-plant write there',
        ):
            assert sentence in said.detail
        os.chown(mine, PLANT, PLANT)
        groups |= {"station-plant": [PLANT, OF_STATION], "root": [0, PLANT]}
        assert f"cannot use {mine / 'plant.db'}" in found().detail
        os.chown(mine / "plant.db", PLANT, PLANT)
        os.chown(secret, 0, PLANT)
        os.chown(share, PLANT, PLANT)
        labels.chmod(0o771)
        (labels / "labels.db").chmod(0o664)
        assert found().ok, found().detail
        (mine / "opcua" / "own").mkdir(parents=True)
        (mine / "opcua" / "own" / "station.key").touch(0o600)
        assert f"cannot use {mine / 'opcua/own/station.key'}" in found().detail, "made by whoever started it by hand"


def test_a_member_of_the_groups_of_people_is_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "webhook.secret").touch(0o640)
    me = pwd.getpwuid(os.geteuid())
    station = configured(tmp_path, f'plant_user = "{me.pw_name}"\nmaintain = ["service"]')
    monkeypatch.setattr(service_users, "name_of_group", lambda _gid: "service")
    found = plant_user_finding(station, tmp_path / "no unit")
    assert found is not None
    assert (
        f'is a member of "service" and may what its members may: sudo gpasswd -d {me.pw_name} service' in found.detail
    )
