"""The channel: what is genuine, newest and of today is taken as a candidate; all else is refused with its reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import EngineError
from engines.signatures.trust import Trust
from engines.store.store import EngineStore
from station.fleet import pulling
from station.fleet.channel import FILE, SIGNATURE, Channel, ChannelError, iso, moment_of, parse_channel
from station.fleet.seen import file_of
from tests.bench.engines.signing import make_keys
from tests.bench.programs import require_program
from tests.fleet.plant import NOW, Plant

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "PAUSE_S", 0.0)


def test_an_engine_comes_as_a_candidate_and_is_not_activated(plant: Plant) -> None:
    channel = plant.publish("1")
    pulled = plant.pull()
    assert (pulled.outcome, pulled.channel, pulled.signer.key_id) == ("imported", channel, plant.keys.key_id)
    assert plant.versions() == [pulled.version]
    assert plant.store.active() is None
    assert plant.store.events()[-1].why == f"channel sequence 1, by key {plant.keys.key_id}"
    signer = plant.store.signer(plant.store.find("1"))
    assert signer is not None
    assert signer.key_id == plant.keys.key_id, "its own signature comes along"
    assert not list(file_of(plant.work, "x").parent.glob(".incoming-*"))
    assert plant.pull().outcome == "there already"
    plant.store.activate(plant.store.find("1"))
    plant.publish("2")
    assert plant.pull().outcome == "imported"
    active = plant.store.active()
    assert active is not None
    assert active.number == 1, "the running engine goes on"


def test_with_signatures_required_it_comes_in_too(plant: Plant) -> None:
    plant.store = EngineStore(plant.store.path, trust=Trust(plant.keys.trusted, "load"))
    plant.publish("1")
    assert plant.pull().outcome == "imported"


def foreign(plant: Plant) -> None:
    plant.rewrite(make_keys(plant.folder / "others"))


def unsigned(plant: Plant) -> None:
    (plant.shared / SIGNATURE).unlink()


def tampered(plant: Plant) -> None:
    text = (plant.shared / FILE).read_text()
    (plant.shared / FILE).write_text(text.replace('"sequence": 2', '"sequence": 3'))


def older(plant: Plant) -> None:
    plant.rewrite(sequence=1)
    plant.rewrite(sequence=9)
    plant.pull()
    plant.rewrite(sequence=8)


def another_of_the_same(plant: Plant) -> None:
    plant.pull()
    plant.rewrite(issued=iso(NOW + 1))


def expired(plant: Plant) -> None:
    plant.now += 31 * DAY_S


def another_product(plant: Plant) -> None:
    plant.rewrite(product="flange")


def another_engine(plant: Plant) -> None:
    plant.rewrite(engine_id="a" * 64)


def another_archive(plant: Plant) -> None:
    (archive,) = plant.shared.glob("*.tar")
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")


def longer_archive(plant: Plant) -> None:
    (archive,) = plant.shared.glob("*.tar")
    archive.write_bytes(archive.read_bytes() + b"x")


def no_archive(plant: Plant) -> None:
    next(plant.shared.glob("*.tar")).unlink()


def too_large(plant: Plant) -> None:
    plant.most_bytes = 1000


def no_channel(plant: Plant) -> None:
    (plant.shared / FILE).unlink()


def newer_format(plant: Plant) -> None:
    plant.rewrite(format=2)


def path_as_name(plant: Plant) -> None:
    plant.rewrite(archive="../../engines.tar")


def one_more_key(plant: Plant) -> None:
    plant.rewrite(url="https://elsewhere")


def huge(plant: Plant) -> None:
    plant.write(b" " * 20_000, plant.keys)


def pipe(plant: Plant) -> None:
    (plant.shared / FILE).unlink()
    os.mkfifo(plant.shared / FILE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (foreign, "which is not trusted; trusted: "),
        (unsigned, "has no signature (channel.json.minisig); nothing of it is believed"),
        (tampered, "was changed after key"),
        (older, "has sequence 8, and this station has seen 9: it is an older one"),
        (another_of_the_same, "says something else: two publish with one key"),
        (expired, "expired on "),
        (another_product, 'is for product "flange", this station makes "cover"'),
        (another_engine, "names engine aaaaaaaaaaaa, its archive holds "),
        (another_archive, "the channel says "),
        (longer_archive, "bytes, which is what it may have"),
        (no_archive, "is not there"),
        (too_large, "at most 1000 are allowed; [channel] max_mb"),
        (no_channel, "whoever publishes: station fleet publish"),
        (newer_format, "has format 2, this station knows 1: bring the station up to date"),
        (path_as_name, "allowed: a plain name that ends with .tar"),
        (one_more_key, "missing or unknown: 'url'"),
        (huge, "more than 16384 bytes"),
        (pipe, "is no plain file"),
    ],
)
def test_what_is_refused_changes_nothing_and_says_why(plant: Plant, spoil: Callable[[Plant], None], words: str) -> None:
    plant.publish("1")
    plant.publish("1")  # its sequence is 2
    spoil(plant)
    before = plant.versions()
    with pytest.raises((ChannelError, EngineError)) as problem:
        plant.pull()
    assert words in str(problem.value)
    assert plant.versions() == before
    assert words in plant.seen().problem
    assert not list(file_of(plant.work, "x").parent.glob(".incoming-*"))


def test_what_was_played_back_stays_refused_after_a_restart(plant: Plant) -> None:
    plant.publish("1")
    old = plant.kept()
    plant.publish("2")
    plant.pull()
    shutil.rmtree(plant.shared)
    old.rename(plant.shared)
    for _ in range(2):
        with pytest.raises(ChannelError, match="it is an older one"):
            plant.pull()
    assert plant.seen().sequence == 2
    plant.publish("2", sequence=3)
    assert plant.pull().outcome == "there already"
    assert plant.seen().problem == ""


def test_a_sequence_counts_once_it_was_seen_even_if_its_engine_did_not_come(plant: Plant) -> None:
    plant.publish("1")
    old = plant.kept()
    plant.publish("2")
    kept = plant.kept()
    (archive,) = plant.shared.glob("*0002-*.tar")
    archive.unlink()
    with pytest.raises(ChannelError, match="is not there"):
        plant.pull()
    plant.source = type(plant.source)(old)  # type: ignore[call-arg]
    with pytest.raises(ChannelError, match="it is an older one"):
        plant.pull()
    plant.source = type(plant.source)(kept)  # type: ignore[call-arg]
    assert plant.pull().outcome == "imported", "the same one may be tried again"


def test_a_lost_or_damaged_memory_is_said(plant: Plant) -> None:
    plant.publish("1")
    plant.pull()
    file_of(plant.work, "cover").write_text("{")
    with pytest.raises(ChannelError, match="without it an older channel would be taken"):
        plant.pull()


def test_publishing_counts_up_and_refuses_what_stations_would(plant: Plant) -> None:
    assert [plant.publish("1").sequence for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ChannelError, match="has 3 already, and stations refuse what is not higher"):
        plant.publish("1", sequence=3)
    assert plant.publish("1", sequence=10).sequence == 10
    plant.rewrite(product="flange")
    with pytest.raises(ChannelError, match="give each product a folder"):
        plant.publish("1")
    plant.rewrite(product="cover")
    (archive,) = plant.shared.glob("*.tar")
    archive.write_bytes(b"x")
    with pytest.raises((ChannelError, EngineError), match="lies there already"):
        plant.publish("1")


def test_another_key_signs_the_archive_that_lies_there_again(plant: Plant) -> None:
    plant.publish("1")
    others = make_keys(plant.folder / "others")
    plant.publish("1", keys=others)
    shutil.copy(others.public, plant.keys.trusted / "others.pub")
    assert plant.pull().signer.key_id == others.key_id
    signer = plant.store.signer(plant.store.find("1"))
    assert signer is not None
    assert signer.key_id == others.key_id


@pytest.mark.system
def test_minisign_accepts_ours_and_ours_accepts_minisign(plant: Plant) -> None:
    minisign = require_program("minisign")
    channel = plant.publish("1")
    for name in (FILE, channel.archive):
        verify = [minisign, "-V", "-p", str(plant.keys.public), "-m", str(plant.shared / name)]
        done = subprocess.run(verify, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr + done.stdout
    plant.rewrite(sequence=5)
    (plant.shared / SIGNATURE).unlink()
    sign = [minisign, "-S", "-W", "-s", str(plant.keys.secret), "-m", str(plant.shared / FILE)]
    done = subprocess.run(sign, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr + done.stdout
    assert plant.pull().channel.sequence == 5
    (plant.shared / FILE).write_text((plant.shared / FILE).read_text() + " ")
    verify = [minisign, "-V", "-p", str(plant.keys.public), "-m", str(plant.shared / FILE)]
    assert subprocess.run(verify, capture_output=True, timeout=30).returncode != 0


@given(st.integers(0, 4_000_000_000))
def test_a_time_survives(seconds: int) -> None:
    assert moment_of(iso(float(seconds))) == seconds


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_anything_else_is_refused_in_words(found: object) -> None:
    with pytest.raises(ChannelError):
        parse_channel(json.dumps(found).encode(), "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    with pytest.raises(ChannelError):
        parse_channel(content, "x")


@given(st.sampled_from(Channel.__slots__), st.none() | st.booleans() | st.integers() | st.text(max_size=30))
def test_each_key_is_looked_at(name: str, value: object) -> None:
    good = Channel("cover", "a" * 64, 3, iso(NOW), iso(NOW + 1), "e.tar", "b" * 64, 10)
    content = json.loads(good.as_bytes()) | {name: value}
    try:
        found = parse_channel(json.dumps(content).encode(), "x")
    except ChannelError:
        return
    assert type(getattr(found, name)) is type(getattr(good, name))
    assert "/" not in found.archive
    assert found.sequence > 0
    assert found.size > 0


def test_a_channel_reads_as_it_was_written() -> None:
    channel = Channel("cover", "a" * 64, 3, iso(NOW), iso(NOW + 1), "e-1.tar", "b" * 64, 10)
    assert parse_channel(channel.as_bytes(), "x") == channel


def test_two_files_that_do_not_fit_for_a_moment_are_read_again(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant.publish("1")
    old = plant.kept()
    plant.publish("2")
    shutil.copy(plant.shared / SIGNATURE, plant.folder / "new")
    shutil.copy(old / SIGNATURE, plant.shared / SIGNATURE)
    monkeypatch.setattr(
        "station.fleet.pulling.time.sleep", lambda _: shutil.copy(plant.folder / "new", plant.shared / SIGNATURE)
    )
    assert plant.pull().channel.sequence == 2
