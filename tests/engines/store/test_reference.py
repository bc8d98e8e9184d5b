"""Reference pictures on their way: with an engine into the store, and in a file of their own to another station."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from engines.bundle.reading import read_manifest
from engines.bundle.reference import INDEX_FILE, picture_name, read_reference
from engines.errors import BundleError, EngineError, SignatureError, StoreError
from engines.signatures.secret_key import read_secret_key
from engines.signatures.trust import Trust
from engines.store.reference import beside
from engines.store.signed import beside as signature_beside
from engines.store.store import EngineStore
from engines.store.versions import Version
from tests.bench.engines.good_pictures import keep_reference
from tests.bench.engines.pictures import ring
from tests.bench.engines.signing import make_keys
from tests.bench.engines.small_engine import write_small_engine


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    engine = write_small_engine(tmp_path_factory.mktemp("engine") / "e", width=64, height=64)
    return keep_reference(engine, [ring(seed, size=64) for seed in range(4)])


@pytest.fixture
def store(kept: Path, tmp_path: Path) -> EngineStore:
    store = EngineStore(tmp_path / "store")
    store.add(kept, why="taught")
    return store


def pictures_of(version: Version) -> int:
    return len(read_reference(version.path, read_manifest(version.path)))


def test_they_come_along_into_the_store_and_to_another_station(store: EngineStore, tmp_path: Path) -> None:
    version = store.find("latest")
    assert pictures_of(version) == 4
    plain = store.export(version, tmp_path / "plain.tar")
    exported = store.export(version, tmp_path / "e.tar", pictures=True)
    assert (plain.pictures, exported.pictures) == (None, beside(tmp_path / "e.tar"))
    assert plain.sha256 == exported.sha256, "the engine is the same with and without"
    assert pictures_of(EngineStore(tmp_path / "with").import_archive(tmp_path / "e.tar")) == 4
    assert pictures_of(EngineStore(tmp_path / "without").import_archive(tmp_path / "e.tar", pictures=False)) == 0
    other = EngineStore(tmp_path / "later")
    assert pictures_of(other.import_archive(tmp_path / "plain.tar")) == 0
    assert pictures_of(other.import_archive(tmp_path / "e.tar")) == 4, "the same engine again, now with its pictures"


def test_an_existing_file_of_pictures_is_not_written_over(store: EngineStore, tmp_path: Path) -> None:
    beside(tmp_path / "e.tar").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        store.export(store.find("latest"), tmp_path / "e.tar", pictures=True)
    assert not (tmp_path / "e.tar").exists()


def rewritten(file: Path, name: str, content: bytes) -> None:
    """The archive with one more member, or another content of one."""
    with tarfile.open(file) as old:
        files = {member.name: old.extractfile(member).read() for member in old}  # type: ignore[union-attr]
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as new:
        for each, data in {**files, name: content}.items():
            header = tarfile.TarInfo(each)
            header.size = len(data)
            new.addfile(header, io.BytesIO(data))


@pytest.mark.parametrize("name", ["../../x.jpg", "reference/900.jpg", picture_name(1), INDEX_FILE, "manifest.json"])
def test_a_file_of_pictures_that_is_not_one_is_refused_and_nothing_is_stored(
    store: EngineStore, tmp_path: Path, name: str
) -> None:
    store.export(store.find("latest"), tmp_path / "e.tar", pictures=True)
    rewritten(beside(tmp_path / "e.tar"), name, b"x" * 100)
    other = EngineStore(tmp_path / "other")
    with pytest.raises(BundleError, match="--no-pictures"):
        other.import_archive(tmp_path / "e.tar")
    assert other.versions() == ()
    assert pictures_of(other.import_archive(tmp_path / "e.tar", pictures=False)) == 0


def test_a_damaged_folder_is_refused_when_an_engine_is_added(kept: Path, tmp_path: Path) -> None:
    engine = Path(shutil.copytree(kept, tmp_path / "engine"))
    (engine / picture_name(0)).write_bytes(b"")
    with pytest.raises(EngineError, match="remove the folder"):
        EngineStore(tmp_path / "store").add(engine, why="taught")
    assert pictures_of(EngineStore(tmp_path / "store").import_folder(engine, pictures=False)) == 0


def test_where_engines_must_be_signed_pictures_must_be_too(store: EngineStore, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    keys = make_keys(tmp_path / "plant")
    key = read_secret_key(keys.secret, str)
    store.export(store.find("latest"), tmp_path / "e.tar", pictures=True, sign=key)
    trust = Trust(keys.trusted, "import")
    assert pictures_of(EngineStore(tmp_path / "strict", trust=trust).import_archive(tmp_path / "e.tar")) == 4
    signature_beside(beside(tmp_path / "e.tar")).unlink()
    other = EngineStore(tmp_path / "other", trust=trust)
    with pytest.raises(SignatureError, match="--no-pictures"):
        other.import_archive(tmp_path / "e.tar")
    assert other.versions() == ()
    assert pictures_of(other.import_archive(tmp_path / "e.tar", pictures=False)) == 0
    version = store.import_folder(store.find("latest").path, sign=key)
    with pytest.raises(SignatureError, match=r"none covers the pictures.*--no-pictures"):
        EngineStore(tmp_path / "third", trust=trust).import_folder(version.path)
