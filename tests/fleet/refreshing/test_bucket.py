"""Images from an S3 store: pages, sizes and time are bounded, redirects lead nowhere, and the reason is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from station.commissioning.plant_check import images_findings
from station.configuration.load import load_station
from station.fleet.refreshing import bucket as bucket_module
from station.fleet.refreshing.assembly import images_of
from station.fleet.refreshing.bucket import Bucket
from station.fleet.refreshing.s3_signature import Signer, path_of, query_of
from station.northbound.images.stores import Place, StoreError
from tests.bench.s3 import BUCKET, KEY_ID, SECRET, Store, storing
from tests.bench.tls import Authority
from tests.northbound.images.test_s3 import configured

DAY = "ST%2004/2027-01-15"
ONE = f"{DAY}/s1/000000001-top.png"


@pytest.fixture
def store() -> Iterator[Store]:
    with storing() as store:
        yield store


def place_of(store: Store, timeout_s: float = 20.0, ca_file: Path | None = None) -> Place:
    return Place(store.endpoint, BUCKET, "plant-1", KEY_ID, SECRET, ca_file, timeout_s)


def bucket_of(store: Store, timeout_s: float = 20.0, ca_file: Path | None = None) -> Bucket:
    return Bucket(place_of(store, timeout_s, ca_file), sleep=lambda _pause: None)


def hold(store: Store, *names: str, content: bytes = b"one") -> None:
    for name in names:
        store.objects[path_of(BUCKET, name)] = content


def test_the_signature_is_that_of_the_examples_of_the_specification() -> None:
    """Amazon S3 API Reference, Signature Calculations for the Authorization Header, examples 1 and 4."""
    signer = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    host, now = "examplebucket.s3.amazonaws.com", datetime(2013, 5, 24, tzinfo=timezone.utc)
    listed = signer.headers(host, "/", {"prefix": "J", "max-keys": "2"}, now)
    assert listed["Authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    read = signer.headers(host, "/test.txt", {}, now, {"range": "bytes=0-9"})
    assert read["Authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    assert signer.secret not in repr(signer)


def test_a_name_and_a_query_are_quoted_as_they_are_signed() -> None:
    assert path_of("b", "a b/ü%2E+=~.png") == "/b/a%20b/%C3%BC%252E%2B%3D~.png"
    assert query_of({"prefix": "ST%2004/", "list-type": "2"}) == "list-type=2&prefix=ST%252004%2F"


def test_a_day_is_listed_page_by_page_and_an_image_is_what_was_put(store: Store) -> None:
    names = [f"{DAY}/s1/{number:09d}-top.png" for number in range(1, 8)]
    hold(store, *names, f"{DAY}5/s1/000000001-top.png", "ST%2005/2027-01-15/s1/000000001-top.png")
    hold(store, f"{DAY}/ü &<+/%/1.png", f"{DAY}/../../etc/passwd", f"{DAY}//x.png", content=b"strange")
    store.page = 3
    bucket = bucket_of(store)
    found = bucket.names(DAY, 10)
    assert sorted(found) == sorted([*names, f"{DAY}/ü &<+/%/1.png", f"{DAY}/../../etc/passwd", f"{DAY}//x.png"])
    assert len(store.targets) == 4
    assert bucket.read(ONE, 3) == b"one"
    assert bucket.read(f"{DAY}/ü &<+/%/1.png", 100) == b"strange"
    assert bucket.read(f"{DAY}/s1/000000009-top.png", 3) is None
    assert bucket.names("ST-99/2027-01-15", 10) == []
    with pytest.raises(StoreError, match="more than 9 images of one day"):
        bucket.names(DAY, 9)


def test_what_is_larger_than_it_may_be_is_not_read(store: Store) -> None:
    hold(store, ONE, content=bytes(1000))
    bucket = bucket_of(store)
    with pytest.raises(ValueError, match="more than 999 bytes"):
        bucket.read(ONE, 999)
    store.mode = "endless"
    with pytest.raises(ValueError, match="more than 5000000 bytes"):
        bucket.read(ONE, 5_000_000)
    with pytest.raises(StoreError, match="its list is more than"):
        bucket.names(DAY, 10)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("403 InvalidAccessKeyId", "[images] key_id"),
        ("403 SignatureDoesNotMatch", "[images] secret_file"),
        ("403 AccessDenied", "s3:ListBucket and s3:GetObject"),
        ("403 ", "[images] key_id, secret_file"),
        ("404 NoSuchBucket", "there is no such bucket"),
        ("404 ", "[images] endpoint, bucket"),
        ("400 AuthorizationHeaderMalformed", "[images] region"),
        ("403 InvalidObjectState", "archived"),
        ("301 PermanentRedirect", "[images] endpoint, region"),
        ("204 ", "it replied 204"),
    ],
)
def test_what_does_not_come_right_by_itself_is_said_at_once(mode: str, why: str, store: Store) -> None:
    hold(store, ONE)
    store.mode = mode
    bucket = bucket_of(store)
    for ask in (lambda: bucket.read(ONE, 10), lambda: bucket.names(DAY, 10)):
        before = store.requests
        with pytest.raises(StoreError) as problem:
            ask()
        assert why in str(problem.value)
        assert bucket.where in str(problem.value)
        assert SECRET not in str(problem.value)
        assert store.requests == before + 1
    assert why in bucket.reach()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("503 SlowDown", "slow down"),
        ("500 InternalError", "InternalError: it replied 500"),
        ("reset", "closed connection"),
        ("cut", "does not say how long it is"),
        ("half", "cut off"),
    ],
)
def test_what_may_come_right_is_asked_for_again_and_given_up(mode: str, why: str, store: Store) -> None:
    hold(store, ONE, content=b"of some length")
    pauses: list[float] = []
    bucket = Bucket(place_of(store), sleep=pauses.append)
    store.modes = [mode, mode]
    assert bucket.read(ONE, 100) == b"of some length"
    assert pauses == [0.5, 1.0]
    store.mode = mode
    before = store.requests
    with pytest.raises(StoreError) as problem:
        bucket.names(DAY, 10)
    assert why in str(problem.value)
    assert store.requests == before + bucket_module.TRIES


@pytest.mark.parametrize("mode", ["hang", "trickle"])
def test_a_store_that_hangs_is_left_within_the_time_limit(
    mode: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "TRIES", 1)
    store.mode = mode
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"not done within 1 s; \[images\] timeout_s"):
        bucket_of(store, 1.0).read(ONE, 100)
    assert time.monotonic() - began < 10.0


def test_a_store_that_is_not_there_is_said() -> None:
    with storing() as store:
        pass
    assert "refused" in bucket_of(store).reach()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_elsewhere(status: int, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another would be asked, its images would be learned from."""
    with storing() as elsewhere:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "AWS_ENDPOINT_URL"):
            monkeypatch.setenv(name, elsewhere.endpoint)
        hold(elsewhere, ONE)
        store.mode = f"redirect {status} {elsewhere.endpoint}"
        for ask in (lambda: bucket_of(store).read(ONE, 10), lambda: bucket_of(store).names(DAY, 10)):
            with pytest.raises(StoreError, match=r"\[images\] endpoint, region"):
                ask()
        assert elsewhere.requests == 0


LIST = "<ListBucketResult><EncodingType>url</EncodingType>{}</ListBucketResult>"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<html>please sign in</html>", "as no S3 store does (<html>)"),
        (b"", "as no S3 store does"),
        (LIST.format("<Contents>").encode(), "as no S3 store does"),
        (b'<!DOCTYPE x [<!ENTITY a "aa">]>' + LIST.format("&a;").encode(), "it has a document type"),
        (LIST.format("<IsTruncated>true</IsTruncated>").encode(), "goes on, and not where"),
        (b"\x89PNG", "as no S3 store does"),
    ],
)
def test_a_list_that_is_none_is_refused(raw: bytes, why: str, store: Store) -> None:
    store.mode, store.raw = "raw", raw
    with pytest.raises(StoreError) as problem:
        bucket_of(store).names(DAY, 10)
    assert why in str(problem.value)


def test_a_list_that_does_not_end_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(store, ONE)
    store.mode = "loop"
    with pytest.raises(StoreError, match="does not end"):
        bucket_of(store).names(DAY, 10)
    hold(store, *(f"{DAY}/s1/{number:09d}-top.png" for number in range(50)))
    store.page = 1
    monkeypatch.setattr(bucket_module, "LIST_S", 0.0)
    with pytest.raises(StoreError, match="does not end"):
        bucket_of(store).names(DAY, 1000)


def test_the_store_checks_the_key_and_its_clock(store: Store) -> None:
    """Else the tests above would show nothing."""
    right = place_of(store)
    assert bucket_of(store).reach() == ""
    for place, why in (
        (replace(right, secret="another"), "[images] secret_file"),
        (replace(right, key_id="another"), "[images] key_id"),
        (replace(right, bucket="another"), "there is no such bucket"),
        (replace(right, region="plant-2"), "[images] region"),
    ):
        assert why in Bucket(place).reach()
    store.skew_s = 3600.0
    assert "clocks" in bucket_of(store).reach()
    assert SECRET not in repr(right)


def test_its_certificate_must_be_of_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with storing(Store(certificate=authority.certificate("127.0.0.1"))) as store:
        hold(store, ONE)
        assert bucket_of(store, ca_file=authority.file).read(ONE, 10) == b"one"
        assert "[images] ca_file" in bucket_of(store).reach()
    with storing(Store(certificate=authority.certificate("192.0.2.1"))) as store:
        assert "not trusted" in bucket_of(store, ca_file=authority.file).reach()
        with pytest.raises(StoreError, match=r"\[images\] ca_file"):
            bucket_of(store, ca_file=tmp_path / "none.pem")


def test_a_computer_that_refreshes_is_checked_for_what_it_does(store: Store, tmp_path: Path) -> None:
    config = configured(tmp_path, store.endpoint, '[fleet]\nresults = "results"\n')
    station = load_station(config)
    finding = next(images_findings(station))
    assert finding.ok
    assert "can be read" in finding.detail
    assert store.objects == {}, "it puts nothing"
    assert images_of(station).names("ST/2027-01-15", 5) == []
    store.mode = "403 AccessDenied"
    assert "s3:GetObject" in next(images_findings(station)).detail
