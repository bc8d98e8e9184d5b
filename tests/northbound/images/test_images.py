"""Images to a share: by policy and budget, each once; a share that is not mounted fills no disk of the station."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.commissioning.plant_check import images_findings
from station.configuration.load import load_station
from station.forwarding.progress import Cursor, Cursors, Progress, forwarding_beside
from station.line.recording.stage import Recorder, RecorderSettings
from station.northbound.images.connector import Connector, What
from station.northbound.images.policy import Budget, Policy, name_of
from station.northbound.images.stores import MARK, Folder, Store
from station.northbound.process import names_of
from station.northbound.unsent import Source
from station.records.parts import PartRow, part_row
from station.results import InspectionRecord, Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker

FAIL_AND_REVIEW = Policy(pass_share=0.0)


@dataclass
class Bench:
    folder: Path
    policy: Policy = FAIL_AND_REVIEW
    now: float = WALL_TIME + 100_000
    store: Store | None = None
    """Else a share."""

    def __post_init__(self) -> None:
        self.records, self.share = self.folder / "records", self.folder / "share"
        if self.store is None:
            self.share.mkdir()
            (self.share / MARK).touch()
            self.store = Folder(self.share)
        self.cursors = Cursors(forwarding_beside(self.records))
        self.start()

    def start(self) -> None:
        source = Source("images", self.records, waits_for_plc=False)
        what = What(source, "ST 04", self.policy, self.folder / "plant")
        assert self.store is not None
        self.connector = Connector(what, self.store, self.cursors, clock=lambda: self.now, draw=lambda: 1.0)

    def record(self, parts: list[InspectionRecord]) -> None:
        record_images(self.records, parts)

    def drain(self) -> float:
        for _ in range(200):
            if pause := self.connector.step():
                return pause
        raise AssertionError("it never comes to an end")

    def there(self) -> list[str]:
        return sorted(path.relative_to(self.share).as_posix() for path in self.share.rglob("*.png"))

    @property
    def progress(self) -> Progress:
        found = self.cursors.of("images")
        assert found is not None
        return found


def record_images(records: Path, parts: list[InspectionRecord]) -> None:
    """As the line does, every image."""
    records.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(RecorderSettings(records, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    for part in parts:
        recorder.record(part)
    assert recorder.stop(20)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def parts(first: int, last: int, verdict: Verdict = Verdict.FAIL) -> list[InspectionRecord]:
    make = PartMaker()
    return [make.inspected(number, verdict) for number in range(first, last + 1)]


def test_what_is_not_pass_is_there_once_however_often_it_is_sent(bench: Bench) -> None:
    bench.drain()
    bench.record([*parts(1, 3), *parts(4, 5, Verdict.PASS), *parts(6, 6, Verdict.REVIEW)])
    bench.drain()
    assert bench.there() == [f"ST%2004/2027-01-15/s1/{number:09d}-top.png" for number in (1, 2, 3, 6)]
    (first,) = bench.records.rglob("*000001-FAIL-top.png")
    copy = bench.share / bench.there()[0]
    assert copy.read_bytes() == first.read_bytes()
    before = {path: path.stat().st_mtime_ns for path in bench.share.rglob("*.png")}
    bench.cursors.place("images", Cursor(0))
    bench.start()
    bench.drain()
    assert {path: path.stat().st_mtime_ns for path in bench.share.rglob("*.png")} == before
    assert (bench.progress.sent, bench.progress.cursor.last_id) == (4, 6)


def test_a_day_has_its_budget_also_after_a_restart(bench: Bench) -> None:
    bench.policy = Policy(pass_share=1.0, per_day=5, pass_per_day=2)
    bench.start()
    bench.drain()
    bench.record([*parts(1, 4, Verdict.PASS), *parts(5, 6)])
    bench.drain()
    bench.start()
    bench.record(parts(7, 9))
    bench.drain()
    assert [name[-13:-8] for name in bench.there()] == ["00001", "00002", "00005", "00006", "00007"]
    budget = Budget.read(bench.folder / "plant" / "images.json", bench.policy)
    assert (budget.sent, budget.passed, budget.over) == ({"2027-01-15": 5}, {"2027-01-15": 2}, {"2027-01-15": 4})
    tomorrow = [replace(one, part=replace(one.part, wall_time=one.part.wall_time + 86_400)) for one in parts(10, 10)]
    bench.record(tomorrow)
    bench.drain()
    assert bench.there()[-1].startswith("ST%2004/2027-01-16/")


def test_a_share_that_is_not_mounted_is_said_and_nothing_is_lost(bench: Bench) -> None:
    bench.drain()
    (bench.share / MARK).unlink()
    bench.record(parts(1, 2))
    assert [bench.drain(), bench.drain()] == [1.0, 2.0]
    assert "is the share mounted?" in bench.progress.detail
    assert bench.there() == []
    assert bench.progress.cursor.last_id == 0
    (bench.share / MARK).touch()
    bench.drain()
    assert len(bench.there()) == 2
    assert bench.progress.failing_since is None


def test_a_share_that_takes_nothing_is_said(bench: Bench) -> None:
    bench.drain()
    (bench.share / "ST%2004").write_text("a file where a folder should be")
    bench.record(parts(1, 1))
    assert bench.drain() == 1.0
    assert "cannot be written" in bench.progress.detail


def test_an_image_that_is_gone_is_counted(bench: Bench) -> None:
    bench.drain()
    bench.record(parts(1, 2))
    next(bench.records.rglob("*000001-FAIL-top.png")).unlink()
    bench.drain()
    assert len(bench.there()) == 1
    assert bench.progress.left_out == 1


ANY_TEXT = st.text(min_size=1, max_size=20)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_a_name_stays_in_the_folder(station: str, session: str, camera: str) -> None:
    row = part_row(PartMaker(session).inspected(1, Verdict.FAIL))
    name = name_of(station, row, replace(row.views[0], camera=camera, image_path="x.png"))
    pieces = name.split("/")
    assert len(pieces) == 4
    assert name.isascii()
    assert not {".", "..", ""} & set(pieces)


def test_two_names_are_two_files() -> None:
    def named(row: PartRow, station: str = "a") -> str:
        return name_of(station, row, row.views[0])

    row = part_row(PartMaker().inspected(1, Verdict.FAIL))
    others = [replace(row, acquisition_id=2), replace(row, session="s/1"), replace(row, session="s%2F1")]
    assert len({named(row), named(row, "A"), named(row, ".."), *map(named, others)}) == 6


def test_a_budget_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    for content in ("{", "[]", '{"sent": 1}', '{"sent": {}, "passed": {}, "over": {"x": "y"}}'):
        (tmp_path / "images.json").write_text(content)
        assert Budget.read(tmp_path / "images.json", FAIL_AND_REVIEW).sent == {}


def test_the_check_looks_whether_it_is_the_folder_that_is_meant(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text(
        '[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n[images]\nfolder = "share"\n'
    )
    station = load_station(config)
    assert station.settings.sends_to_plant
    assert names_of(station) == ["images"]
    (finding,) = images_findings(station)
    assert "touch" in finding.detail
    assert not finding.ok
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / MARK).touch()
    assert next(images_findings(station)).ok
