"""The live memory: whole publications or none, across processes, kills, starts, boots and versions."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.live.memory import (
    BEAT_AT,
    CHECKSUM,
    HEADER,
    LIVE_FILE,
    SLOT,
    SLOTS_AT,
    STATE_BYTES,
    VERSION,
    WATCH_FILE,
    LiveMemory,
)
from station.live.reading import LiveReader, NoLiveMemory
from tests.bench.places import ROOT
from tests.bench.waiting import wait_for

PART_BYTES = 32 * 1024
WRITER = """
import sys
from pathlib import Path
from station.live.memory import LiveMemory
memory = LiveMemory.create(Path(sys.argv[1]), sys.argv[2], part_bytes=32 * 1024)
number = 0
while True:
    number += 1
    memory.part.publish(number.to_bytes(4, "little") * (1 + number * 37 % 8000))
"""
"""Publishes as fast as it can: each payload is one number, again and again."""


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[LiveMemory]:
    memory = LiveMemory.create(tmp_path, "start-1", part_bytes=PART_BYTES)
    yield memory
    memory.close()


def test_the_newest_publication_is_read_once(memory: LiveMemory, tmp_path: Path) -> None:
    reader = LiveReader(tmp_path)
    assert reader.part() is None
    for text in (b"first", b"second", b""):
        memory.part.publish(text)
        found = reader.part()
        assert found is not None
        assert (found.payload, found.start_id) == (text, "start-1")
        assert reader.part(after=found) is None
    assert reader.state() is None, "state and part have slots of their own"


def test_the_beat_has_an_age(memory: LiveMemory, tmp_path: Path) -> None:
    reader = LiveReader(tmp_path, clock=lambda: 5_000_000_000)
    with pytest.raises(NoLiveMemory, match="not begun"):
        reader.beat_age_s()
    memory.beat(3_500_000_000)
    assert reader.beat_age_s() == 1.5
    memory.beat(6_000_000_000)
    assert reader.beat_age_s() == 0.0


def test_the_watch_stamp_is_all_that_comes_back(memory: LiveMemory, tmp_path: Path) -> None:
    assert memory.watched_ns() == 0
    LiveReader(tmp_path, clock=lambda: 77).watch()
    assert memory.watched_ns() == 77
    (tmp_path / WATCH_FILE).write_bytes(b"123")
    assert memory.watched_ns() == 0, "cut short by somebody"


def test_what_is_too_large_is_refused_and_the_older_one_stands(memory: LiveMemory, tmp_path: Path) -> None:
    memory.part.publish(b"older")
    with pytest.raises(ValueError, match="32745 bytes for a slot of the live memory of 32744"):
        memory.part.publish(b"x" * (PART_BYTES - SLOT.size + 1))
    found = LiveReader(tmp_path).part()
    assert found is not None
    assert found.payload == b"older"


@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    st.integers(0, 2 * PART_BYTES - 1),
    st.binary(min_size=1, max_size=40),
)
def test_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], at: int, noise: bytes) -> None:
    """Whatever is written over the slots of the part: a reader sees one of the two last publications, or none."""
    folder = tmp_path_factory.mktemp("live")
    memory = LiveMemory.create(folder, "start-1", part_bytes=PART_BYTES)
    for text in texts:
        memory.part.publish(text)
    with (folder / LIVE_FILE).open("r+b") as file:
        file.seek(SLOTS_AT + 2 * STATE_BYTES + at)
        file.write(noise)
    found = LiveReader(folder).part()
    memory.close()
    assert found is None or found.payload in texts[-2:]


def test_a_reader_follows_the_station_through_starts(memory: LiveMemory, tmp_path: Path) -> None:
    reader = LiveReader(tmp_path)
    for text in (b"a", b"b", b"c"):
        memory.part.publish(text)
    before = reader.part()
    again = LiveMemory.create(tmp_path, "start-2", part_bytes=2 * PART_BYTES)
    assert reader.part(after=before) is None
    again.part.publish(b"after the start")
    found = reader.part(after=before)
    assert found is not None
    assert (found.start_id, found.number, found.payload) == ("start-2", 1, b"after the start")
    memory.close()
    assert (tmp_path / LIVE_FILE).exists(), "an earlier run does not remove the file of a later one"
    again.close()
    with pytest.raises(NoLiveMemory, match="no station runs; start it with: station run"):
        reader.part()


def rewrite_head(path: Path, version: int = VERSION, boot: bytes = b"another", *, damaged: bool = False) -> None:
    with path.open("r+b") as file:
        fields = list(HEADER.unpack(file.read(HEADER.size)))
        fields[1], fields[4] = version, boot
        head = HEADER.pack(*fields)
        file.seek(0)
        file.write(head + CHECKSUM.pack(zlib.crc32(head) ^ damaged))


def test_another_version_is_named(memory: LiveMemory, tmp_path: Path) -> None:
    rewrite_head(tmp_path / LIVE_FILE, version=VERSION + 1)
    with pytest.raises(NoLiveMemory, match=f"writes version {VERSION + 1} .* these pages read {VERSION}: restart both"):
        LiveReader(tmp_path).part()


def test_the_file_of_another_boot_is_no_station(memory: LiveMemory, tmp_path: Path) -> None:
    rewrite_head(tmp_path / LIVE_FILE)
    with pytest.raises(NoLiveMemory, match="no station runs since this computer was started"):
        LiveReader(tmp_path).beat_age_s()


def test_a_damaged_head_and_other_files_are_named(memory: LiveMemory, tmp_path: Path) -> None:
    rewrite_head(tmp_path / LIVE_FILE, damaged=True)
    with pytest.raises(NoLiveMemory, match="is damaged"):
        LiveReader(tmp_path).part()
    (tmp_path / LIVE_FILE).write_bytes(b"something else")
    with pytest.raises(NoLiveMemory, match="is no live memory"):
        LiveReader(tmp_path).part()


def test_a_file_cut_short_under_reader_and_writer_is_no_crash(memory: LiveMemory, tmp_path: Path) -> None:
    reader = LiveReader(tmp_path)
    memory.beat(1)
    memory.part.publish(b"whole")
    assert reader.part() is not None
    os.truncate(tmp_path / LIVE_FILE, BEAT_AT)
    assert reader.part() is None
    with pytest.raises(NoLiveMemory):
        reader.beat_age_s()
    memory.part.publish(b"again")


def test_files_are_for_the_group(memory: LiveMemory, tmp_path: Path) -> None:
    assert (tmp_path / LIVE_FILE).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / WATCH_FILE).stat().st_mode & 0o777 == 0o660


@pytest.mark.system
def test_no_reader_sees_half_of_a_publication_and_kills_leave_a_whole_one(tmp_path: Path) -> None:
    reader = LiveReader(tmp_path)
    for kill in range(8):
        start = f"start-{kill}"
        command = [sys.executable, "-c", WRITER, str(tmp_path), start]
        with subprocess.Popen(command, cwd=ROOT) as writer:
            try:
                seen = _read_some(reader, start, 300)
            finally:
                writer.send_signal(signal.SIGKILL)
        last = reader.part()
        assert last is not None, "the publication before the one that was being written"
        assert last.number >= seen
        _check(last.payload)


def _read_some(reader: LiveReader, start: str, count: int) -> int:
    """Reads until that many publications of this start were seen, each one whole, none older than the one before."""
    last = None

    def there() -> bool:
        try:
            found = reader.part()
        except NoLiveMemory:
            return False
        return found is not None and found.start_id == start

    wait_for(there, "the first publication")
    seen = 0
    while seen < count:
        found = reader.part(after=last)
        if found is not None:
            assert last is None or found.number > last.number
            _check(found.payload)
            last, seen = found, seen + 1
    assert last is not None
    return last.number


def _check(payload: bytes) -> None:
    (number,) = struct.unpack_from("<I", payload)
    assert payload == payload[:4] * (1 + number * 37 % 8000)
