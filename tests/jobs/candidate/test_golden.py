"""Good parts of earlier refreshes come into every later comparison."""

from __future__ import annotations

from pathlib import Path

from drivers.camera.images import read_image
from engines.store.store import EngineStore
from station.jobs.candidate import golden
from station.jobs.refresh import REPORT
from station.jobs.refresh_selection import Group, PartImage
from station.records.images import encode_png
from tests.bench.engines.pictures import ring
from tests.bench.engines.small_engine import write_small_engine


def part(folder: Path, number: int, verdict: str = "PASS") -> PartImage:
    """A part whose picture lies in the folder of a job."""
    made = PartImage(f"s1/{number}", str(number), folder / f"{number}.png", verdict, camera="top")
    (folder / made.name).write_bytes(encode_png(ring(number)))
    return made


def kept_in_store(tmp_path: Path, store: EngineStore, number: int, parts: list[PartImage]) -> None:
    report = tmp_path / f"report{number}"
    report.mkdir()
    golden.keep(report, parts, tmp_path)
    engine = write_small_engine(tmp_path / f"e{number}", width=64, height=64, reject_score=40.0 + number)
    store.add(engine, why="refresh", extras={REPORT: report})


def test_some_good_parts_of_each_refresh_come_again_once(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    first = [part(tmp_path, number) for number in range(1, 51)]
    defect = part(tmp_path, 60, "FAIL")
    kept_in_store(tmp_path, store, 1, [*first, defect])
    second = [part(tmp_path, number) for number in range(1, 8)]
    kept_in_store(tmp_path, store, 2, second)
    found = golden.of_earlier(store.versions(), REPORT, but=[first[1]])
    keys = [one.key for one in found]
    assert len(keys) == len(set(keys))
    assert [f"s1/{number}" for number in (1, 3, 4, 5, 6, 7)] == keys[:6], (
        "the newest first, without those that are there"
    )
    assert 10 < len(found) <= 7 + golden.OF_EACH
    assert {one.group for one in found} == {Group.EARLIER}
    assert defect.key not in keys
    assert read_image(found[0].image).shape == ring(1).shape


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    kept_in_store(tmp_path, store, 1, [part(tmp_path, number) for number in range(1, 4)])
    (version,) = store.versions()
    folder = version.path / REPORT / golden.FOLDER
    (folder / "000.png").write_bytes(b"no picture")
    assert [one.key for one in golden.of_earlier([version], REPORT, [])] == ["s1/2", "s1/3"]
    (folder / golden.LIST).write_text('{"parts": [{"file": "../../manifest.json"}]}')
    assert golden.of_earlier([version], REPORT, []) == []
    (folder / golden.LIST).write_text("[]")
    assert golden.of_earlier([version], REPORT, []) == []
