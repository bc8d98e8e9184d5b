"""Synthetic defects in pictures of recent good parts: a defocus that the master parts miss, and what goes wrong."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.store.store import EngineStore
from station.commands.main import main
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.jobs.beside.virtual_challenge import (
    Defect,
    VirtualChallenge,
    VirtualChallenges,
    challenge_virtually,
    in_words,
    recent_good,
)
from station.jobs.process import JobError
from station.line.inspection.loading import load_inspector
from station.line.recording.stage import Recorder, RecorderSettings
from station.monitoring.diagnosis import Cause
from station.monitoring.watch import Watch
from station.records.engines.virtual import read_runs
from station.results import Frame, Pixels, Verdict
from tests.bench.engines.small_engine import detection_of, write_small_engine
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for
from tests.monitoring.line import Line
from tests.monitoring.test_watch import PROMISE, SETTINGS

WIDTH, HEIGHT = 160, 128
SIGMA_PX = 6.0


def sharp(_number: int = 0) -> Pixels:
    """A good part: darker on its left."""
    pixels = np.full((HEIGHT, WIDTH), 64, np.uint8)
    pixels[:, WIDTH // 2 :] = 104
    return pixels


def out_of_focus(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), SIGMA_PX), np.uint8)


def blurred(_number: int = 0) -> Pixels:
    return out_of_focus(sharp())


def station(folder: Path, engine: Path, pixels: Callable[[int], Pixels], count: int = 16) -> LoadedConfiguration:
    folder.mkdir(exist_ok=True)
    text = f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "{engine}"\n[quality]\nas_taught = false\n'
    (folder / "station.toml").write_text(text)
    configuration = config.load(folder / "station.toml")
    recorder = Recorder(RecorderSettings(configuration.records_dir, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    maker = PartMaker(pixels=pixels)
    for number in range(1, count + 1):
        recorder.record(maker.inspected(number, Verdict.PASS))
    recorder.record(maker.inspected(count + 1, Verdict.FAIL))
    assert recorder.stop(20)
    return configuration


@pytest.mark.system
def test_a_defocus_that_master_parts_miss_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good parts pass as ever, the hole of the master part is large enough, small spots drown."""
    found = detection_of("bright spot", "dark spot")
    engine = write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT, reference=sharp(), detection=found)
    configuration = station(tmp_path / "sharp", engine, sharp)
    before = challenge_virtually(configuration, pictures=16, seed=1)
    assert (before.promised, before.pictures) == (2, 16)
    assert len(before.defects) == 32
    assert not before.is_worse
    after = challenge_virtually(station(tmp_path / "blurred", engine, blurred), pictures=16, seed=1)
    assert len(after.defects) == 32, "good parts pass"
    assert after.is_worse

    inspector = load_inspector(configuration.engine_path, configuration.settings, {})
    assert inspector is not None
    master = sharp()
    master[40:90, 20:70] = 220
    (seen,) = inspector.inspect([inspector.begin(Frame("top", 1, out_of_focus(master), 0, 0))])
    inspector.scorer.close()
    assert seen.decision.verdict is Verdict.FAIL, "the physical part is rejected as ever"

    watch = Watch(SETTINGS, PROMISE)
    for _ in range(5):
        watch.add_virtual([one.found for one in before.defects])
    assert watch.finding is None
    watch.add_virtual([one.found for one in after.defects])
    for part in Line().parts(150, np.random.default_rng(1)):
        watch.add(part)
    assert watch.finding is not None
    assert watch.finding.cause is Cause.VIRTUAL

    assert (
        main(["challenge", "virtual", "--pictures", "8", "--config", str(tmp_path / "blurred" / "station.toml")]) == 1
    )
    assert "fewer than when the engine was taught" in " ".join(capsys.readouterr().out.split())


@pytest.mark.system
def test_a_version_that_is_not_active_is_challenged_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EngineStore(tmp_path / "engines" / "default")
    found = detection_of("bright spot", "dark spot")
    for number in range(2):
        engine = write_small_engine(
            tmp_path / str(number), width=WIDTH, height=HEIGHT, reference=sharp(), detection=found,
            reject_score=40.0 + number,
        )  # fmt: skip
        store.add(engine, why="")
    store.activate(store.find("1"), why="first")
    configuration = station(tmp_path / "station", store.find("1").path, sharp)
    text = configuration.path.read_text()
    configuration.path.write_text(re.sub(r"(?m)^path = .*$", f'store = "{tmp_path / "engines"}"', text))
    command = ["challenge", "virtual", "--pictures", "2", "--json", "--config", str(configuration.path)]
    capsys.readouterr()
    assert main([*command, "--version", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["engine_id"].startswith(store.find("2").id_start)
    assert main([*command, "--version", "1"]) == 0
    assert main([*command, "--version", "3"]) == 2
    assert "3" in capsys.readouterr().err
    assert [run.of_candidate for run in read_runs(configuration.work_dir)] == [True, False]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT)


def test_an_engine_that_does_not_say_what_it_finds_is_not_challenged(small: Path, tmp_path: Path) -> None:
    result = challenge_virtually(station(tmp_path / "station", small, sharp, count=2), seed=1)
    assert (result.promised, result.defects) == (0, ())
    assert "does not say what it finds" in in_words(result)[0]
    assert not result.is_worse


def test_pictures_come_from_parts_that_passed(small: Path, tmp_path: Path) -> None:
    configuration = station(tmp_path / "station", small, sharp, count=4)
    found = recent_good(configuration.records_dir, "default", 3)
    assert len(found) == 3
    assert all(file.is_file() for file in found)
    assert recent_good(configuration.records_dir, "another", 3) == []


def test_without_a_picture_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], small: Path) -> None:
    folder = tmp_path / "station"
    folder.mkdir()
    (folder / "station.toml").write_text(f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "{small}"\n')
    assert main(["challenge", "virtual", "--json", "--config", str(folder / "station.toml")]) == 0
    assert json.loads(capsys.readouterr().out)["promised"] == 0
    assert main(["challenge", "virtual", "--pictures", "0", "--config", str(folder / "station.toml")]) == 2
    (folder / "station.toml").write_text('[cameras.top]\nproducer = "simtl"\n[engine]\npath = "nothing"\n')
    assert main(["challenge", "virtual", "--config", str(folder / "station.toml")]) == 2
    with pytest.raises(JobError):
        challenge_virtually(config.load(folder / "station.toml"), seed=1)


def test_chance_alone_is_no_worse() -> None:
    def run(missed: int, count: int = 80) -> VirtualChallenge:
        defects = tuple(Defect("cut", 80, 9.0, number >= missed) for number in range(count))
        return VirtualChallenge("e", "r", 6, 14, defects)

    assert [run(missed).is_worse for missed in (0, 12, 20, 30, 80)] == [False, False, False, True, True]
    assert run(80).by_kind() == [("cut, 80 grey levels", 80, 0)]
    assert not run(0, 0).is_worse
    assert "no defect could be shown" in in_words(run(0, 0))[0]
    assert "fewer" in in_words(run(60))[0]


def test_the_thread_goes_on_after_what_goes_wrong_and_stops_at_once(tmp_path: Path) -> None:
    reported: list[VirtualChallenge] = []
    challenges = VirtualChallenges(tmp_path / "none.toml", 0.01, reported.append)
    challenges.start()
    wait_for(lambda: threading.active_count() > 1, "the thread")
    assert challenges.stop(10)
    assert reported == []


@pytest.mark.system
def test_who_asks_gets_one_now_and_it_is_kept(tmp_path: Path) -> None:
    found = detection_of("bright spot", "dark spot")
    engine = write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT, reference=sharp(), detection=found)
    configuration = station(tmp_path / "station", engine, sharp)
    reported: list[VirtualChallenge] = []
    challenges = VirtualChallenges(configuration.path, 0.0, reported.append)
    challenges.start()
    assert challenges.now("anna")
    assert not challenges.now("anna"), "one at a time"
    wait_for(lambda: bool(read_runs(configuration.work_dir)), "the run")
    wait_for(lambda: challenges.status["state"] == "waiting", "its end")
    (run,) = read_runs(configuration.work_dir)
    assert (run.by, run.pictures, run.shown, run.is_worse) == ("anna", 6, len(reported[0].defects), False)
    assert challenges.status["problem"] == ""
    (tmp_path / "station" / "station.toml").write_text("nothing = 1")
    assert challenges.now("anna")
    wait_for(lambda: challenges.status["problem"] != "", "why there is none")
    assert challenges.stop(10)
