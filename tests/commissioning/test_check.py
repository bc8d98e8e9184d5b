"""`station check`: a mistyped path is told from a first start, and what does not fit is said before the line runs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from drivers.camera.images import write_png
from drivers.imagefiles.heights import encode_heights
from station.commands.main import main
from station.commissioning.check import check
from station.commissioning.plant_check import Finding
from station.configuration import load as config
from station.forwarding.progress import Cursor, Cursors, forwarding_beside
from station.line.recording.stage import Recorder, RecorderSettings
from station.northbound.process import alone
from station.records.schema import DATABASE_FILE, SCHEMA_VERSION
from station.results import Verdict
from tests.bench.cameras import numbered_image
from tests.bench.engines.asking import write_asking_engine
from tests.bench.engines.signing import make_keys
from tests.bench.receiver import receiving, write_secret
from tests.bench.sample_parts import PartMaker

CAMERA = '[cameras.top]\ndriver = "folder"\nfolder = "images"\ntrigger = "plc"\n[plc]\nrole = "off"\n'


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A station that lacks nothing but an engine: a camera that plays files, no PLC."""
    (tmp_path / "images").mkdir()
    write_png(tmp_path / "images" / "0.png", numbered_image(0))
    return tmp_path / "station.toml"


def findings(path: Path, text: str = "") -> dict[str, Finding]:
    path.write_text(CAMERA + text)
    return {finding.what: finding for finding in check(config.load(path))}


def test_a_first_start_is_in_order(station: Path) -> None:
    found = findings(station, '[engine]\nstore = "engines"\n')
    assert all(finding.ok for finding in found.values()), found
    assert "is not there yet; the station will wait for teaching" in found["engine"].detail


def test_a_3d_camera_says_what_its_values_mean_or_what_is_wrong_with_it(station: Path) -> None:
    depth = "[cameras.top.depth]\nrange_mm = 1.0\nslope_range_mm = 0.1\n"
    grey = findings(station, depth)["camera top"]
    assert not grey.ok
    assert "heights are grey images of 16 bit" in grey.detail
    (station.parent / "images" / "0.png").write_bytes(encode_heights(np.ones((48, 64), np.uint16), 0.01, 0.0, 0))
    found = findings(station, depth)["camera top"]
    assert found.ok
    assert "64 x 48 Coord3D_C16: a step is 0.01 mm" in found.detail
    pinned = findings(station, depth + "scale_mm = 0.02\n")["camera top"]
    assert not pinned.ok
    assert "scale_mm 0.01, the section `depth` of the camera says 0.02" in pinned.detail


def test_a_store_that_was_mistyped_is_not_a_first_start(station: Path) -> None:
    (station.parent / "engines" / "flange").mkdir(parents=True)
    found = findings(station, '[engine]\nstore = "engnies"\n')["engine"]
    assert not found.ok
    assert 'engnies is not there, did you mean "engines"?' in found.detail


def test_a_store_in_a_folder_that_is_not_there(station: Path) -> None:
    found = findings(station, '[engine]\nstore = "/srv/nowhere/engines"\n')["engine"]
    assert not found.ok
    assert "neither it nor /srv/nowhere is there" in found.detail


def test_a_work_folder_whose_socket_has_too_long_a_name(station: Path) -> None:
    found = findings(station)["control socket"]
    assert (found.ok, found.detail.endswith("control.sock")) == (True, True)
    found = findings(station, f'[station]\nwork_dir = "{"w" * 100}"\n')["control socket"]
    assert not found.ok
    assert "longer than 100 bytes; choose a shorter station.work_dir" in found.detail


def test_records_that_a_start_would_refuse_or_convert(station: Path) -> None:
    assert "the first start makes them" in findings(station)["records"].detail
    recorder = Recorder(RecorderSettings(station.parent / "work" / "records"), "session")
    recorder.start()
    recorder.stop(10)
    file = station.parent / "work" / "records" / DATABASE_FILE
    assert findings(station)["records"].ok
    for version, ok, said in ((2, True, "make a backup first"), (SCHEMA_VERSION + 1, False, "use the newer station")):
        with closing(sqlite3.connect(file)) as database:
            database.execute(f"PRAGMA user_version = {version}")
        found = findings(station)["records"]
        assert (found.ok, said in found.detail) == (ok, True), found
    file.write_bytes(b"scribbled" * 1000)
    assert not findings(station)["records"].ok


def test_a_folder_for_open_parts_that_cannot_be_made(station: Path) -> None:
    (station.parent / "run").write_text("a file is in the way")
    found = findings(station, '[station]\nruntime_dir = "run"\n')["open parts"]
    assert not found.ok
    assert "check [station] runtime_dir" in found.detail


def test_the_keys_that_are_trusted(station: Path) -> None:
    text = '[engine]\nstore = "engines"\nrequire_signature = "import"\ntrusted_keys = "trusted_keys"\n'
    assert "trusted keys" not in findings(station, '[engine]\nstore = "engines"\n')
    found = findings(station, text)["trusted keys"]
    assert not found.ok
    assert "holds no key: NAME.pub of minisign -G" in found.detail
    pytest.importorskip("cryptography")
    keys = make_keys(station.parent)
    found = findings(station, text)["trusted keys"]
    assert found.ok
    assert f'require_signature = "import": {keys.key_id} (line.pub)' in found.detail
    keys.public.write_text("")
    found = findings(station, text)["trusted keys"]
    assert not found.ok
    assert "line.pub" in found.detail


@pytest.mark.parametrize(
    ("product", "ok", "detail"), [("flnage", False, 'did you mean "flange"?'), ("nut", True, "there are: flange")]
)
def test_a_product_without_engines_names_the_others(station: Path, product: str, ok: bool, detail: str) -> None:
    (station.parent / "engines" / "flange").mkdir(parents=True)
    found = findings(station, f'[engine]\nstore = "engines"\n[recipe]\nname = "{product}"\n')["engine"]
    assert found.ok is ok
    assert detail in found.detail


def test_a_budget_that_the_disk_does_not_hold(station: Path) -> None:
    total_mb = shutil.disk_usage(station.parent).total // (1024 * 1024)
    found = findings(station, f"[records]\ndisk_budget_mb = {total_mb}\nmin_free_mb = 1\n")["disk"]
    assert not found.ok
    assert f"do not fit on this disk of {total_mb} MB" in found.detail


def test_what_was_found_as_json(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(station)
    assert main(["check", "--config", str(station), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert {item["what"]: item["ok"] for item in read} == {what: finding.ok for what, finding in found.items()}
    station.write_text(CAMERA + "[decision]\nreject = 1\n")
    assert main(["check", "--config", str(station), "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)
    assert problem["detail"].startswith("line 8: [decision] reject: unknown key")


ZONES = """[[decision.zones]]
name = "bore [/x]"
polygon = [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]]
ignore = true
[[decision.zones]]
name = "rim"
polygon = [[0.05, 0.05], [0.95, 0.05], [0.95, 0.95]]
fail_area_mm2 = 2.0
"""


def drawn(path: Path) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_zones_are_drawn_over_the_newest_image_or_a_board(station: Path, tmp_path: Path) -> None:
    station.write_text(CAMERA + ZONES)
    picture = tmp_path / "zones.svg"
    assert main(["check", "--config", str(station), "--picture", str(picture)]) == 0
    texts = drawn(picture)
    assert {"camera top", "bore [/x]", "rim", "zone bore [/x]: ignored", "zone rim: fail_area_mm2 2"} <= set(texts)
    assert any(text.startswith("no image of this camera is on record") for text in texts)
    recorder = Recorder(RecorderSettings(tmp_path / "work" / "records", min_free_mb=0), "s1")
    recorder.start()
    recorder.record(PartMaker().seen_by(1, {"top": Verdict.FAIL, "of another station": Verdict.FAIL}))
    assert recorder.stop(30.0)
    assert main(["check", "--config", str(station), "--picture", str(picture)]) == 0
    assert not any(text.startswith("no image of this camera is on record") for text in drawn(picture))


@pytest.mark.parametrize(
    ("file", "problem"),
    [("zones.bmp", "the name must end in .svg or .png"), ("nowhere/zones.png", "No such file or directory")],
)
def test_a_picture_that_cannot_be_written(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, problem: str
) -> None:
    station.write_text(CAMERA)
    assert main(["check", "--config", str(station), "--picture", str(tmp_path / file)]) == 2
    assert problem in capsys.readouterr().err


def test_an_engine_about_which_nobody_has_decided(station: Path) -> None:
    write_asking_engine(station.parent / "engine", width=64, height=48)
    found = findings(station, '[engine]\npath = "engine"\n')["engine"]
    assert not found.ok
    assert "not used before somebody has decided: 8 images that look alike" in found.detail
    assert findings(station, '[engine]\npath = "engine"\nvariants = "remove"\n')["engine"].ok


def test_the_way_to_the_plant_is_tried_and_nothing_is_sent(station: Path) -> None:
    webhook = '[engine]\nstore = "engines"\n[webhook]\nurl = "{url}"\nsecret_file = "webhook.secret"\n'
    with receiving() as receiver:
        text = webhook.format(url=receiver.url)
        assert "cannot be read" in findings(station, text)["webhook"].detail
        write_secret(station.parent)
        found = findings(station, text)["webhook"]
        assert (found.ok, "can be reached; nothing was sent yet" in found.detail) == (True, True), found
        file = forwarding_beside(config.load(station).records_dir)
        with closing(Cursors(file)) as cursors:
            cursors.place("webhook", Cursor(0))
            assert "the process does not run" in findings(station, text)["webhook"].detail
            with alone(file):
                assert findings(station, text)["webhook"].ok
                cursors.failing("webhook", 1.0, "replied 500")
                found = findings(station, text)["webhook"]
                assert (found.ok, "replied 500" in found.detail) == (False, True)
        assert receiver.requests == 0
    found = findings(station, text)["webhook"]
    assert (found.ok, "nothing on the line waits for it" in found.detail) == (False, True)
