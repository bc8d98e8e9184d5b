"""Images to an S3 store: put once and never over, whatever the store does; the reason is said, and nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from station.commissioning.plant_check import images_findings
from station.configuration.load import ConfigurationError, LoadedConfiguration, load_station
from station.forwarding.progress import Cursor, forwarding_beside, read_progress
from station.northbound.images.assembly import store_of
from station.northbound.images.s3 import Bucket
from station.northbound.images.stores import Place, StoreError
from station.northbound.process import names_of
from tests.bench.s3 import BUCKET, KEY_ID, SECRET, Store, storing
from tests.bench.tls import Authority
from tests.bench.waiting import wait_for
from tests.northbound.images.test_images import Bench, parts, record_images
from tests.northbound.plant_process import ended, said, started

MARK = "ST/.station-images"


@pytest.fixture
def store() -> Iterator[Store]:
    with storing() as store:
        yield store


def place_of(store: Store, timeout_s: float = 20.0, ca_file: Path | None = None) -> Place:
    return Place(store.endpoint, BUCKET, "plant-1", KEY_ID, SECRET, ca_file, timeout_s)


def test_an_image_is_put_once_with_its_checksum_and_never_over(store: Store) -> None:
    bucket = Bucket(place_of(store), MARK)
    assert bucket.put("ST%2004/2027-01-15/s1/000000001-top.png", b"one")
    assert not bucket.put("ST%2004/2027-01-15/s1/000000001-top.png", b"another")
    assert store.objects == {f"/{BUCKET}/ST%252004/2027-01-15/s1/000000001-top.png": b"one"}
    assert store.headers["if-none-match"] == "*"
    checksum = base64.b64encode(hashlib.sha256(b"another").digest()).decode()
    assert store.headers["x-amz-checksum-sha256"] == checksum


TROUBLES = {
    "403 InvalidAccessKeyId": "[images] key_id",
    "403 SignatureDoesNotMatch": "[images] secret_file",
    "403 AccessDenied": "s3:PutObject",
    "403 ": "[images] key_id, secret_file",
    "404 NoSuchBucket": "there is no such bucket",
    "404 ": "[images] endpoint, bucket",
    "403 RequestTimeTooSkewed": "clocks of station and store",
    "400 AuthorizationHeaderMalformed": "[images] region",
    "301 PermanentRedirect": "[images] endpoint, region",
    "501 NotImplemented": "If-None-Match",
    "503 SlowDown": "slow down",
    "507 XMinioStorageFull": "full",
    "507 ": "full",
    "500 InternalError": "InternalError: it replied 500",
    "409 ConditionalRequestConflict": "ConditionalRequestConflict: it replied 409",
    "304 ": "it replied 304",
    "reset": "closed without a whole reply",
    "cut": "closed without a whole reply",
    "deaf": "as no S3 store does",
}


@pytest.mark.parametrize("mode", TROUBLES)
def test_what_the_store_refuses_is_said_and_comes_again(mode: str, store: Store, tmp_path: Path) -> None:
    bench = Bench(tmp_path, store=Bucket(place_of(store), MARK))
    bench.drain()
    bench.record(parts(1, 2))
    store.mode = mode
    assert [bench.drain(), bench.drain()] == [1.0, 2.0]
    assert TROUBLES[mode] in bench.progress.detail
    assert store.endpoint in bench.progress.detail
    assert SECRET not in bench.progress.detail
    assert bench.progress.cursor.last_id == 0
    store.mode = "take"
    bench.drain()
    assert sorted(name[-17:-8] for name in store.objects) == ["000000001", "000000002"]
    assert bench.progress.failing_since is None


def test_the_store_checks_what_a_real_one_checks(store: Store) -> None:
    """Else the tests above would show nothing."""
    right = place_of(store)
    for place, why in (
        (replace(right, secret="another"), "[images] secret_file"),
        (replace(right, key_id="another"), "[images] key_id"),
        (replace(right, bucket="another"), "there is no such bucket"),
        (replace(right, region="plant-2"), "[images] region"),
    ):
        assert why in Bucket(place, MARK).reach()
    store.skew_s = 3600.0
    assert "clocks" in Bucket(right, MARK).reach()
    assert store.objects == {}


@pytest.mark.parametrize("mode", ["hang", "trickle"])
def test_a_store_that_hangs_is_left_within_the_time_limit(mode: str, store: Store) -> None:
    store.mode = mode
    began = time.monotonic()
    with pytest.raises(StoreError, match="within 1 s"):
        Bucket(place_of(store, 1.0), MARK).put("a", b"b")
    assert time.monotonic() - began < 10.0


def test_an_image_that_was_stored_without_a_reply_is_there_once(store: Store, tmp_path: Path) -> None:
    bench = Bench(tmp_path, store=Bucket(place_of(store), MARK))
    bench.drain()
    bench.record(parts(1, 1))
    store.mode = "late"
    assert bench.drain() == 1.0
    before = dict(store.objects)
    assert len(before) == 1
    store.mode = "take"
    bench.drain()
    assert store.objects == before
    assert bench.progress.cursor.last_id == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_images_elsewhere(status: int, store: Store) -> None:
    with storing() as elsewhere:
        store.mode = f"redirect {status} {elsewhere.endpoint}"
        with pytest.raises(StoreError, match=str(status)):
            Bucket(place_of(store), MARK).put("a", b"b")
        assert elsewhere.requests == 0


def test_nothing_of_the_environment_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands there for other programs: a proxy, an address, a session, no signature."""
    with storing() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.endpoint)
        settings = {
            "SESSION_TOKEN": "x", "SKIP_SIGNATURE": "true", "UNSIGNED_PAYLOAD": "true", "DEFAULT_REGION": "y",
            "ENDPOINT_URL_S3": proxy.endpoint, "ENDPOINT_URL": proxy.endpoint, "PROXY_URL": proxy.endpoint,
            "CONDITIONAL_PUT": "disabled", "CHECKSUM_ALGORITHM": "none", "ALLOW_HTTP": "false",
        }  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        assert Bucket(place_of(store), MARK).put("a", b"b")
        away = replace(place_of(store), endpoint="http://s3.invalid")
        assert "nobody knows this name" in Bucket(away, MARK).reach()
        assert proxy.requests == 0
    assert "x-amz-security-token" not in store.headers


def test_a_store_that_is_not_there_is_said_and_is_found_again(tmp_path: Path) -> None:
    with storing() as store:
        pass
    bucket = Bucket(place_of(store), MARK)
    bench = Bench(tmp_path, store=bucket)
    bench.drain()
    bench.record(parts(1, 1))
    assert bench.drain() == 1.0
    assert "cannot be reached" in bench.progress.detail
    with storing(store):
        bench.drain()
    assert len(store.objects) == 1


def test_what_is_there_already_is_done(store: Store, tmp_path: Path) -> None:
    bench = Bench(tmp_path, store=Bucket(place_of(store), MARK))
    bench.drain()
    bench.record(parts(1, 3))
    bench.drain()
    before = dict(store.objects)
    bench.cursors.place("images", Cursor(0))
    bench.start()
    bench.drain()
    assert store.objects == before
    assert bench.progress.cursor.last_id == 3


def test_its_certificate_must_be_of_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with storing(Store(certificate=authority.certificate("127.0.0.1"))) as store:
        assert Bucket(place_of(store, ca_file=authority.file), MARK).put("a", b"b")
        why = Bucket(place_of(store), MARK).reach()
        assert "[images] ca_file" in why
    with storing(Store(certificate=authority.certificate("192.0.2.1"))) as store:
        assert "not one for this address" in Bucket(place_of(store, ca_file=authority.file), MARK).reach()
    assert list(store.objects) == []


def test_authorities_that_cannot_be_read_are_said(store: Store, tmp_path: Path) -> None:
    for file, content in ((tmp_path / "none.pem", None), (tmp_path / "bad.pem", "no certificate")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(StoreError, match=r"\[images\] ca_file"):
            Bucket(place_of(store, ca_file=file), MARK)


def configured(folder: Path, endpoint: str, more: str = "") -> Path:
    secret = folder / "s3.secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o640)
    config = folder / "station.toml"
    config.write_text(
        '[station]\nname = "ST"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'
        f'[images]\nbucket = "{BUCKET}"\nendpoint = "{endpoint}"\nregion = "plant-1"\nkey_id = "{KEY_ID}"\n'
        f'secret_file = "s3.secret"\n{more}'
    )
    return config


def loaded(folder: Path, endpoint: str, more: str = "") -> LoadedConfiguration:
    return load_station(configured(folder, endpoint, more))


def test_the_check_says_what_is_wrong_and_puts_one_small_object_once(store: Store, tmp_path: Path) -> None:
    station = loaded(tmp_path, store.endpoint)
    assert station.settings.sends_to_plant
    assert names_of(station) == ["images"]
    for _ in range(2):
        assert next(images_findings(station)).ok
    assert store.objects == {f"/{BUCKET}/{MARK}": b""}
    store.mode = "403 AccessDenied"
    (finding,) = images_findings(station)
    assert "s3:PutObject" in finding.detail
    assert not finding.ok
    (tmp_path / "s3.secret").chmod(0o644)
    assert "chmod o=" in next(images_findings(station)).detail
    assert SECRET not in repr(place_of(store))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('bucket = "inspection"', "endpoint"),
        ('bucket = "inspection"\nendpoint = "https://s3.plant"', "key_id and secret_file"),
        ('bucket = "In/spection"', "pattern"),
        ('bucket = "inspection"\nfolder = "share"', "one of the two"),
        ('endpoint = "ftp://s3.plant"', "give https://HOST:PORT"),
        ('endpoint = "https://me:word@s3.plant"', "no name and password"),
        ('endpoint = "https://s3.plant/inspection"', "host and port alone"),
        (
            'bucket = "inspection"\nendpoint = "http://s3.plant"\nkey_id = "k"\nsecret_file = "f"',
            "in clear",
        ),
    ],
)
def test_a_bucket_that_is_half_configured_is_refused(lines: str, why: str, tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text(f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[images]\n{lines}\n')
    with pytest.raises(ConfigurationError, match="images") as problem:
        load_station(config)
    assert why in str(problem.value)


def test_http_to_another_computer_may_be_meant(tmp_path: Path) -> None:
    assert store_of(loaded(tmp_path, "http://s3.plant:3900", "unencrypted = true\n")).where.startswith(
        "http://s3.plant"
    )


@pytest.mark.system
def test_killed_again_and_again_with_its_store_away_meanwhile(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path, store.endpoint, "timeout_s = 1.0\n")
    records = load_station(config).records_dir
    file = forwarding_beside(records)
    process = started(config, "images http://127.0.0.1")
    wait_for(lambda: read_progress(file) != [], "its first look")
    modes = ("late", "503 SlowDown", "hang", "403 SignatureDoesNotMatch", "take")
    for turn, mode in enumerate(modes):
        record_images(records, parts(5 * turn + 1, 5 * turn + 5))
        before, store.mode = store.requests, mode
        wait_for(lambda before=before: store.requests > before, mode)  # type: ignore[misc]
        if turn == 3:
            wait_for(lambda: "secret_file" in (read_progress(file)[0].detail or ""), "what it says")
            code, found = said(config, capsys, "plant", "status")
            assert (code, found["connectors"][0]["name"]) == (1, "images")
        if mode != "take":
            assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
            process = started(config, "images http://127.0.0.1")
    wait_for(lambda: len(store.objects) == 25, "every image")
    wait_for(lambda: said(config, capsys, "plant", "status")[0] == 0, "all is well")
    store.mode = "hang"
    record_images(records, parts(26, 26))
    before = store.requests
    wait_for(lambda: store.requests > before, "one that hangs")
    code, log = ended(process, signal.SIGTERM)
    assert code == 0
    assert SECRET not in log
    assert not any(SECRET in one.read_text(errors="replace") for one in file.parent.rglob("*") if one.is_file())
