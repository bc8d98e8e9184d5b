"""Cursors of the plant process's user: the station reads them, running, stopped and killed; its commands write them.

STATION is the station's user, a member of the group of PLANT; PAGES is in the group of the station alone; BEN in none.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from station.forwarding.progress import Cursor, Cursors, forwarding_beside, is_running, read_progress
from station.northbound.process import alone
from tests.bench.other_user import ANNA as STATION
from tests.bench.other_user import BEN, OF_STATION, PAGES, PLANT, as_user, needs_root, open_folder
from tests.bench.places import ROOT

pytestmark = [pytest.mark.system, needs_root]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def records() -> Iterator[Path]:
    """The folder of records of a station; the work folder as the installer makes it."""
    with open_folder() as outer:
        work = outer / "work"
        work.mkdir()
        os.chown(work, STATION, OF_STATION)
        work.chmod(0o750)
        yield work / "records"


def installed(records: Path, owner: int = PLANT) -> Path:
    """The folder of the plant process."""
    folder = forwarding_beside(records).parent
    folder.mkdir()
    os.chown(folder, owner, owner)
    folder.chmod(0o2771)
    return folder


def as_station(ask: Callable[[], Any]) -> Any:
    return as_user(STATION, STATION, ask, also=(OF_STATION, PLANT))


def as_pages(ask: Callable[[], Any]) -> Any:
    return as_user(PAGES, PAGES, ask, also=(OF_STATION,))


def as_plant(ask: Callable[[], Any]) -> Any:
    return as_user(PLANT, PLANT, ask, also=(OF_STATION,))


def move(file: Path, last_id: int) -> str:
    """As a connector does, or `station plant resend`."""
    with alone(file), closing(Cursors(file)) as cursors:
        cursors.place("webhook", Cursor(last_id, "s1", last_id))
    return "moved"


def at(file: Path) -> list[int]:
    return [one.cursor.last_id for one in read_progress(file)]


def running(file: Path, last_id: int) -> int:
    """A process of PLANT that has moved the cursor and holds the file; its number."""
    ready, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([OF_STATION])
        os.setresgid(PLANT, PLANT, PLANT)
        os.setresuid(PLANT, PLANT, PLANT)
        with alone(file), closing(Cursors(file)) as cursors:
            cursors.place("webhook", Cursor(last_id, "s1", last_id))
            os.write(out, b"x")
            time.sleep(120)
        os._exit(0)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    os.close(out)
    return child


def test_station_and_pages_read_them_running_killed_and_stopped(records: Path) -> None:
    installed(records)
    file = forwarding_beside(records)
    child = running(file, 7)
    try:
        for reader in (as_station, as_pages):
            assert reader(lambda: at(file)) == [7]
            assert reader(lambda: is_running(file)) is True
        assert "Permission denied" in as_user(BEN, BEN, lambda: at(file)), "nobody else enters the work folder"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for reader in (as_pages, as_station):  # who may not write beside it comes first: nothing is tidied up for him
        assert reader(lambda: at(file)) == [7]
        assert reader(lambda: is_running(file)) is False
    assert as_plant(lambda: move(file, 8)) == "moved"
    assert not file.with_name("plant.db-wal").exists(), "stopped in order"
    for reader in (as_pages, as_station):
        assert reader(lambda: at(file)) == [8]


def test_commands_of_the_stations_user_write_them_whoever_was_first(records: Path) -> None:
    installed(records)
    file = forwarding_beside(records)
    for turn, who in enumerate((as_station, as_plant, as_station, as_station, as_plant), 1):
        assert who(partial(move, file, turn)) == "moved"
        assert (as_station(lambda: at(file)), as_pages(lambda: at(file))) == ([turn], [turn])
    said = as_pages(lambda: move(file, 9))
    assert "cannot be used" in said, "the pages do not"
    assert at(file) == [5]


def test_a_reader_leaves_nothing_that_the_process_cannot_write(records: Path) -> None:
    """SQLite makes the shared memory of a log for who may write beside the file."""
    installed(records)
    file = forwarding_beside(records)
    as_plant(lambda: move(file, 1))
    as_station(lambda: at(file))
    child = running(file, 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    as_station(lambda: at(file))
    assert as_plant(lambda: move(file, 3)) == "moved"


def test_an_installation_of_one_user_is_taken_over_with_all_its_cursors(records: Path) -> None:
    """What the installer does; systemd changes the owners in the same way."""
    folder = installed(records, STATION)
    folder.chmod(0o750)
    file = forwarding_beside(records)
    as_user(STATION, STATION, lambda: move(file, 41))
    (folder / "opcua" / "own").mkdir(parents=True)
    key = folder / "opcua" / "own" / "station.key"
    key.write_text("secret")
    key.chmod(0o600)
    outside = records.parent / "outside"
    outside.write_text("")
    (folder / "link").symlink_to(outside)
    assert "cannot be written: Permission denied" in as_plant(lambda: move(file, 42))
    assert "cannot be read: [Errno 13]" in as_plant(lambda: at(file)), "retention hears of it, too, and goes on"
    script = f"set -eu; here={ROOT}/deploy/desktop; . {ROOT}/deploy/install-common.sh; own_plant {folder} {PLANT}"
    done = subprocess.run(["sh", "-c", script, "install.sh"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {(one.lstat().st_uid, one.lstat().st_gid) for one in [folder, *folder.rglob("*")]} == {(PLANT, PLANT)}
    assert outside.stat().st_uid == 0, "nothing behind a link is touched"
    assert key.stat().st_mode & 0o777 == 0o600
    for reader in (as_pages, as_station):
        assert reader(lambda: at(file)) == [41]
    assert as_plant(lambda: move(file, 42)) == "moved"
    assert as_station(lambda: move(file, 43)) == "moved"


def test_nothing_that_the_process_owns_decides_what_another_user_opens(records: Path) -> None:
    folder = installed(records)
    file = forwarding_beside(records)
    records.mkdir()
    foreign = records / "records.db"
    as_user(0, 0, lambda: foreign.write_bytes(b""))
    os.chown(foreign, STATION, OF_STATION)
    as_plant(lambda: file.symlink_to(foreign))
    assert "is a link" in as_station(lambda: move(file, 1))
    assert foreign.stat().st_size == 0
    file.unlink()
    as_plant(lambda: os.mkfifo(file, 0o664))
    assert "is no file" in as_station(lambda: at(file)), "a pipe holds nobody up"
    assert folder.stat().st_uid == PLANT
