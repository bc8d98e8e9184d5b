"""Images to moto, an S3 server that others wrote: the same as against the store of the tests, by `make fleet-test`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.configuration.load import load_station
from station.forwarding.progress import Cursor, forwarding_beside, read_progress
from station.northbound.images.s3 import Bucket
from station.northbound.images.stores import Place, StoreError
from tests.bench.moto import S3Server, s3_server
from tests.bench.tls import Authority
from tests.bench.waiting import wait_for
from tests.northbound.images.test_images import Bench, parts, record_images
from tests.northbound.plant_process import ended, said, started

pytestmark = [pytest.mark.fleet, pytest.mark.system]
BUCKET = "inspection"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path) as server:
        server.make_bucket(BUCKET)
        yield server


def bucket_of(
    server: S3Server, key: str = "k", secret: str = "s", ca_file: Path | None = None, timeout_s: float = 20.0
) -> Bucket:
    return Bucket(Place(server.endpoint, BUCKET, "us-east-1", key, secret, ca_file, timeout_s), "ST/.station-images")


def test_names_and_contents_are_those_of_a_folder(server: S3Server, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    share, bench = Bench(here), Bench(there, store=bucket_of(server))
    for each in (share, bench):
        each.drain()
        record_images(each.records, parts(1, 3))
        each.drain()
    assert server.objects(BUCKET) == {name: (share.share / name).read_bytes() for name in share.there()}
    before = server.objects(BUCKET)
    bench.cursors.place("images", Cursor(0))
    bench.start()
    bench.drain()
    assert server.objects(BUCKET) == before
    assert not bucket_of(server).put(share.there()[0], b"another")
    assert server.objects(BUCKET) == before


def test_the_right_to_put_is_enough_and_the_signature_is_checked(server: S3Server) -> None:
    key = server.with_keys(BUCKET, "s3:PutObject")
    assert bucket_of(server, key.id, key.secret).put("a/b c%20ü.png", b"one")
    assert not bucket_of(server, key.id, key.secret).put("a/b c%20ü.png", b"two")
    assert "[images] secret_file" in bucket_of(server, key.id, "another").reach()
    assert "[images] key_id" in bucket_of(server, "another", key.secret).reach()
    server.check_keys(after=100)
    assert server.objects(BUCKET) == {"a/b c%20ü.png": b"one"}


def test_a_key_that_may_only_read_is_said(server: S3Server) -> None:
    key = server.with_keys(BUCKET, "s3:GetObject")
    assert "s3:PutObject" in bucket_of(server, key.id, key.secret).reach()


def test_a_bucket_that_is_missing_is_said(server: S3Server) -> None:
    place = Place(server.endpoint, "another", "us-east-1", "k", "s")
    assert "there is no such bucket" in Bucket(place, "m").reach()


def test_a_store_that_is_frozen_is_left_and_found_again(server: S3Server) -> None:
    bucket = bucket_of(server, timeout_s=1.0)
    server.freeze()
    with pytest.raises(StoreError, match="within 1 s"):
        bucket.put("a", b"b")
    server.thaw()
    bucket.put("a", b"b")
    assert server.objects(BUCKET) == {"a": b"b"}


def test_its_certificate_must_be_of_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with s3_server(tmp_path, authority.certificate("127.0.0.1")) as server:
        assert "there is no such bucket" in bucket_of(server, ca_file=authority.file).reach()
        assert "certificate" in bucket_of(server).reach()


def test_the_process_sends_what_waited_while_the_store_was_away(
    server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s3.secret").write_text("s\n")
    (tmp_path / "s3.secret").chmod(0o600)
    config = tmp_path / "station.toml"
    config.write_text(
        '[station]\nname = "ST"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'
        f'[images]\nbucket = "{BUCKET}"\nendpoint = "{server.endpoint}"\nkey_id = "k"\nsecret_file = "s3.secret"\n'
    )
    records = load_station(config).records_dir
    process = started(config, "images http://127.0.0.1")
    wait_for(lambda: read_progress(forwarding_beside(records)) != [], "its first look")
    server.stop()
    record_images(records, parts(1, 25))
    wait_for(lambda: said(config, capsys, "plant", "status")[0] == 1, "the failure")
    server.start()
    server.make_bucket(BUCKET)
    wait_for(lambda: len(server.objects(BUCKET)) >= 25, "every image")
    wait_for(lambda: said(config, capsys, "plant", "status")[0] == 0, "all is well")
    code, _ = ended(process, signal.SIGTERM)
    assert code == 0
    assert len({name for name in server.objects(BUCKET) if name.endswith(".png")}) == 25
