"""Signed engines in the store: who made an engine is checked when it comes in, and again before it is active."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from engines.bundle.archive import export_archive
from engines.bundle.files import MANIFEST_FILE
from engines.errors import EngineError, SignatureError, StoreError
from engines.signatures.minisign import signature_file
from engines.signatures.secret_key import read_secret_key
from engines.signatures.trust import Requirement, Trust
from engines.store.history import Action
from engines.store.signed import SIGNATURE_FILE, beside, check_may_load
from engines.store.store import EngineStore, manifest_of
from tests.bench.engines.signing import Keys, make_keys
from tests.bench.engines.small_engine import write_small_engine

pytest.importorskip("cryptography")


@dataclass(frozen=True)
class World:
    """An engine that was exported and signed by a plant, and the station that shall take it."""

    folder: Path
    engine: Path
    archive: Path
    plant: Keys

    def store(self, required: Requirement, name: str = "store") -> EngineStore:
        return EngineStore(self.folder / name, trust=Trust(self.plant.trusted, required))

    def sign(self, keys: Keys, archive: Path | None = None) -> None:
        archive = archive or self.archive
        digest = hashlib.blake2b(archive.read_bytes()).digest()
        beside(archive).write_bytes(signature_file(read_secret_key(keys.secret, str), digest, "of a test"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_engine(tmp_path_factory.mktemp("engine") / "e", width=64, height=64)


@pytest.fixture
def world(tmp_path: Path, engine: Path) -> World:
    world = World(tmp_path, engine, tmp_path / "e.tar", make_keys(tmp_path / "plant"))
    maker = world.store("no", "maker")
    version = maker.add(engine, why="taught")
    exported = maker.export(version, world.archive, sign=read_secret_key(world.plant.secret, str))
    assert exported.signature == beside(world.archive)
    return world


def assert_refused(store: EngineStore, archive: Path, expected: str) -> None:
    with pytest.raises(SignatureError) as refused:
        store.import_archive(archive)
    assert expected in str(refused.value)
    assert store.versions() == ()
    assert store.events() == ()
    assert {path.name for path in store.path.iterdir()} == {".lock"}


@pytest.mark.parametrize("required", ["no", "import", "load"])
def test_who_signed_an_engine_is_kept_from_import_to_export(world: World, required: Requirement) -> None:
    store = world.store(required)
    version = store.import_archive(world.archive)
    signer = store.signer(version)
    assert signer is not None
    assert signer.key_id == world.plant.key_id
    assert signer.file == "line.pub"
    assert f"\tfile:e.tar\thashed\tengine:{manifest_of(version).engine_id}" in signer.comment
    change = store.activate(version, why="new light")
    assert change.signed_by == world.plant.key_id
    assert [event.signed_by for event in store.events()] == [world.plant.key_id] * 2
    assert store.verify(version) == signer
    check_may_load(store.active_link, Trust(world.plant.trusted, "load"), manifest_of(version).engine_id)

    again = world.folder / "again.tar"  # without a key the signature it came with comes along: the bytes are the same
    exported = store.export(version, again)
    assert beside(again).read_bytes() == beside(world.archive).read_bytes()
    assert exported.sha256 == hashlib.sha256(world.archive.read_bytes()).hexdigest()
    assert world.store(required, "third").import_archive(again).id_start == version.id_start


def test_what_is_not_signed_by_whom_the_station_trusts_is_refused_and_nothing_is_unpacked(world: World) -> None:
    store = world.store("import")
    signature = beside(world.archive)
    whole = signature.read_bytes()
    signature.unlink()
    assert_refused(store, world.archive, f'has no signature ("{signature}" is not there)')
    world.sign(make_keys(world.folder / "foreign"))
    assert_refused(store, world.archive, f"which is not trusted; trusted: {world.plant.key_id} (line.pub)")
    signature.write_bytes(whole[:-20])
    assert_refused(store, world.archive, "line 4 is not base64")
    signature.write_bytes(whole[: whole.index(b"trusted comment: t")])
    assert_refused(store, world.archive, "2 lines, 4 are expected: it was cut off")
    signature.write_bytes(b"")
    assert_refused(store, world.archive, "is no signature of minisign")
    signature.write_bytes(bytes(20_000))
    assert_refused(store, world.archive, "has 20000 bytes, at most 16384 are allowed")
    signature.unlink()
    signature.mkdir()
    assert_refused(store, world.archive, "cannot be read: Is a directory")
    signature.rmdir()
    signature.write_bytes(whole)
    content = bytearray(world.archive.read_bytes())
    content[700] ^= 1
    world.archive.write_bytes(content)
    assert_refused(store, world.archive, "does not belong to archive")


def test_where_no_signature_is_required_a_wrong_one_is_refused_all_the_same(world: World) -> None:
    store = world.store("no")
    with world.archive.open("ab") as stream:
        stream.write(bytes(512))  # no byte of the engine
    assert_refused(store, world.archive, "does not belong to archive")


def test_where_no_signature_is_required_one_of_a_stranger_is_not_kept(world: World) -> None:
    world.sign(make_keys(world.folder / "foreign"))
    store = world.store("no")
    version = store.import_archive(world.archive)
    assert store.signer(version) is None
    assert not (version.path / SIGNATURE_FILE).exists()
    assert store.events()[-1].signed_by == ""


def test_an_archive_that_is_not_as_written_here_could_not_be_checked_again(world: World) -> None:
    odd = world.folder / "odd.tar"
    with tarfile.open(world.archive) as tar, tarfile.open(odd, "w", format=tarfile.USTAR_FORMAT) as other:
        for member in tar:
            member.mtime = 1
            other.addfile(member, tar.extractfile(member))
    world.sign(world.plant, odd)
    assert_refused(world.store("import"), odd, 'is not the one that "station engine export" writes')


def test_the_hash_that_was_given(world: World) -> None:
    store = world.store("no")
    with pytest.raises(SignatureError, match=r"has the sha256 .*, expected is 0000"):
        store.import_archive(world.archive, sha256="0" * 64)
    assert store.versions() == ()
    store.import_archive(world.archive, sha256=hashlib.sha256(world.archive.read_bytes()).hexdigest())
    assert len(store.versions()) == 1


def test_only_a_signed_engine_becomes_active_and_the_active_one_stays(world: World) -> None:
    store = world.store("load")
    first = store.import_archive(world.archive)
    store.activate(first)
    second = write_small_engine(world.folder / "second", width=64, height=64, reject_score=77.0)
    candidate = store.add(second, why="refresh")  # made here: may lie in the store
    with pytest.raises(SignatureError, match=f"no {SIGNATURE_FILE} in it") as refused:
        store.activate(candidate)
    assert 'require_signature = "load"' in str(refused.value)
    assert store.active() == first

    # signed here, it comes again
    exported = world.folder / "second.tar"
    store.export(candidate, exported, sign=read_secret_key(world.plant.secret, str))
    assert store.import_archive(exported) == candidate
    assert [event.action for event in store.events()][-1] is Action.SIGN
    assert store.events()[-1].signed_by == world.plant.key_id
    store.import_archive(exported)
    assert [event.action for event in store.events()].count(Action.SIGN) == 1
    store.activate(candidate)

    # the signature of another engine
    shutil.copyfile(candidate.path / SIGNATURE_FILE, first.path / SIGNATURE_FILE)
    with pytest.raises(SignatureError, match="does not belong to the engine"):
        store.rollback()
    assert store.active() == candidate
    # a key that is trusted no more
    (world.plant.trusted / "line.pub").unlink()
    with pytest.raises(SignatureError, match="holds no trusted key"):
        store.verify(candidate)
    world.store("import").verify(candidate)


def test_an_engine_that_was_exchanged_is_not_loaded(world: World, tmp_path: Path) -> None:
    trust = Trust(world.plant.trusted, "load")
    version = world.store("load").import_archive(world.archive)
    with pytest.raises(SignatureError, match="was exchanged while it was loaded"):
        check_may_load(version.path, trust, "0" * 64)
    model = version.path / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(SignatureError, match="does not belong to the engine"):
        check_may_load(version.path, trust)
    model.unlink()
    model.symlink_to(world.engine / "model.onnx")
    with pytest.raises(EngineError, match="symbolic links"):
        check_may_load(version.path, trust)
    (version.path / MANIFEST_FILE).unlink()
    with pytest.raises(EngineError, match=MANIFEST_FILE):
        check_may_load(version.path, trust)


def test_a_folder_is_signed_as_it_comes_in(world: World) -> None:
    store = world.store("import")
    with pytest.raises(SignatureError, match=rf'folder ".*" has no signature \(no {SIGNATURE_FILE} in it\)'):
        store.import_folder(world.engine)
    foreign = read_secret_key(make_keys(world.folder / "foreign").secret, str)
    with pytest.raises(SignatureError, match=f"is by key {foreign.key_id}, which is not trusted"):
        store.import_folder(world.engine, sign=foreign)
    assert store.versions() == ()
    version = store.import_folder(world.engine, sign=read_secret_key(world.plant.secret, str))
    assert store.events()[-1].signed_by == world.plant.key_id
    # the folder of a store that was moved
    moved = world.store("load", "moved")
    moved.activate(moved.import_folder(version.path))
    assert not world.store("no", "plain").import_folder(world.engine).path.joinpath(SIGNATURE_FILE).exists()


def test_nothing_is_overwritten(world: World) -> None:
    store = world.store("no")
    version = store.import_archive(world.archive)
    beside(world.folder / "new.tar").write_text("mine")
    with pytest.raises(StoreError, match=r"new\.tar\.minisig\" exists already"):
        store.export(version, world.folder / "new.tar")
    assert not (world.folder / "new.tar").exists()


def test_without_a_key_the_same_bytes_and_no_signature(world: World) -> None:
    store = world.store("no")
    version = store.add(world.engine, why="")
    exported = store.export(version, world.folder / "plain.tar")
    assert exported.signature is None
    assert exported.sha256 == export_archive(world.engine, world.folder / "other.tar").sha256
