"""Teaching from beginning to end, as the station does it: in its own process, on rendered parts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.reading import read_bundle
from engines.bundle.reference import read_reference
from engines.engine import open_engine
from engines.teach_request import TeachRequest
from engines.training.__main__ import main
from station.jobs.process import JobError, JobProgress
from station.jobs.teaching import teach
from tests.bench.engines.pictures import SIZE_PX, ring, write_rings
from tests.bench.engines.taught import DIRTY, GOOD, KNOWN_BAD, Taught, taught_on_rings

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return taught_on_rings(tmp_path_factory)


@pytest.fixture
def resumable(taught: Taught, tmp_path: Path) -> Taught:
    """The same with a cache that this test may write to."""
    return replace(taught, cache=Path(shutil.copytree(taught.cache, tmp_path / "cache")))


def test_new_defects_fail_and_new_good_parts_do_not(taught: Taught) -> None:
    with open_engine(taught.result.engine) as engine:
        limits = engine.calibration
        good = [engine.score(ring(seed)).image_score for seed in range(1000, 1010)]
        bad = [engine.score(ring(seed, scratch=True)).image_score for seed in range(2000, 2005)]
    assert min(bad) > limits.reject_score
    assert sum(score > limits.reject_score for score in good) <= 1
    assert limits.review_score < limits.reject_score


def test_the_map_is_hottest_at_the_defect(taught: Taught) -> None:
    with open_engine(taught.result.engine) as engine:
        output = engine.score(ring(3000, scratch=True))
    rows, columns = output.anomaly_map.shape
    row, column = np.unravel_index(output.anomaly_map.argmax(), output.anomaly_map.shape)
    assert 0.2 < (row + 0.5) / rows < 0.55  # the scratch goes from (1/3, 1/4) to (1/2, 1/2), (x, y)
    assert 0.28 < (column + 0.5) / columns < 0.55
    assert output.anomaly_map.max() > engine.calibration.pixel_score


def test_the_dirt_left_and_the_known_bad_bound_the_escapes(taught: Taught) -> None:
    removed = taught.result.summary["removed"]
    assert removed[: len(KNOWN_BAD)] == list(KNOWN_BAD)
    assert set(DIRTY) <= set(removed)
    manifest = read_bundle(taught.result.engine).manifest
    count = GOOD + len(DIRTY) + len(KNOWN_BAD)
    assert manifest.training.image_count == count
    assert manifest.training.removed_count == len(removed)
    assert manifest.calibration.holdout_count == count - len(removed) > 0.8 * GOOD
    escapes = manifest.calibration.escapes
    assert escapes is not None
    assert (escapes.defective_count, escapes.escaped_count) == (len(KNOWN_BAD), 0)
    assert not manifest.training.grey


def test_good_images_are_kept_beside_the_engine_and_none_that_was_removed(taught: Taught) -> None:
    engine = taught.result.engine
    record = json.loads((engine / DOSSIER_FOLDER / "dossier.json").read_text())
    by_id = {image["id"]: image for image in record["images"]}
    pictures = read_reference(engine, read_bundle(engine).manifest)
    assert GOOD // 2 < len(pictures) <= GOOD
    assert {by_id[one.image]["fate"] for one in pictures} == {"kept"}
    assert not {by_id[one.image]["name"] for one in pictures} & {*DIRTY, *KNOWN_BAD}
    assert all(by_id[one.image]["masked_share"] == 0 for one in pictures)


def test_the_dossier_is_in_the_engine_and_names_what_left(taught: Taught) -> None:
    dossier = taught.result.engine / DOSSIER_FOLDER
    record = json.loads((dossier / "dossier.json").read_text())
    text = (dossier / "dossier.html").read_text()
    for name in (*DIRTY, *KNOWN_BAD):
        assert name in (dossier / "removed.txt").read_text()
        assert name in text
    assert record
    assert taught.result.engine_id == read_bundle(taught.result.engine).manifest.engine_id


def test_the_engine_says_what_it_finds(taught: Taught) -> None:
    manifest = read_bundle(taught.result.engine).manifest
    assert manifest.known_defects is not None  # joined scores have curves of their own
    assert manifest.detection is not None
    assert not manifest.detection.finds_next_to_nothing
    assert taught.result.summary["finds"] == list(manifest.detection.in_words())
    assert list((taught.result.engine / "dossier" / "pictures").glob("defect-*.jpg"))
    page = (taught.result.engine / "dossier" / "dossier.html").read_text()
    assert "What it finds" in page
    kind, size = re.findall(r"finds ([a-z ]+) from ([\d.]+)", taught.result.summary["finds"][0])[0]
    assert re.search(rf"<td>{kind}</td>.*?<td>[^<]*{re.escape(size)}", page)


def test_progress_names_every_step_and_ends_each(taught: Taught) -> None:
    steps = list(dict.fromkeys(entry.step for entry in taught.seen))
    assert steps[:2] == ["images", "locate"]
    assert re.fullmatch(r"expected: \d+ (s|min), \d+\.\d GB", steps[2])
    assert steps[3:] == ["features", "refine", "train", "defects", "pictures", "export"]
    for step in steps:
        last = [entry for entry in taught.seen if entry.step == step][-1]
        assert last.done == last.total
    assert f"images {SIZE_PX}x{SIZE_PX}" in taught.result.summary["preprocessing"]


def test_a_finished_training_leaves_features_and_no_rounds(taught: Taught) -> None:
    files = list(taught.cache.iterdir())
    assert len(files) == GOOD + len(DIRTY) + len(KNOWN_BAD)
    assert all(file.suffix == ".npz" for file in files)


def start(taught: Taught, output: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "engines.training", "--images", str(taught.images), "--output", str(output)),
            *("--progress", "json", "--steps", "0", "--threads", "1", "--known-bad", str(taught.known_bad)),
            *("--defect-trials", "0"),
            *("--ignore", taught.request.ignore, "--cache", str(taught.cache), *arguments),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for_round(process: subprocess.Popen[str], number: int) -> None:
    """Until refinement has finished this number of rounds."""
    assert process.stdout is not None
    deadline = time.monotonic() + 120
    for line in process.stdout:
        assert time.monotonic() < deadline
        message = json.loads(line)
        if message.get("step") == "refine" and message["done"] >= number:
            return
    pytest.fail("ended before it refined")


def test_killed_in_refinement_it_goes_on_and_ends_with_the_same_engine(resumable: Taught, tmp_path: Path) -> None:
    process = start(resumable, tmp_path / "engine")
    wait_for_round(process, 2)
    process.kill()
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert process.stdout is not None
    process.stdout.close()
    assert not (tmp_path / "engine").exists()
    assert len(list(resumable.cache.glob("*.checkpoint"))) == 1

    seen: list[JobProgress] = []
    request = replace(resumable.request, cache=resumable.cache, defect_trials=0)
    again = teach(resumable.images, tmp_path / "engine", request, on_progress=seen.append)

    def rounds(progress: list[JobProgress]) -> int:
        return len([entry for entry in progress if entry.step == "refine"])

    assert rounds(seen) <= rounds(resumable.seen) - 2
    assert list(resumable.cache.glob("*.checkpoint")) == []
    first, second = (read_bundle(each.engine).manifest for each in (resumable.result, again))
    assert second.training == first.training
    assert again.summary["removed"] == resumable.result.summary["removed"]
    assert second.calibration.reject_score == pytest.approx(first.calibration.reject_score, abs=1e-4)
    assert [g.image_score for g in second.golden] == pytest.approx([g.image_score for g in first.golden], abs=1e-4)


def test_sigterm_leaves_nothing_behind(resumable: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = start(resumable, tmp_path / "engine", "--refine", "none")
    assert process.stdout is not None
    wait_for_round(process, 0)
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 130
    assert "interrupted; nothing was written" in rest
    assert not (tmp_path / "engine").exists()
    assert list(temporary.iterdir()) == []


def test_bad_images_end_with_code_2_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], own_handler: None
) -> None:
    write_rings(tmp_path / "images", 20)
    (tmp_path / "images" / "broken.png").write_bytes(b"x")
    assert main(["--progress=json", f"--images={tmp_path / 'images'}", f"--output={tmp_path / 'engine'}"]) == 2
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "error"
    assert "broken.png: cannot be decoded" in last["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


@pytest.fixture
def own_handler() -> Iterator[None]:
    """Puts the handler of SIGTERM back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_errors_come_through_to_the_station(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 5)
    with pytest.raises(JobError, match="has 5 images"):
        teach(tmp_path / "images", tmp_path / "engine", TeachRequest())
