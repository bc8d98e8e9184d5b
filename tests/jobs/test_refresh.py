"""The refresh job: real records, real engines; one real training at the end, killed once on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from engines.engine import open_engine
from engines.store.store import EngineStore, manifest_of
from engines.teach_request import TeachRequest
from engines.training.kinds.kept import FILE, read_kept
from station.commands.engines import refresh as refresh_command
from station.commands.main import build_parser
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.jobs.refresh import Job, discard, only_refresh, open_job, refresh
from station.jobs.refresh_labels import (
    Label,
    RefreshError,
)
from station.jobs.refresh_selection import (
    RefreshSelection,
    from_records,
    select,
    with_classes,
    with_labels,
)
from station.labels.labels import decide
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.engines.virtual import read_runs
from station.records.parts import parts
from station.records.schema import open_reader
from station.reports.candidate.gate import gate
from station.results import Pixels, Verdict
from tests.bench.engines.pictures import SIZE_PX, ring
from tests.bench.engines.small_engine import detection_of, write_small_engine
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for

GOOD, SCRATCHED = 46, 4


def picture(number: int) -> Pixels:
    """Parts 1 to 46 are good, 47 to 50 scratched."""
    return ring(number, scratch=number > GOOD)


@pytest.fixture
def station(tmp_path: Path) -> LoadedConfiguration:
    """A station with 50 parts on record, of which it rejected the scratched ones, and an engine in its store."""
    file = tmp_path / "station.toml"
    file.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n')
    configuration = config.load(file)
    recorder = Recorder(RecorderSettings(configuration.records_dir, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    maker = PartMaker("s1", picture)
    for number in range(1, GOOD + SCRATCHED + 1):
        recorder.record(maker.inspected(number, Verdict.PASS if number <= GOOD else Verdict.FAIL))
    assert recorder.stop(30)
    store = store_of(configuration)
    reference = ring(0)
    store.activate(
        store.add(
            write_small_engine(tmp_path / "first", width=SIZE_PX, height=SIZE_PX, reference=reference), why="first"
        )
    )
    return configuration


def store_of(configuration: LoadedConfiguration) -> EngineStore:
    assert configuration.engine_store is not None
    return EngineStore(configuration.engine_store)


def work_of(configuration: LoadedConfiguration) -> Path:
    return configuration.work_dir / "refresh"


def selection_of(configuration: LoadedConfiguration) -> RefreshSelection:
    labels = {f"s1/{number}": Label.DEFECTIVE for number in (47, 48)} | {"s1/1": Label.GOOD}
    parts = with_labels(from_records(configuration.records_dir, recipe="default", newest=100), labels)
    return select(with_classes(parts, {"s1/47": "deep scratch"}))


def opened(configuration: LoadedConfiguration, key: str = "key") -> Job:
    return open_job(work_of(configuration), key, lambda: selection_of(configuration))


def idle(configuration: LoadedConfiguration) -> bool:
    """Nothing but the lock and the features for the next time."""
    return {path.name for path in work_of(configuration).iterdir()} <= {".lock", "features"}


def unasked() -> RefreshSelection:
    raise AssertionError("the interrupted job should have been continued")


def with_engine(job: Job, *, reject_score: float, kept: Iterable[Path] = (), removed: Iterable[Path] = ()) -> Job:
    """As if the training had just ended, with these images."""
    write_small_engine(job.engine, width=SIZE_PX, height=SIZE_PX, reference=ring(0), reject_score=reject_score)
    fates = {**dict.fromkeys(kept, "kept"), **dict.fromkeys(removed, "removed")}
    images = [{"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "fate": fate} for file, fate in fates.items()]
    (job.engine / "dossier").mkdir()
    (job.engine / "dossier" / "dossier.json").write_text(json.dumps({"images": images, "warnings": ["from a test"]}))
    return job


def test_a_job_holds_the_images_and_says_what_is_known(station: LoadedConfiguration) -> None:
    with only_refresh(work_of(station)):
        job = opened(station)
    names = {path.name for path in (job.folder / "images").iterdir()}
    assert names == {part.name for part in job.training}
    assert {path.name for path in (job.folder / "held_out").iterdir()} == {part.name for part in job.held_out}
    rows = [line.split("\t") for line in (job.folder / "known_bad.txt").read_text().splitlines()]
    bad = [row[0] for row in rows]
    assert sorted(row[1] for row in rows if row[1:]) == ["deep scratch"]  # the kind, for teaching
    assert sorted(bad) == sorted(part.name for part in job.training if part.label is Label.DEFECTIVE)
    assert len(bad) == 2
    # The disk budget of the station may delete its images now.
    some = job.training[0]
    before = some.image.read_bytes()
    some.image.unlink()
    assert (job.folder / "images" / some.name).read_bytes() == before


def test_an_interrupted_job_is_continued_by_the_same_call_only(station: LoadedConfiguration) -> None:
    with only_refresh(work_of(station)):
        first = opened(station)
        again = open_job(work_of(station), "key", unasked)
        assert (again.training, again.held_out) == (first.training, first.held_out)
        assert "continued from an interrupted refresh" in again.notes
        with_engine(first, reject_score=60.0)
        other = opened(station, "other options")
        assert not other.engine.exists()
        assert "continued from an interrupted refresh" not in other.notes
        plan = other.folder / "plan.json"
        plan.write_text(plan.read_text()[:100])
        assert opened(station, "other options").notes == first.notes  # a damaged plan begins anew
        (work_of(station) / ".job-new").mkdir()  # left by a kill while images were taken over
        assert opened(station, "again other").training == first.training
        discard(work_of(station))
    assert idle(station)


def test_one_refresh_at_a_time(station: LoadedConfiguration) -> None:
    with only_refresh(work_of(station)), pytest.raises(RefreshError, match="another refresh runs"):  # noqa: SIM117
        with only_refresh(work_of(station)):
            pass
    with only_refresh(work_of(station)):
        pass


def test_the_candidate_lies_in_the_store_with_its_comparison_and_is_not_active(station: LoadedConfiguration) -> None:
    store = store_of(station)
    active = store.active()
    with only_refresh(work_of(station)) as lock:
        job = opened(station)
        held_out = [job.folder / "held_out" / part.name for part in job.held_out]
        with_engine(job, reject_score=60.0, kept=held_out[:3], removed=held_out[3:5])
        job.features.mkdir()
        (job.features / "of this job.npz").touch()
        old = job.features / "of an earlier one.npz"
        old.touch()
        os.utime(old, (time.time() - 3600, time.time() - 3600))
        done = refresh(station, store, job, TeachRequest(defect_trials=0), lock=lock)
    assert store.active() == active
    assert store.versions() == (active, done.candidate)
    assert "refresh from" in store.events()[-1].why
    report = json.loads((done.candidate.path / "refresh" / "comparison.json").read_text())
    assert report["held_out"]["labelled defective"] == 2
    assert report["candidate"]["engine_id"] == manifest_of(done.candidate).engine_id
    assert report["active"]["engine_id"] == manifest_of(active).engine_id if active else False
    assert report["seen_by_active"] is None
    assert report["candidate"]["defective_passed"] <= report["candidate"]["defective"] == 2
    assert "Candidate engine" in (done.candidate.path / "refresh" / "comparison.md").read_text()
    assert "from a test" in done.notes
    assert not job.folder.exists()
    assert [file.name for file in job.features.iterdir()] == ["of this job.npz"]

    store.activate(done.candidate)  # what it learned from is known from now on
    with only_refresh(work_of(station)) as lock:
        again = refresh(
            station, store, with_engine(opened(station), reject_score=70.0), TeachRequest(defect_trials=0), lock=lock
        )
    assert again.comparison.seen_by_active == 3


@pytest.mark.system
def test_synthetic_defects_are_shown_to_the_candidate_for_its_gate(station: LoadedConfiguration) -> None:
    store = store_of(station)
    with only_refresh(work_of(station)) as lock:
        job = opened(station)
        write_small_engine(
            job.engine, width=SIZE_PX, height=SIZE_PX, reference=ring(0), reject_score=200.0,
            detection=detection_of("bright spot", "dark spot"),
        )  # fmt: skip
        (job.engine / "dossier").mkdir()
        (job.engine / "dossier" / "dossier.json").write_text('{"images": [], "warnings": []}')
        done = refresh(station, store, job, TeachRequest(defect_trials=0), lock=lock)
    (run,) = read_runs(station.work_dir)
    assert run.of_candidate
    assert run.by == "refresh"
    assert run.shown > 0
    checks = {check.name: check for check in gate(station.records_dir, None, done.candidate.path)}
    assert checks["virtual challenge"].light != "not known"


def command(configuration: LoadedConfiguration, *arguments: str) -> subprocess.Popen[str]:
    # Whole process group, as a terminal or systemd would signal it.
    quick = ["--steps", "5", "--defect-trials", "0"]
    return subprocess.Popen(
        [sys.executable, "-m", "station", "refresh", "--config", str(configuration.path), *quick, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
        start_new_session=True,
    )


def wait_for_features(station: LoadedConfiguration, process: subprocess.Popen[str]) -> None:
    """Until the training has written its first features."""

    def are_there() -> bool:
        assert process.poll() is None, process.communicate()
        return (work_of(station) / "features").exists()

    wait_for(are_there, "features", timeout_s=60)


def is_free(station: LoadedConfiguration) -> bool:
    """No refresh runs."""
    try:
        with only_refresh(work_of(station)):
            return True
    except RefreshError:
        return False


@pytest.mark.system
def test_clear_errors(station: LoadedConfiguration, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    process = command(station, "--images", str(empty))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "holds no image" in said
    process = command(station, "--parts", "20")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "at least 20 are needed" in said
    assert "raise records.pass_image_share" in said
    assert idle(station)
    with only_refresh(work_of(station)):
        process = command(station)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another refresh runs" in said


@pytest.mark.system
def test_cancelled_it_leaves_nothing(station: LoadedConfiguration) -> None:
    process = command(station)
    wait_for_features(station, process)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert idle(station)
    assert len(store_of(station).versions()) == 1


@pytest.mark.system
def test_a_real_refresh_killed_and_continued(station: LoadedConfiguration, tmp_path: Path) -> None:
    with (
        closing(open_reader(station.records_dir)) as records,
        closing(open_writer(labels_beside(station.records_dir))) as named,
    ):
        for number, kind in ((47, "deep scratch"), (48, "fine scratch")):
            row = next(parts(records, session="s1", acquisition_id=number))
            decide(named, row, "defective", Reviewer("anna", "quality"), defect_class=kind, new_class="minor")
    labels = tmp_path / "labels.csv"
    labels.write_text("part_id,label\n1001,good\n1047,defective\n1048,defective\n")
    process = command(station, "--labels", str(labels))
    wait_for_features(station, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    # The training ends by itself: nobody reads what it says.
    wait_for(lambda: is_free(station), "the end of the training", timeout_s=60)
    assert len(store_of(station).versions()) == 1

    process = command(station, "--labels", str(labels))
    said, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "continued from an interrupted refresh" in said
    assert "Nothing was activated. To use it: station engine activate 2 --config" in said
    first, candidate = store_of(station).versions()
    assert store_of(station).active() == first
    with open_engine(candidate.path) as engine:
        reject = engine.calibration.reject_score
        assert min(engine.score(ring(seed, scratch=True)).image_score for seed in range(900, 904)) > reject
        assert engine.manifest.training.removed_count >= 2  # the labelled ones for sure
    report = json.loads((candidate.path / "refresh" / "comparison.json").read_text())
    assert report["candidate"]["defective_passed"] == 0
    assert report["candidate"]["auroc"] == 1.0
    assert report["agreement"] is not None
    dossier = json.loads((candidate.path / "dossier" / "dossier.json").read_text())
    removed = {dossier["images"][image]["name"] for image in dossier["refinement"]["removed"]}
    assert {"s1-000000047-part1047-top.png", "s1-000000048-part1048-top.png"} <= removed
    kept = read_kept(candidate.path / "dossier" / FILE, None)
    assert kept is not None
    assert kept.names == ("deep scratch", "fine scratch"), "learning kinds anew forgets none"
    assert dossier["command"][:2] == ["station", "refresh"]
    assert f"--labels={labels}" in dossier["command"]
    assert idle(station)


def test_the_command_takes_labels_of_a_file_and_names_the_old_product(
    station: LoadedConfiguration, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("part_id;label;session\n1001;good;\n1047;defective;s1\n1048;defective;\n1049;;\n9999;good;\n")
    words = ["refresh", "--config", str(station.path), "--labels", str(labels), "--parts", "100"]
    options = build_parser(["refresh"]).parse_args(words)
    chosen = refresh_command._select(options, station)
    by_label = {part.key: part.label for part in (*chosen.training, *chosen.held_out) if part.label is not None}
    assert by_label == {"s1/1": Label.GOOD, "s1/47": Label.DEFECTIVE, "s1/48": Label.DEFECTIVE}
    assert any("1 labels name parts that are not among these" in note for note in chosen.notes)
    other = build_parser(["refresh"]).parse_args([*words, "--recorded-as", "other"])
    request = TeachRequest()
    assert refresh_command._key(options, station, request) != refresh_command._key(other, station, request)
    with pytest.raises(RefreshError, match=r"other recipes have parts: default \(\d+\).*--recorded-as default"):
        refresh_command._select(other, station)
    assert "--recorded-as=other" in refresh_command._command_again(other)


def test_adding_needs_blocks_and_naming_blocks_needs_adding(station: LoadedConfiguration, tmp_path: Path) -> None:
    words = ["refresh", "--config", str(station.path)]
    store = store_of(station)
    add = build_parser(["refresh"]).parse_args([*words, "--add", "--without", "2026-11-01"])
    with pytest.raises(RefreshError, match="has no blocks to add to"):
        refresh_command._request(add, store)
    with pytest.raises(RefreshError, match="only together with --add"):
        refresh_command._request(build_parser(["refresh"]).parse_args([*words, "--weigh", "A=0.5"]), store)
    active = store.active()
    assert active is not None
    (active.path / "dossier" / "blocks").mkdir(parents=True)
    request = refresh_command._request(add, store)
    assert (request.earlier, request.without) == (active.path / "dossier" / "blocks", "2026-11-01")
    assert "--add" in refresh_command._command_again(add)
    assert "--add" not in refresh_command._command_again(build_parser(["refresh"]).parse_args(words))
