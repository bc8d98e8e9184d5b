"""Engines as single files: the same bytes each time, and nothing of an untrusted file is believed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.bundle import archive
from engines.bundle.archive import Digests, engine_digests, export_archive, open_archive
from engines.bundle.files import bundle_files
from engines.bundle.reading import read_bundle
from engines.errors import BundleError, EngineError
from engines.store.store import EngineStore, manifest_of
from tests.bench.engines.small_engine import write_small_engine

Add = Callable[[tarfile.TarFile], None]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_engine(tmp_path_factory.mktemp("engine") / "e", width=64, height=64)


@pytest.fixture(scope="module")
def exported(engine: Path) -> Path:
    file = engine.parent / "engine.tar"
    export_archive(engine, file)
    return file


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "inside" / "store")


def assert_nothing_written(store: EngineStore, tmp_path: Path, *allowed: str) -> None:
    """Neither in the store nor anywhere around it."""
    assert store.versions() == ()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    assert found - {"inside/store/.lock", *allowed} == set()


def test_there_and_back(engine: Path, store: EngineStore, tmp_path: Path) -> None:
    file = tmp_path / "engine.tar"
    digests = export_archive(engine, file)
    assert digests.blake2b == hashlib.blake2b(file.read_bytes()).digest()
    assert digests.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    version = store.import_archive(file)
    assert manifest_of(version) == read_bundle(engine).manifest
    assert store.events()[-1].why == "import of engine.tar"
    assert store.active() is None


def test_the_same_engine_gives_the_same_bytes(engine: Path, exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    store = EngineStore(copy)
    version = store.add(engine, why="")
    for path in version.path.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700 if path.is_dir() else 0o600)
    store.export(version, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()


def test_the_archive_is_the_one_that_tarfile_writes(engine: Path, exported: Path, tmp_path: Path) -> None:
    """What is signed are its bytes: they may never depend on the software that writes them."""
    manifest = read_bundle(engine).manifest
    with tarfile.open(tmp_path / "expected.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in bundle_files(manifest):
            entry(name, (engine / name).read_bytes())(tar)
    assert exported.read_bytes() == (tmp_path / "expected.tar").read_bytes()
    digests = Digests(
        hashlib.sha256(exported.read_bytes()).hexdigest(), hashlib.blake2b(exported.read_bytes()).digest()
    )
    assert engine_digests(engine) == (manifest.engine_id, digests)
    (tmp_path / "active").symlink_to(engine)
    assert engine_digests(tmp_path / "active") == (manifest.engine_id, digests)


def test_what_lies_beside_the_engine_is_not_exported(engine: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "secret.txt").write_text("x")
    version = EngineStore(tmp_path / "store").add(engine, why="", extras={"notes": tmp_path / "notes"})
    export_archive(version.path, tmp_path / "e.tar")
    assert (tmp_path / "e.tar").read_bytes() == exported.read_bytes()


def test_an_existing_file_is_not_overwritten(engine: Path, tmp_path: Path) -> None:
    (tmp_path / "e.tar").write_text("mine")
    with pytest.raises(BundleError, match="exists already"):
        export_archive(engine, tmp_path / "e.tar")
    with pytest.raises(BundleError, match="cannot write"):
        export_archive(engine, tmp_path / "no folder" / "e.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["e.tar"]


# ---- malicious ----------------------------------------------------------------------------------------------------


def entry(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, **fields: object) -> Add:
    def add(tar: tarfile.TarFile) -> None:
        header = tarfile.TarInfo(name)
        header.type = kind
        header.size = len(data) if kind == tarfile.REGTYPE else 0
        for field, value in fields.items():
            setattr(header, field, value)
        tar.addfile(header, io.BytesIO(data) if header.size else None)

    return add


def lying_size(name: str, size: int) -> Add:
    """A header that promises more than follows."""

    def add(tar: tarfile.TarFile) -> None:
        header = tarfile.TarInfo(name)
        header.size = size
        assert tar.fileobj is not None
        tar.fileobj.write(header.tobuf(tarfile.GNU_FORMAT))

    return add


def sparse(tar: tarfile.TarFile) -> None:
    header = tarfile.TarInfo("golden/a.png")
    header.type = tarfile.GNUTYPE_SPARSE
    assert tar.fileobj is not None
    tar.fileobj.write(header.tobuf(tarfile.GNU_FORMAT))


MALICIOUS: dict[str, tuple[list[Add], str]] = {
    "parent": ([entry("../evil.png")], "name '../evil.png' is not allowed"),
    "parent inside": ([entry("golden/../../evil.png")], "is not allowed"),
    "absolute": ([entry("/tmp/evil.png")], "is not allowed"),
    "hidden": ([entry("golden/.evil.png")], "is not allowed"),
    "deep": ([entry("golden/a/b.png")], "is not allowed"),
    "backslash": ([entry("golden\\evil.png")], "is not allowed"),
    "newline": ([entry("a\n.png")], "is not allowed"),
    "not ASCII": ([entry("ä.png")], "no tar header|is of type|not allowed"),
    "long name": ([entry("golden/" + "a" * 200 + ".png")], "only plain files|not allowed"),
    "symlink": ([entry("model.onnx", kind=tarfile.SYMTYPE, linkname="/etc/passwd")], "only plain files"),
    "symlink to a directory": (
        [entry("golden", kind=tarfile.SYMTYPE, linkname="/tmp"), entry("golden/a.png")],
        "only plain files",
    ),
    "hard link": ([entry("model.onnx", kind=tarfile.LNKTYPE, linkname="manifest.json")], "only plain files"),
    "character device": ([entry("model.onnx", kind=tarfile.CHRTYPE, devmajor=1, devminor=5)], "only plain files"),
    "block device": ([entry("model.onnx", kind=tarfile.BLKTYPE, devmajor=8)], "only plain files"),
    "pipe": ([entry("model.onnx", kind=tarfile.FIFOTYPE)], "only plain files"),
    "directory": ([entry("golden", kind=tarfile.DIRTYPE)], "only plain files"),
    "sparse": ([sparse], "only plain files"),
    "huge model": ([lying_size("model.onnx", 1 << 40)], "1099511627776 bytes, at most 1073741824"),
    "huge manifest": ([lying_size("manifest.json", 2 << 20)], "at most 1048576"),
    "larger than the file": ([lying_size("model.onnx", 100_000)], "cut off"),
    "negative size": ([lying_size("model.onnx", -512)], "-512 bytes"),
    "too many": ([entry(f"golden/{index}.png") for index in range(65)], "more than 64 members"),
    "twice": ([entry("manifest.json", b"{}"), entry("manifest.json", b"{}")], "there twice"),
    "empty": ([], "manifest.json"),
    "no engine": ([entry("readme.txt")], "manifest.json"),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_malicious_archives_are_refused(case: str, store: EngineStore, tmp_path: Path) -> None:
    adds, expected = MALICIOUS[case]
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for add in adds:
            add(tar)
    with pytest.raises(BundleError, match=expected):
        store.import_archive(tmp_path / "evil.tar")
    assert_nothing_written(store, tmp_path, "evil.tar")


def test_everything_is_checked_before_the_first_byte_is_written(exported: Path, tmp_path: Path) -> None:
    """Good members first, the bad one at the end."""
    with tarfile.open(exported) as good, tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for member in good:
            tar.addfile(member, good.extractfile(member))
        entry("../evil.png")(tar)
    (tmp_path / "to").mkdir()
    with open_archive(tmp_path / "evil.tar") as evil, pytest.raises(BundleError, match="not allowed"):
        evil.unpack(tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def rewritten(exported: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    with tarfile.open(exported) as good, tarfile.open(target, "w") as tar:
        for member in good:
            stream = good.extractfile(member)
            assert stream is not None
            data = change(member.name, stream.read())
            if data is not None:
                entry(member.name, data)(tar)
    return target


def test_wrong_hashes_are_refused(exported: Path, store: EngineStore, tmp_path: Path) -> None:
    file = rewritten(exported, tmp_path / "e.tar", lambda name, data: data + b" " if name == "model.onnx" else data)
    with pytest.raises(BundleError, match=r"model\.onnx: sha256 .* the manifest says"):
        store.import_archive(file)
    file = rewritten(
        exported, tmp_path / "f.tar", lambda _, data: data.replace(b'"reject_score": 40.0', b'"reject_score": 90.0')
    )
    with pytest.raises(BundleError, match="does not match engine_id"):
        store.import_archive(file)
    assert_nothing_written(store, tmp_path, "e.tar", "f.tar")


def test_missing_and_foreign_files_are_refused(exported: Path, store: EngineStore, tmp_path: Path) -> None:
    file = rewritten(exported, tmp_path / "e.tar", lambda name, data: None if name.endswith("spot.png") else data)
    with pytest.raises(BundleError, match=r"golden/spot\.png is missing"):
        store.import_archive(file)
    with tarfile.open(exported) as good, tarfile.open(tmp_path / "f.tar", "w") as tar:
        for member in good:
            tar.addfile(member, good.extractfile(member))
        entry("golden/extra.png")(tar)
    with pytest.raises(BundleError, match=r"golden/extra\.png does not belong"):
        store.import_archive(tmp_path / "f.tar")
    assert_nothing_written(store, tmp_path, "e.tar", "f.tar")


def test_what_is_no_archive(store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.tar").write_text("not an archive, but long enough to be one" * 50)
    (tmp_path / "empty.tar").touch()
    os.mkfifo(tmp_path / "pipe.tar")
    for name, expected in (
        ("text.tar", "no tar header at byte 0"),
        ("empty.tar", "cut off"),
        ("pipe.tar", "not a plain file"),
        ("none.tar", "No such file"),
    ):
        with pytest.raises(BundleError, match=expected):
            store.import_archive(tmp_path / name)
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 100)
    with pytest.raises(BundleError, match="at most 100"):
        store.import_archive(tmp_path / "text.tar")
    assert_nothing_written(store, tmp_path, "text.tar", "empty.tar", "pipe.tar")


def test_an_archive_that_does_not_fit_on_the_disk_is_refused_before_it_is_unpacked(
    exported: Path, store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("engines.bundle.archive.shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(BundleError, match=r'needs \d+ bytes, ".*" has 1000 free; make room'):
        store.import_archive(exported)
    assert store.versions() == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_archives_are_refused_or_whole(exported: Path, data: st.DataObject) -> None:
    """Whatever is changed or cut: an EngineError, or an engine that is bit by bit the exported one."""
    original = exported.read_bytes()
    headers = [index for index in range(0, len(original), 512) if original[index + 257 : index + 262] == b"ustar"]
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.sampled_from([0, *headers]))
        position = min(start + data.draw(st.integers(0, 511)), len(content) - 1)
        content[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    folder = exported.parent / "fuzz"
    folder.mkdir(exist_ok=True)
    file = folder / "mutated.tar"
    file.write_bytes(content)
    store = EngineStore(folder / "store")
    try:
        version = store.import_archive(file)
    except EngineError:
        return
    assert manifest_of(version).engine_id == read_bundle(exported.parent / "e").manifest.engine_id
