"""The disk budget: oldest first, rows stay, sums stay right."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.labels.quarantine import keep
from station.labels.schema import labels_beside
from station.labels.schema import open_writer as open_labels
from station.labels.writing import Reviewer
from station.line.recording.retention import MB, Retention
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.sample_parts import PartMaker, textured


def put(directory: Path, stem: str, size: int) -> None:
    """An image and a map, together of `size` bytes."""
    path = directory / f"{stem}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size - size // 4))
    path.with_name(path.name.replace(".png", ".map.png")).write_bytes(bytes(size // 4))


def stems(directory: Path) -> list[str]:
    found = (path.relative_to(directory).as_posix() for path in directory.rglob("*.png"))
    return sorted(path.removesuffix(".png") for path in found if not path.endswith(".map.png"))


def test_scan_finds_images_of_earlier_sessions_and_removes_half_written_files(tmp_path: Path) -> None:
    put(tmp_path, "2026-01-02/b", 3000)
    put(tmp_path, "2026-01-01/a", 1000)
    (tmp_path / "2026-01-02" / "c.png.tmp").write_bytes(b"half")
    (tmp_path / "probe.tmp").write_bytes(b"half")
    retention = Retention(tmp_path, budget_mb=1, min_free_mb=0)
    assert retention.scan() == {"2026-01-01/a", "2026-01-02/b"}
    assert retention.total_bytes == 4000
    assert not (tmp_path / "2026-01-02" / "c.png.tmp").exists()


def test_heights_count_and_go_with_their_picture(tmp_path: Path) -> None:
    for stem in ("2026-01-01/a", "2026-01-02/b"):
        put(tmp_path, stem, 400_000)
        (tmp_path / f"{stem}.heights.png").write_bytes(bytes(300_000))
    retention = Retention(tmp_path, budget_mb=1, min_free_mb=0)
    assert retention.scan() == {"2026-01-01/a", "2026-01-02/b"}
    assert retention.total_bytes == 1_400_000
    assert retention.step() == ["2026-01-01/a"]
    assert [path.name for path in sorted(tmp_path.rglob("*.png"))] == ["b.heights.png", "b.map.png", "b.png"]
    assert not (tmp_path / "2026-01-01").exists()


def test_within_the_budget_nothing_is_deleted(tmp_path: Path) -> None:
    put(tmp_path, "2026-01-01/a", MB)
    retention = Retention(tmp_path, budget_mb=1, min_free_mb=0)
    retention.scan()
    assert retention.step() == []


def test_oldest_go_first_with_their_maps_and_empty_days(tmp_path: Path) -> None:
    for stem in ("2026-01-02/a", "2026-01-01/z", "2026-01-01/b", "2026-01-03/a"):
        put(tmp_path, stem, 600_000)
    retention = Retention(tmp_path, budget_mb=1, min_free_mb=0)
    retention.scan()
    assert retention.step(limit=2) == ["2026-01-01/b", "2026-01-01/z"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-01-02", "2026-01-03"]
    assert retention.step() == ["2026-01-02/a"]
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["a.map.png", "a.png"]
    assert retention.total_bytes == 600_000


def test_free_space_is_kept_even_below_the_budget(tmp_path: Path) -> None:
    put(tmp_path, "2026-01-01/a", 1000)
    retention = Retention(tmp_path, budget_mb=1000, min_free_mb=10**9)
    retention.scan()
    assert not retention.has_room
    assert retention.step() == ["2026-01-01/a"]
    assert retention.step() == []


def test_image_that_somebody_removed_by_hand_is_no_problem(tmp_path: Path) -> None:
    put(tmp_path, "2026-01-01/a", 2 * MB)
    retention = Retention(tmp_path, budget_mb=1, min_free_mb=0)
    retention.scan()
    for path in (tmp_path / "2026-01-01").iterdir():
        path.unlink()
    (tmp_path / "2026-01-01").rmdir()
    assert retention.step() == ["2026-01-01/a"]
    assert retention.total_bytes == 0


@given(sizes=st.lists(st.integers(1, 400_000), max_size=12), steps=st.lists(st.integers(0, 4), max_size=8))
def test_budget_holds_after_enough_steps(
    sizes: Sequence[int], steps: Sequence[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("images")
    retention = Retention(directory, budget_mb=1, min_free_mb=0)
    names = [f"2026-01-{1 + index // 3:02d}/{index:03d}" for index in range(len(sizes))]
    deleted: list[str] = []
    for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
        put(directory, name, size)
        retention.add(name, size)
        if index < len(steps):
            deleted += retention.step(limit=steps[index])
    deleted += retention.step(limit=100)
    assert deleted == names[: len(deleted)]
    assert stems(directory) == names[len(deleted) :]
    assert retention.total_bytes == sum(sizes[len(deleted) :]) <= MB


def recorded(directory: Path) -> list[PartRow]:
    with closing(open_reader(directory)) as reader:
        return list(parts(reader))


def test_recorder_keeps_the_rows_of_deleted_images(tmp_path: Path) -> None:
    maker = PartMaker(pixels=lambda seed: textured(seed, (400, 250, 3)))  # 0.3 MB, does not compress
    recorder = Recorder(RecorderSettings(tmp_path, disk_budget_mb=1, min_free_mb=0), "s1")
    recorder.start()
    for number in range(1, 11):
        recorder.record(maker.inspected(number, Verdict.FAIL))
    assert recorder.flush(20)
    assert recorder.stop(20)
    found = recorded(tmp_path)
    assert len(found) == 10
    kept = [row.acquisition_id for row in found if row.views[0].image_path is not None]
    assert kept == [8, 9, 10]
    assert [row.acquisition_id for row in found if row.views[0].image_deleted] == list(range(1, 8))
    assert [row.views[0].map_path is None for row in found] == [row.views[0].image_deleted for row in found]
    assert sorted(f"images/{stem}.png" for stem in stems(tmp_path / "images")) == [
        row.views[0].image_path for row in found if row.views[0].image_path
    ]


def test_images_in_the_quarantine_stay_and_what_then_takes_too_much_is_said(tmp_path: Path) -> None:
    """Also of a part that is put there while the station runs."""
    records = tmp_path / "records"
    maker = PartMaker(pixels=lambda seed: textured(seed, (400, 250, 3)))  # 0.3 MB, does not compress
    recorder = Recorder(RecorderSettings(records, disk_budget_mb=1, min_free_mb=0), "s1")
    recorder.start()
    anna = Reviewer("anna", "quality")
    for number in range(1, 11):
        recorder.record(maker.inspected(number, Verdict.FAIL))
        assert recorder.flush(20)
        if number in (1, 2, 3, 4):
            with closing(open_labels(labels_beside(records))) as labels:
                keep(labels, recorded(records)[-1], anna, "shown to the customer")
    assert recorder.stop(20)
    kept = [row.acquisition_id for row in recorded(records) if row.views[0].image_path is not None]
    assert kept[:3] == [1, 2, 3]
    assert len(kept) < 7
    with closing(open_reader(records)) as reader:
        said = [event.detail for event in events(reader, session="s1") if event.kind == "images_kept"]
    assert said
    assert "images in the quarantine take" in said[0]


def test_no_image_is_deleted_while_the_quarantine_is_not_known(tmp_path: Path) -> None:
    records = tmp_path / "records"
    labels_beside(records).write_bytes(b"this is no database, though it is as long as the header of one would be" * 4)
    maker = PartMaker(pixels=lambda seed: textured(seed, (400, 250, 3)))
    recorder = Recorder(RecorderSettings(records, disk_budget_mb=1, min_free_mb=0), "s1")
    recorder.start()
    for number in range(1, 7):
        recorder.record(maker.inspected(number, Verdict.FAIL))
    assert recorder.flush(20)
    assert recorder.stop(20)
    assert [row.views[0].image_deleted for row in recorded(records)] == [False] * 6
    with closing(open_reader(records)) as reader:
        assert [event.kind for event in events(reader, session="s1")].count("images_kept") == 1
