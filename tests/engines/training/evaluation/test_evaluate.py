"""The evaluation from folder to report, in its own processes, also when they are killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.training.evaluation.__main__ import main as evaluation_main
from station.commands.main import main
from tests.bench.engines import small_sets
from tests.bench.made_once import made_once
from tests.bench.waiting import is_alive, wait_for

pytestmark = pytest.mark.system

DEADLINE_S = 200.0
RUNS = 6


def command(dataset: Path, output: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "engines.training.evaluation", "--progress", "json", "--steps", "0"),
        *("--dataset", str(dataset), "--output", str(output), "--cache", str(dataset.parent / "cache"), *more),
    ]


def evaluate(dataset: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(dataset, output, *more), capture_output=True, text=True, timeout=DEADLINE_S)


def results(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output / "results.json").read_text())
    return found


GRID = ("--refine", "oracle,none", "--noise", "0,30,90", "--seeds", "1", "--jobs", "1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 good images to learn, 24 scratched of which 12 are dirt."""
    return made_once(
        tmp_path_factory, "evaluation", lambda folder: small_sets.mvtec(folder / "rings", good=6, scratched=24)
    )


@pytest.fixture(scope="module")
def done(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> Path:
        output = folder / "out"
        options = ["--output", str(output), "--cache", str(dataset.parent / "cache"), "--steps", "0", *GRID]
        # 1: runs failed, there is too little to learn at 90 %.
        assert main(["evaluate", "--dataset", str(dataset), *options]) == 1
        return output

    return made_once(tmp_path_factory, "evaluated", make)


def test_every_run_has_its_figures(done: Path) -> None:
    found = results(done)
    assert len(found) == RUNS
    good = {(r["refine"], r["noise"]): r for r in found if r["error"] is None}
    assert set(good) == {("oracle", 0), ("none", 0), ("oracle", 30), ("none", 30)}
    for run in good.values():
        assert (run["dataset"], run["detector"], run["seed"]) == ("rings", "spatial", 0)
        assert (run["test_good"], run["test_defective"]) == (6, 12)
        assert run["train_good"] == 24
        assert run["train_bad"] == (10 if run["noise"] else 0)
        assert run["training_s"] > 0
        assert run["inference_ms"] > 0
        assert 0 <= run["false_reject"] <= 1
        assert 0 <= run["aupro"] <= run["pixel_auroc"] <= 1
        escapes = run["escapes"]
        assert escapes["count"] == 12
        assert escapes["passed"] == run["escape"] <= escapes["not_rejected"]
        assert 0 <= escapes["ranked_5"] <= escapes["ranked_1"] <= 1
        assert sum(run["causes"].values()) == pytest.approx(run["escape"])
        assert run["trade_off"]["1"] == escapes["ranked_1"]
        assert run["escapes_by_defect"] == {"scratch": escapes}
        at = run["at_review_budget"]
        assert list(at) == ["1", "2", "3", "5", "10", "20"]
        above = pytest.approx(run["false_reject"] + run["good_review"])
        assert at["10"] == {"passed": run["escape"], "good_above": above}
        passed = [each["passed"] for each in at.values()]
        assert passed == sorted(passed, reverse=True)
    assert good["oracle", 30]["image_auroc"] == 1.0
    assert good["oracle", 30]["removed_bad"] == 10
    assert good["none", 30]["image_auroc"] < 1.0  # learned scratches look normal
    assert good["none", 0]["pixel_auroc"] > 0.95


def test_runs_that_cannot_be_done_are_reported(done: Path) -> None:
    failed = [r for r in results(done) if r["error"] is not None]
    assert {r["noise"] for r in failed} == {90}
    assert all(r["error"] and "unexpected" not in r["error"] and r["image_auroc"] is None for r in failed)
    assert "## Failed runs" in (done / "report.md").read_text()


def test_the_report_shows_tables_and_pictures(done: Path) -> None:
    text = (done / "report.md").read_text()
    for heading in (
        "Gap to the oracle",
        "Images removed",
        "Promised and realised",
        "Worst mistakes",
        "AUPRO",
        "not rejected",
        "Trade-off",
        "Why defects pass",
    ):
        assert heading in text
    for picture in (
        "auroc-spatial.png",
        "scores-rings-spatial.png",
        "trade-off-rings-spatial.png",
        "mistakes-rings-spatial.png",
    ):
        assert (done / "plots" / picture).stat().st_size > 5000
        assert f"(plots/{picture})" in text


def test_what_is_done_is_not_done_again(dataset: Path, done: Path, tmp_path: Path) -> None:
    done = Path(shutil.copytree(done, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in (done / "runs").iterdir()}
    (done / "report.md").unlink()
    again = evaluate(dataset, done, *GRID)
    assert again.returncode == 0, again.stdout
    assert '"runs"' not in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (done / "runs").iterdir()} == before
    assert (done / "report.md").is_file()


def test_after_a_kill_two_processes_finish_the_rest(dataset: Path, done: Path, tmp_path: Path) -> None:
    output = tmp_path / "killed"
    grid = ("--refine", "none", "--noise", "0", "--seeds", "3", "--jobs", "1")
    process = subprocess.Popen(command(dataset, output, *grid), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if '"runs"' in line:
            break
    worker = _only_child(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    wait_for(lambda: not is_alive(worker), "the end of the worker with its parent", timeout_s=60)
    finished = {path: path.stat().st_mtime_ns for path in (output / "runs").glob("*.json")}
    assert 1 <= len(finished) < 3
    both = [subprocess.Popen(command(dataset, output, *grid), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        text, _ = one.communicate(timeout=DEADLINE_S)
        assert one.returncode == 0, text
    assert [r["seed"] for r in results(output)] == [0, 1, 2]
    assert len(list((output / "runs").glob("*.json"))) == 3
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
    assert not list((output / "runs").glob(".*"))


def test_bad_input_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["evaluate", "--dataset", str(tmp_path / "empty"), "--output", str(tmp_path / "out")]) == 2
    assert "no recognised layout" in capsys.readouterr().err
    for option, value, message in (
        ("--detector", "magic", 'unknown "magic"; known: '),
        ("--refine", "magic", 'unknown "magic"; known: oracle, none, osr, irp, auto'),
        ("--noise", "10,95", '"95": allowed are 0 to 90'),
        ("--seeds", "0", '"0": at least 1'),
    ):
        with pytest.raises(SystemExit):
            evaluation_main(["--output", str(tmp_path / "out"), option, value])
        assert message in capsys.readouterr().err


def _only_child(pid: int) -> int:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    workers = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    assert len(workers) == 1
    return workers[0]
