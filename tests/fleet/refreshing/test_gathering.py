"""What a job learns from: parts with rows, images that are what was sent; everything else is left out and counted."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from station.fleet.refreshing import gathering
from station.fleet.refreshing.bucket import Bucket
from station.fleet.refreshing.gathering import FleetImage, Gathered, Source, gather
from station.fleet.refreshing.jobs import FleetError, Job, Unlucky
from station.northbound.images.policy import name_of
from station.northbound.images.s3 import Bucket as BucketToPut
from station.northbound.images.stores import MARK, Folder, Place
from station.results import Verdict
from tests.bench.engines.pictures import ring
from tests.bench.fleet import Fleet
from tests.bench.s3 import BUCKET, KEY_ID, SECRET, storing

pytestmark = pytest.mark.system


def taken(
    fleet: Fleet, station: str = "ST-04", *, parts: int = 500, days: int = 30, most_bytes: int = 1 << 30
) -> tuple[Job, Gathered]:
    fleet.add(station)
    table = fleet.table("w")
    try:
        job = table.take(60.0)
        assert job is not None
        job = Job(**{name: getattr(job, name) for name in job.__slots__} | {"parts": parts})
        source = Source(table, fleet.readable, days, datetime.fromtimestamp(fleet.now, timezone.utc).date(), most_bytes)
        return job, gather(source, job, fleet.folder / "gathered", lambda _step, _done, _total: None)
    finally:
        table.close()


def by_key(found: Gathered) -> dict[str, FleetImage]:
    return {image.key: image for image in found.images}


def test_images_come_with_verdicts_and_labels_in_the_order_of_capture(fleet: Fleet) -> None:
    rows = fleet.send_usual("ST-04", 6, 3)
    fleet.send("ST-05", {1: Verdict.PASS})
    fleet.send("ST-04", {50: Verdict.PASS}, recipe="other")
    fleet.send("ST-04", {60: Verdict.PASS}, days_ago=40)
    fleet.send("ST-04", {70: Verdict.PASS}, days_ago=3, session="2026-11-27T08:00:00+01:00/ü")
    fleet.label("ST-04", rows[0], "defective", "scratch")
    fleet.label("ST-04", rows[0], "good")
    fleet.label("ST-04", rows[8], "defective", "scratch", camera="top")
    fleet.label("ST-04", rows[7], "unsure")
    _, found = taken(fleet)
    assert [image.key for image in found.images] == [
        "2026-11-27T08:00:00+01:00/ü/70", *(f"s1/{number}" for number in range(1, 10)),
    ]  # fmt: skip
    images = by_key(found)
    assert [images[f"s1/{n}"].verdict for n in (1, 6, 7)] == ["PASS", "PASS", "FAIL"]
    said = {key: (image.label, image.defect_class) for key, image in images.items() if image.label}
    assert said == {"s1/1": ("good", ""), "s1/9": ("defective", "scratch")}
    assert images["s1/9"].camera == "top"
    assert images["s1/9"].part_id == "1009"
    assert found.left_out == {"their parts have no row in the database, or are of another recipe": 1}
    assert all(image.image.parent == fleet.folder / "gathered" for image in found.images)


def test_the_newest_good_ones_and_no_flood_of_bad_ones(fleet: Fleet) -> None:
    fleet.send("ST-04", {n: Verdict.PASS if n % 2 else Verdict.FAIL for n in range(1, 41)})
    fleet.send("ST-04", dict.fromkeys(range(101, 106), Verdict.PASS), days_ago=2.5)
    _, found = taken(fleet, parts=10)
    verdicts = [image.verdict for image in found.images]
    assert (verdicts.count("PASS"), verdicts.count("FAIL")) == (10, 4)
    assert min(int(image.key.partition("/")[2]) for image in found.images if image.verdict == "PASS") == 21


def test_what_people_said_is_looked_for_further_back(fleet: Fleet) -> None:
    fleet.send("ST-04", dict.fromkeys(range(1, 11), Verdict.PASS) | dict.fromkeys(range(11, 16), Verdict.FAIL))
    old = fleet.send("ST-04", dict.fromkeys(range(101, 103), Verdict.FAIL), days_ago=9)
    fleet.label("ST-04", old[0], "defective")
    _, found = taken(fleet, parts=8)
    assert "s1/101" in by_key(found)
    assert "s1/102" not in by_key(found)


def test_nothing_of_the_share_is_believed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = fleet.send("ST-04", dict.fromkeys(range(1, 9), Verdict.PASS), hashed=lambda c: hashlib.sha256(c).hexdigest())
    places = [fleet.share / name_of("ST-04", row, row.views[0]) for row in rows]
    whole = places[0].read_bytes()
    secret = fleet.folder / "secret.png"
    secret.write_bytes(whole)
    monkeypatch.setattr(gathering, "MOST_BYTES", len(whole) * 2)
    places[0].write_bytes(ring_bytes(99))  # another picture: the hash says so
    for row, content in ((rows[1], whole[:-40]), (rows[2], bomb()), (rows[3], b"GIF89a")):
        fleet.ask(  # these have the right hash: an attacker may write both
            "UPDATE station_fleet.parts SET views = jsonb_set(views, '{0,image_sha256}', to_jsonb(%s::text)) "
            "WHERE acquisition_id = %s", (hashlib.sha256(content).hexdigest(), row.acquisition_id),
        )  # fmt: skip
        (fleet.share / name_of("ST-04", row, row.views[0])).write_bytes(content)
    places[4].unlink()
    places[4].symlink_to(secret)
    places[5].write_bytes(whole + bytes(len(whole) * 2))
    os.mkfifo(places[0].with_name("000000099-top.png"))
    for name in (
        "top.png",
        "12.png",
        "000000001-top.jpg",
        "99999999999999999999-top.png",
        "..-top.png",
        "000000001-a%00b.png",
        "000000007-left.png",
    ):
        places[0].with_name(name).write_bytes(whole)
    _, found = taken(fleet)
    assert [image.key for image in found.images] == ["s1/7", "s1/8"]
    assert found.left_out == {
        "they are not what the station has sent: another hash": 1,
        "they cannot be decoded": 3,
        f"they are larger than {len(whole) * 2} bytes": 1,
        "no station gives such a name": 6,
        "their part has no judged view of that camera": 1,
    }
    assert any("they cannot be decoded" in note for note in found.notes)


def ring_bytes(number: int) -> bytes:
    from station.records.images import encode_png

    return bytes(encode_png(ring(number)))


def bomb() -> bytes:
    """A whole PNG of some bytes that says it has terapixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_an_image_without_a_row_never_passes_for_one_of_a_good_part(fleet: Fleet) -> None:
    fleet.send("ST-04", dict.fromkeys(range(1, 4), Verdict.PASS))
    fleet.send("ST-04", dict.fromkeys(range(10, 14), Verdict.FAIL))
    fleet.ask("DELETE FROM station_fleet.parts WHERE acquisition_id >= 10")
    _, found = taken(fleet)
    assert set(by_key(found)) == {"s1/1", "s1/2", "s1/3"}
    assert sum(found.left_out.values()) == 4


def test_a_station_without_images_and_a_share_that_is_away(fleet: Fleet) -> None:
    fleet.send("ST-04", {1: Verdict.PASS})
    with pytest.raises(FleetError, match=r'no image of a judged part of station "ST-99".*\[images\] and \[postgres\]'):
        taken(fleet, "ST-99")
    (fleet.share / MARK).unlink()
    with pytest.raises(Unlucky, match=r"has no file .station-images: is the share mounted"):
        taken(fleet, "ST-04")


def test_a_name_of_a_station_leads_nowhere_else(fleet: Fleet) -> None:
    """A job is a row that others may write."""
    outside = fleet.folder / "elsewhere" / "2026-01-01" / "s1"
    outside.mkdir(parents=True)
    with pytest.raises(FleetError, match="no image"):
        taken(fleet, "../elsewhere")
    assert quote("../elsewhere", safe="") not in {path.name for path in fleet.share.iterdir()}


def test_a_day_with_too_many_names_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ST-04" / "2026-11-30" / "s1"
    folder.mkdir(parents=True)
    (tmp_path / MARK).touch()
    for number in range(5):
        (folder / f"{number:09d}-top.png").touch()
    store = Folder(tmp_path)
    assert len(store.names("ST-04/2026-11-30", 5)) == 5
    with pytest.raises(Exception, match="more than 4 images of one day"):
        store.names("ST-04/2026-11-30", 4)


def test_a_bucket_gives_the_same_as_a_folder_and_its_trouble_is_bad_luck(fleet: Fleet) -> None:
    fleet.send_usual("ST-04", 5, 2)
    _, there = taken(fleet)
    fleet.ask("DELETE FROM station_fleet.refresh_jobs")
    with storing() as store:
        place = Place(store.endpoint, BUCKET, "plant-1", KEY_ID, SECRET)
        fleet.keep_in(BucketToPut(place, "m"), Bucket(place, sleep=lambda _pause: None), "")
        fleet.send_usual("ST-04", 5, 2)
        store.page, store.modes = 2, ["503 SlowDown", "half"]
        _, found = taken(fleet)
        assert found == there
        for name, content in store.objects.items():
            store.objects[name] = content + bytes(10)  # whole images with something behind them
        fleet.ask("DELETE FROM station_fleet.refresh_jobs")
        store.modes, store.mode = ["take"] * 5, "403 SignatureDoesNotMatch"
        with pytest.raises(Unlucky, match=r"the store of images: .*\[images\] secret_file"):
            taken(fleet)


def test_the_images_of_a_job_take_a_bounded_place(fleet: Fleet) -> None:
    fleet.send_usual("ST-04", 5, 2)
    with pytest.raises(FleetError, match=r"more than 0 MB, \[fleet\] images_mb; allow more, or ask for fewer: --parts"):
        taken(fleet, most_bytes=2 * len(ring_bytes(1)))
    assert len(list((fleet.folder / "gathered").iterdir())) < 3


def test_an_image_has_one_name(fleet: Fleet) -> None:
    """Whoever may write could otherwise give a part a second picture, or one of elsewhere."""
    rows = fleet.send("ST-04", {1: Verdict.PASS})
    place = fleet.share / name_of("ST-04", rows[0], rows[0].views[0])
    for name in ("1-top.png", "000000001-%74op.png", "000000001-t%6Fp.png"):
        place.with_name(name).write_bytes(place.read_bytes())
    _, found = taken(fleet)
    assert [image.key for image in found.images] == ["s1/1"]
    assert found.left_out == {"no station gives such a name": 3}


def test_days_are_those_of_utc(fleet: Fleet) -> None:
    fleet.now = (datetime.now(timezone.utc).replace(hour=0, minute=0, second=5) - timedelta(days=1)).timestamp()
    fleet.send("ST-04", {1: Verdict.PASS, 2: Verdict.PASS}, days_ago=0.00003)  # before and after midnight
    fleet.now += 86_400
    _, found = taken(fleet)
    assert len(found.images) == 2
