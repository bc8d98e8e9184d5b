"""The plans of an engine on disk: what is missing, foreign, damaged or not compared never gets to TensorRT."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.bundle.archive import export_archive
from engines.bundle.reading import read_bundle
from engines.errors import BundleError, PlanUnusable
from engines.runtimes.frame_check import FrameCheck
from engines.runtimes.tensorrt import plan_store as plans
from engines.runtimes.tensorrt.plan_key import ONE_IMAGE
from engines.runtimes.tensorrt.plan_store import PlanState, PlanStore
from engines.store.store import EngineStore
from tests.bench.engines.small_engine import write_small_engine
from tests.engines.runtimes.tensorrt.reports import report
from tests.engines.runtimes.tensorrt.test_plan_key import KEY

PLAN = bytes(range(256)) * 40
FRAME_KEY = dataclasses.replace(KEY, onnx_sha256="ef" * 32, precision="fp32", profile=ONE_IMAGE)
OTHER = dataclasses.replace(KEY, gpu_name="NVIDIA L4", compute_capability="8.9")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    folder = tmp_path / "engine"
    folder.mkdir()
    return folder


@pytest.fixture
def store(engine: Path) -> PlanStore:
    """With one plan that may be used."""
    store = PlanStore(engine)
    store.write(KEY, PLAN, report())
    return store


def plan_file(store: PlanStore) -> Path:
    return store.path / f"{KEY.name}.plan"


def record_file(store: PlanStore) -> Path:
    return store.path / f"{KEY.name}.json"


def test_what_was_written_is_read(store: PlanStore) -> None:
    found = store.find(KEY)
    assert found.state is PlanState.READY
    assert found.detail == report().summary()
    plan, record = store.read(KEY)
    assert plan == PLAN
    assert record.parity == report()
    assert record.key == KEY
    assert sorted(path.name for path in store.path.iterdir()) == [f"{KEY.name}.json", f"{KEY.name}.plan"]


def test_there_is_none(engine: Path) -> None:
    found = PlanStore(engine).find(KEY)
    assert found.state is PlanState.MISSING
    assert found.rebuilding_helps
    with pytest.raises(PlanUnusable, match="TensorRT plan missing: there is no plan for this GPU yet; station engine"):
        PlanStore(engine).read(KEY)


def test_a_foreign_plan_says_what_differs(store: PlanStore) -> None:
    far = dataclasses.replace(KEY, gpu_name="Orin", compute_capability="8.7", driver="12.6", tensorrt_version="10.3.0")
    store.write(far, PLAN, report())
    found = store.find(OTHER)
    assert found.state is PlanState.FOREIGN
    assert found.detail == (
        "the nearest plan is for compute capability 9.0, here 8.9; GPU NVIDIA H100 80GB HBM3, here NVIDIA L4"
    )
    with pytest.raises(PlanUnusable, match="plan foreign") as raised:
        store.read(OTHER)
    assert raised.value.rebuilding_helps


@pytest.mark.parametrize(
    "change",
    [
        {"onnx_sha256": "cd" * 32},
        {"precision": "fp32"},
        {"tensorrt_version": "11.4.0.107"},
        {"driver": "13.3"},
        {"flags": ("strongly_typed",)},
    ],
)
def test_every_change_makes_it_foreign(store: PlanStore, change: dict[str, object]) -> None:
    assert store.find(dataclasses.replace(KEY, **change)).state is PlanState.FOREIGN  # type: ignore[arg-type]


def test_a_plan_that_was_not_compared_is_not_used(engine: Path) -> None:
    store = PlanStore(engine)
    store.write(KEY, PLAN, None)
    assert store.find(KEY).state is PlanState.UNCHECKED
    with pytest.raises(PlanUnusable, match="never compared with ONNX Runtime"):
        store.read(KEY)


def test_a_plan_that_computes_something_else_is_refused_with_the_numbers(engine: Path) -> None:
    store = PlanStore(engine)
    store.write(KEY, PLAN, report(score_share=0.25))
    found = store.find(KEY)
    assert found.state is PlanState.REFUSED
    assert not found.rebuilding_helps
    with pytest.raises(PlanUnusable, match=r"25\.00% of the way to the reject limit, allowed 5\.00%") as raised:
        store.read(KEY)
    assert not raised.value.rebuilding_helps
    assert 'precision = "fp32"' in str(raised.value)


@pytest.mark.parametrize(
    ("check", "state", "words"),
    [
        (
            FrameCheck(difference=1, gpu_ms=1.0, processor_ms=3.0),
            PlanState.READY,
            "on the GPU: 1.00 ms a frame, 3",
        ),
        (
            FrameCheck(difference=1, gpu_ms=3.0, processor_ms=3.0),
            PlanState.REFUSED,
            "on the processor: 3.00 ms",
        ),
        (FrameCheck(difference=2, gpu_ms=1.0, processor_ms=3.0), PlanState.REFUSED, "differ by 2 grey levels"),
    ],
)
def test_frames_are_prepared_where_it_is_faster(engine: Path, check: FrameCheck, state: PlanState, words: str) -> None:
    store = PlanStore(engine)
    store.write(FRAME_KEY, PLAN, None, check)
    found = store.find(FRAME_KEY)
    assert found.state is state
    assert words in found.detail
    if state is PlanState.READY:
        assert store.read(FRAME_KEY)[1].frames == check
    else:
        with pytest.raises(PlanUnusable, match="refused"):
            store.read(FRAME_KEY)


def test_times_and_pixels_that_cannot_be_are_refused(engine: Path) -> None:
    store = PlanStore(engine)
    store.write(FRAME_KEY, PLAN, None, FrameCheck(difference=0, gpu_ms=1.0, processor_ms=3.0))
    file = store.path / f"{FRAME_KEY.name}.json"
    for field, value in (("difference", -1), ("gpu_ms", -1.0), ("processor_ms", "fast")):
        record = json.loads(file.read_text())
        record["frames"][field] = value
        file.write_text(json.dumps(record))
        assert store.find(FRAME_KEY).state is PlanState.CORRUPT


def flip_a_bit(store: PlanStore) -> None:
    data = bytearray(plan_file(store).read_bytes())
    data[5000] ^= 1
    plan_file(store).write_bytes(data)


def cut_off(store: PlanStore) -> None:
    plan_file(store).write_bytes(PLAN[:-1])


def lengthen(store: PlanStore) -> None:
    plan_file(store).write_bytes(PLAN + b"x")


def remove_plan(store: PlanStore) -> None:
    plan_file(store).unlink()


def link_plan(store: PlanStore) -> None:
    elsewhere = store.path.parent / "elsewhere.plan"
    plan_file(store).rename(elsewhere)
    plan_file(store).symlink_to(elsewhere)


def link_folder(store: PlanStore) -> None:
    elsewhere = store.path.parent.parent / "elsewhere"
    shutil.move(store.path, elsewhere)
    store.path.symlink_to(elsewhere)


def plan_is_a_pipe(store: PlanStore) -> None:
    plan_file(store).unlink()
    os.mkfifo(plan_file(store))


def link_record(store: PlanStore) -> None:
    elsewhere = store.path.parent / "elsewhere.json"
    record_file(store).rename(elsewhere)
    record_file(store).symlink_to(elsewhere)


def record_of_another_key(store: PlanStore) -> None:
    store.write(OTHER, PLAN, report())
    shutil.copy(store.path / f"{OTHER.name}.json", record_file(store))


def record_is_no_json(store: PlanStore) -> None:
    record_file(store).write_text("{")


def record_is_huge(store: PlanStore) -> None:
    record_file(store).write_text(" " * (plans.MAX_RECORD_BYTES + 1))


def edited(**changes: object) -> Callable[[PlanStore], None]:
    def edit(store: PlanStore) -> None:
        record_file(store).write_text(json.dumps(json.loads(record_file(store).read_text()) | changes))

    edit.__name__ = f"record_says_{'_'.join(changes)}"
    return edit


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        cut_off,
        lengthen,
        remove_plan,
        link_plan,
        link_folder,
        plan_is_a_pipe,
        link_record,
        record_of_another_key,
        record_is_no_json,
        record_is_huge,
        edited(plan_sha256="0" * 64),
        edited(plan_bytes=plans.MAX_PLAN_BYTES + 1),
        edited(plan_bytes=0),
        edited(format_version=2),
        edited(surprise=1),
        edited(created="yesterday"),
    ],
    ids=lambda damage: damage.__name__,
)
def test_what_is_damaged_is_never_handed_out(store: PlanStore, damage: Callable[[PlanStore], None]) -> None:
    damage(store)
    with pytest.raises(PlanUnusable, match="TensorRT plan corrupt") as raised:
        store.read(KEY)
    assert raised.value.rebuilding_helps
    assert "station engine build" in str(raised.value)


def test_a_report_cannot_be_made_to_pass(engine: Path) -> None:
    """The numbers decide, not the word."""
    store = PlanStore(engine)
    store.write(KEY, PLAN, report(score_share=0.25))
    record = json.loads(record_file(store).read_text())
    record["parity"]["passed"] = True
    record_file(store).write_text(json.dumps(record))
    assert store.find(KEY).state is PlanState.CORRUPT


def test_a_new_build_replaces_the_old_one(store: PlanStore) -> None:
    flip_a_bit(store)
    store.write(KEY, PLAN[::-1], report())
    assert store.read(KEY)[0] == PLAN[::-1]


def test_a_kill_between_plan_and_record_leaves_no_plan(store: PlanStore) -> None:
    record_file(store).unlink()
    assert store.find(KEY).state is PlanState.MISSING


def test_what_a_killed_build_left_is_cleared_away(store: PlanStore) -> None:
    old, young = store.path / ".new-old", store.path / ".new-young"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    store.write(KEY, PLAN, report())
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_cannot_be_written_is_reported(engine: Path) -> None:
    (engine / "plans").write_text("a file is in the way")
    with pytest.raises(BundleError, match="cannot be written"):
        PlanStore(engine).write(KEY, PLAN, report())


def test_an_empty_plan_is_not_written(engine: Path) -> None:
    with pytest.raises(BundleError, match="0 bytes"):
        PlanStore(engine).write(KEY, b"", report())


def test_too_many_records_are_not_read(store: PlanStore) -> None:
    for index in range(plans.MAX_RECORDS):
        (store.path / f"{index}.json").touch()
    found = store.find(KEY)
    assert found.state is PlanState.CORRUPT
    assert "remove some" in found.detail


def test_measurements_are_kept_per_gpu_and_version(store: PlanStore) -> None:
    assert store.timing_cache(KEY) == b""
    store.write_timing_cache(KEY, b"measured")
    fp32 = dataclasses.replace(KEY, precision="fp32", onnx_sha256="cd" * 32)
    assert store.timing_cache(fp32) == b"measured"
    assert store.timing_cache(OTHER) == b""
    assert store.find(KEY).state is PlanState.READY


def test_plans_are_no_part_of_the_engine(tmp_path: Path) -> None:
    """Neither of its id, nor of an exported file, nor of a copy in a store."""
    engine = write_small_engine(tmp_path / "small", width=64, height=64)
    before = read_bundle(engine).manifest.engine_id
    without = export_archive(engine, tmp_path / "without.tar")
    PlanStore(engine).write(KEY, PLAN, report())
    assert read_bundle(engine).manifest.engine_id == before
    assert export_archive(engine, tmp_path / "with.tar") == without
    version = EngineStore(tmp_path / "store").add(engine, why="test")
    assert not (version.path / "plans").exists()
    PlanStore(version.path).write(KEY, PLAN, report())
    EngineStore(tmp_path / "store").verify(version)
