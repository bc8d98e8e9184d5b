"""A backup of a running station is whole, comes back elsewhere, and nothing in a file decides where it goes."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engines.store.store import EngineStore
from station.backup.making import LIST, BackupError, make
from station.backup.restoring import restore
from station.commands.main import main
from station.configuration.load import load
from station.labels import schema as labels
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import parts
from station.records.schema import SCHEMA_VERSION, open_reader
from tests.bench.bench import Bench, bad, good
from tests.bench.engines.small_engine import write_small_engine

CONFIG = """
[station]
name = "press 4"
work_dir = "work"
[cameras.top]
producer = "simtl"
trigger = "plc"
[recipe]
active = "flange"
[engine]
store = "engines"
"""


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """station.toml of a station with a recipe, two engines of which the first is active, records, a class of labels."""
    home = tmp_path / "old"
    (home / "recipes").mkdir(parents=True)
    (home / "station.toml").write_text(CONFIG)
    (home / "recipes" / "flange.toml").write_text('number = 1\ndescription = "flange"\n')
    store = EngineStore(home / "engines" / "flange")
    for width in (32, 48):
        write_small_engine(tmp_path / f"engine{width}", width=width, height=32)
        store.add(tmp_path / f"engine{width}", why="test")
    store.activate(store.find("1"), why="the first")
    (home / "work").mkdir()
    recorder = Recorder(RecorderSettings(home / "work" / "records"), "session")
    recorder.start()
    recorder.event("hello", "info", "on record")
    recorder.stop(10)
    with closing(labels.open_writer(home / "work" / labels.LABELS_FILE)) as database:
        database.execute("INSERT INTO classes (name, severity, made_by, made_at) VALUES ('dent', 'major', 'bo', 1)")
        database.commit()
    return home / "station.toml"


@pytest.fixture
def archive(station: Path, tmp_path: Path) -> Path:
    make(load(station), tmp_path / "backup.tar.gz", images=False, on_progress=quiet)
    return tmp_path / "backup.tar.gz"


def test_everything_comes_back_at_another_place(station: Path, archive: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "station.toml"
    done = restore(archive, new, replace_old=False, on_progress=quiet)
    assert (done.listing.station, done.moved_aside) == ("press 4", ())
    there = load(new)
    assert there.checksum == load(station).checksum
    assert there.recipe is not None
    assert there.engine_path is not None
    assert there.engine_path.resolve().name.startswith("0001-")
    assert [version.number for version in EngineStore(new.parent / "engines" / "flange").versions()] == [1, 2]
    with closing(open_reader(there.records_dir)) as records:
        assert [row["detail"] for row in records.execute("SELECT detail FROM events WHERE kind = 'hello'")] == [
            "on record"
        ]
    with closing(sqlite3.connect(there.work_dir / labels.LABELS_FILE)) as database:
        assert database.execute("SELECT name FROM classes").fetchall() == [("dent",)]
    assert not [path for path in new.parent.iterdir() if path.name.startswith(".")]


def test_what_is_in_the_way_stays_or_is_moved_aside(station: Path, archive: Path) -> None:
    before = {path for path in station.parent.rglob("*") if path.is_file()}
    with pytest.raises(BackupError, match=r"already there: .*station.toml.*with --replace"):
        restore(archive, station, replace_old=False, on_progress=quiet)
    assert {path for path in station.parent.rglob("*") if path.is_file()} == before
    done = restore(archive, station, replace_old=True, on_progress=quiet)
    assert len(done.moved_aside) == 5
    assert all(path.exists() for path in done.moved_aside)
    load(station)


def test_a_backup_is_whole_or_not_there(station: Path, tmp_path: Path) -> None:
    (tmp_path / "there.tar.gz").write_bytes(b"older")
    with pytest.raises(BackupError, match="is there already"):
        make(load(station), tmp_path / "there.tar.gz", images=False, on_progress=quiet)
    with pytest.raises(BackupError, match="was not made"):
        make(load(station), tmp_path / "missing" / "x.tar.gz", images=False, on_progress=quiet)
    assert not list(tmp_path.glob(".backup-*"))


def test_a_place_that_cannot_be_made_is_said(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="not restored"):
        restore(archive, tmp_path / "file" / "station.toml", replace_old=False, on_progress=quiet)


# ---- files that are no backup of a station ---------------------------------------------------------------------------


Change = Callable[[str, bytes], tuple[str, bytes] | None]


def rewritten(archive: Path, change: Change, kind: bytes = tarfile.REGTYPE) -> Path:
    """A copy with each member as `change` gives it; None leaves it out."""
    copy = archive.with_name("changed.tar.gz")
    with tarfile.open(archive) as old, tarfile.open(copy, "w:gz") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            changed = change(member.name, stream.read())
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.type = kind if changed[0] != member.name else tarfile.REGTYPE
                info.size = len(changed[1])
                info.linkname = "/etc/passwd"
                new.addfile(info, io.BytesIO(changed[1]))
    return copy


def listed(**changes: object) -> Callable[[str, bytes], tuple[str, bytes]]:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        return (name, json.dumps({**json.loads(content), **changes}).encode()) if name == LIST else (name, content)

    return change


def renamed(to: str) -> Callable[[str, bytes], tuple[str, bytes]]:
    return lambda name, content: (to if name.endswith("flange.toml") else name, content)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda name, content: (name, content + b" ") if name.endswith("station.toml") else (name, content), "damaged"),
        (
            lambda name, content: None if name.endswith("records.db") else (name, content),
            "1 files are damaged or missing",
        ),
        (lambda name, content: None if name == LIST else (name, content), "no list of its files"),
        (listed(format=9), "format 9"),
        (listed(records_schema=SCHEMA_VERSION + 1), "restore it with that version"),
        (listed(files=5), "damaged|no list"),
        (listed(links={"engines/flange/active": "../../outside"}), "leads out of the engine store"),
        (listed(links={"configuration/station.toml": "x"}), "leads out of the engine store"),
        (renamed("../../escaped.toml"), "no name of a file"),
        (renamed("/etc/escaped.toml"), "no name of a file"),
        (renamed("configuration/recipes/.hidden"), "no name of a file"),
    ],
)
def test_a_file_that_is_no_backup_is_refused_and_nothing_is_left(
    change: Change, why: str, archive: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new" / "station.toml"
    with pytest.raises(BackupError, match=why):
        restore(rewritten(archive, change), new, replace_old=False, on_progress=quiet)
    assert list(new.parent.iterdir()) == []
    assert not list(tmp_path.rglob("escaped*"))


def test_links_and_cut_off_files_are_refused(archive: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "station.toml"
    with pytest.raises(BackupError, match="no plain file"):
        restore(
            rewritten(archive, renamed("configuration/link"), tarfile.SYMTYPE),
            new,
            replace_old=False,
            on_progress=quiet,
        )
    whole = archive.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) * 9 // 10):
        archive.write_bytes(whole[:size])
        with pytest.raises(BackupError):
            restore(archive, new, replace_old=False, on_progress=quiet)
    assert list(new.parent.iterdir()) == []


# ---- a station that runs ---------------------------------------------------------------------------------------------


@pytest.mark.system
def test_a_station_is_backed_up_while_it_inspects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "station").mkdir()
    output = tmp_path / "now.tar.gz"
    with Bench(tmp_path / "station") as bench:
        bench.start()
        assert bench.part(good()).passed
        assert bench.part(bad()).reject
        bench.assert_balanced(2)
        assert main(["backup", str(output), "--images", "--config", str(bench.config_path)]) == 0
        assert bench.part(good()).passed
        assert main(["restore", str(output), "--replace", "--config", str(bench.config_path)]) == 2
        assert "stop it first" in capsys.readouterr().err
        assert bench.terminate() == 0
    copy = tmp_path / "copy" / "station.toml"
    assert main(["restore", str(output), "--config", str(copy)]) == 0
    with closing(open_reader(load(copy).records_dir)) as records:
        found = list(parts(records))
    assert [part.verdict for part in found] == ["PASS", "FAIL"]
    assert list((load(copy).records_dir / "images").rglob("*.png"))
