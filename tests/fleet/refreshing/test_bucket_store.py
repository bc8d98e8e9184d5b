"""Images from moto, an S3 server that others wrote, to an engine: by `make fleet-test`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.commands.main import main
from station.fleet.refreshing.bucket import Bucket
from station.northbound.images.policy import name_of
from station.northbound.images.s3 import Bucket as BucketToPut
from station.northbound.images.stores import Place, StoreError
from tests.bench.fleet import Fleet
from tests.bench.moto import Key, S3Server, s3_server
from tests.bench.tls import Authority
from tests.bench.waiting import wait_for
from tests.fleet.refreshing.steps import QuickStep, worker_of

pytestmark = [pytest.mark.fleet, pytest.mark.system]
BUCKET = "inspection"
RIGHTS = ("s3:ListBucket", "s3:GetObject")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path) as server:
        server.make_bucket(BUCKET)
        yield server


def place_of(store: S3Server, key: Key | None = None, timeout_s: float = 20.0, ca_file: Path | None = None) -> Place:
    key = key or Key("k", "s3 secret of the center")
    return Place(store.endpoint, BUCKET, "us-east-1", key.id, key.secret, ca_file, timeout_s)


def keep_in(fleet: Fleet, store: S3Server, key: Key | None = None) -> None:
    """The stations of the fleet put images there, and the computer that refreshes reads them from there."""
    place = place_of(store, key)
    secret = fleet.folder / "s3.secret"
    secret.write_text(f"{place.secret}\n")
    secret.chmod(0o600)
    lines = (
        f'bucket = "{BUCKET}"\nendpoint = "{store.endpoint}"\nkey_id = "{place.key_id}"\nsecret_file = "s3.secret"\n'
    )
    fleet.keep_in(BucketToPut(place_of(store), "center/.station-images"), Bucket(place), lines)


def test_names_and_contents_come_back_page_by_page(store: S3Server) -> None:
    put, bucket = BucketToPut(place_of(store), "m"), Bucket(place_of(store))
    names = [f"ST%2004/2027-01-15/s%3A1/{number:09d}-top.png" for number in range(1, 1203)]
    for name in names:
        assert store.ask("PUT", f"/{BUCKET}/{name.replace('%', '%25')}", b"x")[0] == 200
    assert put.put("ST%2004/2027-01-16/s1/000000001-ü.png", b"ours")
    assert sorted(bucket.names("ST%2004/2027-01-15", 5000)) == names
    assert bucket.names("ST%2004/2027-01-1", 5000) == []
    assert bucket.names("ST%2004/2027-01-16", 5) == ["ST%2004/2027-01-16/s1/000000001-ü.png"]
    assert bucket.read("ST%2004/2027-01-16/s1/000000001-ü.png", 4) == b"ours"
    assert bucket.read("ST%2004/2027-01-16/s1/000000002-top.png", 4) is None
    with pytest.raises(ValueError, match="more than 3 bytes"):
        bucket.read("ST%2004/2027-01-16/s1/000000001-ü.png", 3)
    with pytest.raises(StoreError, match="more than 1100 images"):
        bucket.names("ST%2004/2027-01-15", 1100)


def test_two_rights_are_enough_and_the_signature_is_checked(store: S3Server) -> None:
    assert store.ask("PUT", f"/{BUCKET}/a/b%20c%2520%C3%BC.png", b"one")[0] == 200
    key = store.with_keys(BUCKET, *RIGHTS)
    bucket = Bucket(place_of(store, key))
    assert bucket.reach() == ""
    assert bucket.names("a", 5) == ["a/b c%20ü.png"]
    assert bucket.read("a/b c%20ü.png", 5) == b"one"
    assert "[images] secret_file" in Bucket(place_of(store, Key(key.id, "another"))).reach()
    assert "[images] key_id" in Bucket(place_of(store, Key("another", key.secret))).reach()


@pytest.mark.parametrize("rights", [("s3:ListBucket",), ("s3:GetObject",), ("s3:PutObject",)])
def test_a_right_that_is_missing_is_said(rights: tuple[str, ...], store: S3Server) -> None:
    key = store.with_keys(BUCKET, *rights)
    assert "s3:ListBucket and s3:GetObject" in Bucket(place_of(store, key)).reach()


def test_a_bucket_that_is_missing_and_a_certificate_of_others(store: S3Server, tmp_path: Path) -> None:
    place = place_of(store)
    another = Bucket(Place(place.endpoint, "another", place.region, place.key_id, place.secret))
    assert "there is no such bucket" in another.reach()
    authority = Authority(tmp_path)
    with s3_server(tmp_path, authority.certificate("127.0.0.1")) as encrypted:
        assert "there is no such bucket" in Bucket(place_of(encrypted, ca_file=authority.file)).reach()
        assert "[images] ca_file" in Bucket(place_of(encrypted)).reach()


@pytest.mark.timeout(240)
def test_an_engine_from_images_of_the_bucket(fleet: Fleet, store: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    keep_in(fleet, store)
    fleet.send_usual("ST-04")
    (fleet.share / ".station-images").unlink()
    assert list(fleet.share.iterdir()) == []
    code = main(["fleet", "refresh", "--workers", "1", "--steps", "0", "--defect-trials", "0", "--location", "none",
                 "--refine", "none", "--json", "--config", str(fleet.config)])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    (job,) = json.loads(said.out)["jobs"]
    assert (job["state"], job["report"]["images"], job["tries"]) == ("done", 34, 1)
    secret = place_of(store).secret
    assert secret not in said.out + said.err
    assert secret not in repr(fleet.ask("SELECT * FROM station_fleet.refresh_jobs"))
    report = fleet.results.report(Path(job["archive"]).stem)
    files = [path for folder in (report, fleet.folder / "work") for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_store_that_goes_in_the_middle_costs_tries_and_ends_with_a_reason(fleet: Fleet, store: S3Server) -> None:
    keep_in(fleet, store)
    fleet.readable = Bucket(place_of(store, timeout_s=1.0), sleep=lambda _pause: None)
    fleet.send_usual("ST-04", 4, 1)
    (number,) = fleet.add("ST-04")
    asked = fleet.readable.read

    def read(name: str, most: int) -> bytes | None:
        store.freeze()
        return asked(name, most)

    fleet.readable.read = read  # type: ignore[method-assign]
    worker = worker_of(fleet, QuickStep())
    outcomes = []
    for _ in range(3):
        ended = worker.work_one()
        assert ended is not None
        outcomes.append(ended.outcome)
        store.thaw()
    assert outcomes == ["again", "again", "failed"]
    assert "the store of images: " in fleet.job(number).detail
    assert "not done within 1 s" in fleet.job(number).detail
    store.stop()
    assert "refused" in worker.reach(), "a job that is taken then would only lose a try"
    store.start()
    wait_for(lambda: "no such bucket" in worker.reach(), "the store, which has forgotten everything")


def test_images_that_are_something_else_are_left_out(fleet: Fleet, store: S3Server) -> None:
    import hashlib

    keep_in(fleet, store)
    rows = fleet.send_usual("ST-04", 6, 1)
    whole = store.objects(BUCKET)
    fleet.ask(
        "UPDATE station_fleet.parts SET views = jsonb_set(views, '{0,image_sha256}', to_jsonb(%s::text)) "
        "WHERE acquisition_id = 1", (hashlib.sha256(whole[name_of("ST-04", rows[0], rows[0].views[0])]).hexdigest(),),
    )  # fmt: skip
    first, second = (name_of("ST-04", row, row.views[0]) for row in rows[:2])
    day = first.rsplit("/", 2)[0]
    for name, content in (
        (first, whole[second]),
        (second, b"no image"),
        (f"{day}/../../../etc/000000001-top.png", b"x"),
        (f"{day}/s1/deeper/000000001-top.png", b"x"),
        (f"{day}/s1/1-top.png", whole[second]),
    ):
        assert store.ask("PUT", f"/{BUCKET}/{name}", content)[0] == 200
    fleet.add("ST-04")
    step = QuickStep()
    ended = worker_of(fleet, step).work_one()
    assert ended is not None
    assert ended.outcome == "done", ended.detail
    ((_, gathered, _),) = step.seen
    assert sorted(image.key for image in gathered.images) == [f"s1/{number}" for number in range(3, 8)]
    assert gathered.left_out == {
        "they are not what the station has sent: another hash": 1,
        "they cannot be decoded": 1,
        "no station gives such a name": 3,
    }
