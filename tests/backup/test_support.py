"""A support bundle holds what helps, no secret, no image unless asked, and text of others as text."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from engines.store.store import EngineStore
from station.backup.making import BackupError
from station.backup.support import make_bundle, subject_of, without_secrets
from station.commands.main import main
from station.configuration.load import load
from station.line.recording.stage import Recorder, RecorderSettings
from tests.bench.engines.small_engine import write_small_engine

pytestmark = pytest.mark.system  # journalctl is a process

CONFIG = """
[station]
name = "press 4"
work_dir = "work"
[cameras.top]
producer = "simtl"
trigger = "plc"
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """station.toml of a station that does not run, with a recipe and an event that holds an escape sequence."""
    (tmp_path / "station.toml").write_text(CONFIG)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "flange.toml").write_text('number = 1\ndescription = "\\u001b[2J [/x]"\n')
    recorder = Recorder(RecorderSettings(tmp_path / "work" / "records"), "session")
    recorder.start()
    recorder.event("hello", "info", "\x1b[2J [/x]")
    recorder.stop(10)
    return tmp_path / "station.toml"


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def test_a_bundle_of_a_station_that_does_not_run_holds_what_there_is_and_names_the_rest(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bundle.tar.gz"
    assert main(["support-bundle", str(file), "--config", str(station), "--unit", "no-such-unit"]) == 0
    found = contents(file)
    expected = {"versions.json", "configuration/station.toml", "configuration/recipes/flange.toml", "bundle.json"}
    assert expected <= found.keys()
    assert json.loads(found["versions.json"])["packages"]["pymodbus"]
    assert json.loads(found["records/events.jsonl"].splitlines()[0])["kind"] == "hello"
    missing = json.loads(found["bundle.json"])["missing"]
    assert "no station listens" in missing["status.json"]
    assert "status.json" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0, "it is for its owner"
    assert not [name for name in found if name.startswith("records/images")]


def test_what_others_wrote_is_text(station: Path, tmp_path: Path) -> None:
    make_bundle(subject_of(station), tmp_path / "bundle.tar.gz", hours=1, images=False, unit="no-such-unit")
    for name, content in contents(tmp_path / "bundle.tar.gz").items():
        assert b"\x1b" not in content, name
    assert b"[/x]" in contents(tmp_path / "bundle.tar.gz")["records/events.jsonl"]


def test_only_the_hours_asked_for_are_in_it(station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later_s = time.time() + 7200
    monkeypatch.setattr("time.time", lambda: later_s)
    make_bundle(subject_of(station), tmp_path / "one.tar.gz", hours=1, images=False, unit="x")
    make_bundle(subject_of(station), tmp_path / "three.tar.gz", hours=3, images=False, unit="x")
    assert contents(tmp_path / "one.tar.gz")["records/events.jsonl"] == b""
    assert b"hello" in contents(tmp_path / "three.tar.gz")["records/events.jsonl"]


def test_images_are_in_it_only_when_asked_for_and_none_from_outside(station: Path, tmp_path: Path) -> None:
    records = tmp_path / "work" / "records"
    (records / "images").mkdir(exist_ok=True)
    (records / "images" / "1.png").write_bytes(b"pixels")
    (tmp_path / "work" / "private").write_text("private")
    with closing(sqlite3.connect(records / "records.db")) as database:
        session = database.execute("SELECT session FROM sessions").fetchone()[0]
        database.execute(
            "INSERT INTO parts VALUES (1, ?, 1, 1, 'plc', 0, ?, 1, 'FAIL', '[]', 1, 1, 1, '', '', '', '', "
            "NULL, 0, NULL, 0, '{}')",
            [session, time.time()],
        )
        for camera, path in (("top", "images/1.png"), ("side", "../private")):
            database.execute(
                "INSERT INTO views (part, camera, frame_id, verdict, reasons, regions, image_path) "
                "VALUES (1, ?, 1, 'FAIL', '[]', '[]', ?)",
                [camera, path],
            )
        database.commit()
    make_bundle(subject_of(station), tmp_path / "without.tar.gz", hours=1, images=False, unit="x")
    bundle = make_bundle(subject_of(station), tmp_path / "with.tar.gz", hours=1, images=True, unit="x")
    assert "records/images/1.png" not in contents(tmp_path / "without.tar.gz")
    assert len(contents(tmp_path / "without.tar.gz")["records/views.jsonl"].splitlines()) == 2
    assert contents(tmp_path / "with.tar.gz")["records/images/1.png"] == b"pixels"
    assert "outside" in bundle.missing["records/../private"]


def test_secrets_are_removed_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        """
# old_password = "s3cret-0"
name = "kept"
Api_Key = "s3cret-1" # s3cret-1 again
"broker password" = 's3cret-x'
url = "mqtt://user:s3cret-2@broker/path"
pass_image_share = 0.02
inline = { access_token = "s3cret-3", port = 5 }
[opcua]
private_key = \"\"\"
s3cret-4
s3cret-5
\"\"\"
secrets = ["s3cret-6",
  "s3cret-7"]
[credentials]
user = "s3cret-8"
"""
    )
    text = without_secrets(path)
    assert "s3cret" not in text
    for kept in ('name = "kept"', "broker/path", "pass_image_share = 0.02", "[opcua]"):
        assert kept in text


def test_a_file_that_is_no_toml_is_left_out_and_named(station: Path, tmp_path: Path) -> None:
    loaded = load(station)
    (station.parent / "recipes" / "flange.toml").write_text('password = "half edited\n')
    bundle = make_bundle(subject_of(loaded.path), tmp_path / "bundle.tar.gz", hours=1, images=False, unit="x")
    assert "not valid TOML" in bundle.missing["configuration/recipes/flange.toml"]


def test_a_bundle_replaces_nothing_and_leaves_nothing_half_done(station: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(BackupError, match="is there already"):
        make_bundle(subject_of(station), there, hours=1, images=False, unit="x")
    with pytest.raises(BackupError, match="No such file"):
        make_bundle(subject_of(station), tmp_path / "nowhere" / "b.tar.gz", hours=1, images=False, unit="x")
    assert there.read_text() == "mine"


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "169", "x"])
def test_hours_that_cannot_be(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["support-bundle", "--hours", hours])
    assert "at most 168" in capsys.readouterr().err or hours == "x"


def test_a_mistake_in_the_configuration_is_no_reason_to_have_no_bundle(station: Path, tmp_path: Path) -> None:
    """It may be why one is made."""
    station.write_text(CONFIG + "[decison]\nlimit = 1\n")
    bundle = make_bundle(subject_of(station), tmp_path / "bundle.tar.gz", hours=1, images=False, unit="x")
    assert "decison" in bundle.missing["configuration"]
    found = contents(tmp_path / "bundle.tar.gz")
    assert b"decison" in found["configuration/station.toml"]
    assert b"hello" in found["records/events.jsonl"]


def test_the_history_of_every_product_is_in_it(station: Path, tmp_path: Path) -> None:
    """It was looked for beside the products, where there is none."""
    station.write_text(CONFIG + '[engine]\nstore = "engines"\n')
    engine = write_small_engine(tmp_path / "engine", width=64, height=64)
    for product in ("flange", "disc"):
        EngineStore(tmp_path / "engines" / product).add(engine, why=f"first {product}")
    make_bundle(subject_of(station), tmp_path / "bundle.tar.gz", hours=1, images=False, unit="x")
    found = contents(tmp_path / "bundle.tar.gz")
    for product in ("flange", "disc"):
        assert f"first {product}".encode() in found[f"engines/{product}/history.jsonl"]
