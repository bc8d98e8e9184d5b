"""`station demo` as a person runs it: a whole run, Ctrl-C. (What it refuses: tests/simulation/run.)"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.records.parts import parts
from station.records.schema import open_reader
from station.simulation.parts.rendered import SIZE_PX, render
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.places import ROOT
from tests.bench.waiting import wait_for
from tests.commands.test_json import check_keys

KEYS = {"ledger", "truth", "confusion", "latency_ms", "engine_ms", "overhead_ms", "engine_id", "ejected_part_ids", "image_auroc"}  # fmt: skip # noqa: E501


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "station", "demo", *arguments]


def demo(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)


ATTEMPTS = 3
HELD_UP = ("too slow or too busy", "no result in time", "nothing has moved on the line", "no TriggerReady within")
"""What a demo says that fails because this machine did not keep up with its line."""


def demo_that_keeps_up(
    folder: Path, rate_per_s: float, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A demo at this rate, or at half and a quarter of it where the machine has too much other work; and its folder."""
    for attempt in range(ATTEMPTS):
        work = folder / f"work{attempt}"
        rate = f"{rate_per_s / 2**attempt:g}"
        done = demo(*arguments, "--rate", rate, "--work", str(work), timeout_s=250)
        if done.returncode != 1 or not any(text in done.stdout + done.stderr for text in HELD_UP):
            break
    return done, work


def processes_of(work: Path) -> list[str]:
    """Command lines of running processes that name this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if str(work) in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compares with the mean of good parts: coarse, but fast, and enough to see a missing hole."""
    reference = np.mean([render(seed) for seed in range(12)], axis=0).astype(np.uint8)
    folder = tmp_path_factory.mktemp("engines") / "small"
    return write_small_engine(
        folder, width=SIZE_PX, height=SIZE_PX, reference=reference, reject_score=95.0, review_score=90.0
    )


def test_engine_that_does_not_fit_the_camera_is_refused_by_the_station(tmp_path: Path) -> None:
    small = write_small_engine(tmp_path / "engine", width=64, height=64)  # taught on grey
    done = demo("--engine", str(small), "--work", str(tmp_path / "work"))
    assert done.returncode == 2, done.stderr
    assert "the station refused to start: engine" in done.stderr
    assert "taught on grey images, the camera gives colour" in done.stderr
    assert processes_of(tmp_path) == []


def test_every_part_is_accounted_for(tmp_path: Path, engine: Path) -> None:
    """Belt, PLC, camera and station are all real processes."""
    report_file = tmp_path / "report.json"
    done, work = demo_that_keeps_up(
        tmp_path, 3, *("--engine", str(engine), "--parts", "16", "--report", str(report_file), "--json")
    )
    assert done.returncode == 0, done.stdout + done.stderr + (work / "station.log").read_text()
    report = json.loads(report_file.read_text())
    assert report.keys() >= KEYS
    assert json.loads(done.stdout) == report
    check_keys("demo", report)
    challenge = report["challenge"]
    assert (challenge["state"], challenge["recorded"]) == ("passed", 1)
    (master,) = challenge["parts"]
    assert (master["part_id"], master["result"], master["bin"]) == (1, "FAIL", "reject")
    assert min(part["part_id"] for part in report["parts"]) == 2, "master parts are on an account of their own"
    assert (report["runtime"]["asked"], report["runtime"]["ran"]) == ("auto", "onnx")
    assert "chosen by auto, because" in report["runtime"]["why"]
    ledger = report["ledger"]
    assert ledger["triggers"] == 16 == sum(ledger[name] for name in ("pass", "fail", "review", "error"))
    assert report["truth"] == {"good": 12, "defective": 4}
    assert sum(report["confusion"].values()) == 16 - ledger["error"]
    passed = {part["part_id"] for part in report["parts"] if part["bin"] == "good"}
    assert passed.isdisjoint(report["ejected_part_ids"])
    assert len(passed) + len(report["ejected_part_ids"]) == 16
    assert all(part["verdict"] == "PASS" for part in report["parts"] if part["bin"] == "good")
    scores = {part["truth"]: part["score"] for part in report["parts"]}
    assert max(scores, key=lambda truth: scores[truth]) == "missing_hole", (
        "the part in the frame is the part on the belt"
    )
    assert cv2.imread(str(work / "contact_sheet.png")) is not None
    assert processes_of(tmp_path) == []
    assert not list(work.glob("*.sock")), "sockets are removed"
    assert not list(work.glob("*.scene"))


def test_plc_triggers_the_camera_and_openvino_runs_the_engine(tmp_path: Path, engine: Path) -> None:
    asked = ("--engine", str(engine), "--parts", "5", "--trigger", "plc", "--runtime", "openvino")
    done, work = demo_that_keeps_up(tmp_path, 1, *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((work / "report.json").read_text())
    assert report["ledger"]["triggers"] == 5
    assert report["runtime"] == {"asked": "openvino", "ran": "openvino", "why": "as configured"}


def test_parts_that_come_faster_than_everything_are_all_accounted_for(tmp_path: Path, engine: Path) -> None:
    """How fast this computer is, is not asked: the belt waits for it, and the report says what was held.

    Above the rate that was set, too: the first part may be read late, and the others at once behind it.
    """
    done, work = demo_that_keeps_up(tmp_path, 200, "--engine", str(engine), "--parts", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((work / "report.json").read_text())
    assert report["ledger"]["triggers"] == 60
    assert report["rate_per_s"] in (200, 100, 50)
    assert report["held_rate_per_s"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_nothing_behind(tmp_path: Path, engine: Path, number: signal.Signals) -> None:
    work = tmp_path / "work"
    with subprocess.Popen(
        command("--engine", str(engine), "--parts", "500", "--rate", "4", "--work", str(work)),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as running:  # fmt: skip
        log = work / "line.jsonl"
        wait_for(lambda: log.exists() and '"event": "part"' in log.read_text(), "a part", timeout_s=60)
        running.send_signal(number)
        output, _ = running.communicate(timeout=60)
    assert running.returncode == 130, output
    assert "Traceback" not in output
    assert processes_of(tmp_path) == []
    assert not list(work.glob("*.sock"))
    assert '"exit_code": 0' in (work / "station.log").read_text(), "the station was stopped in order"


def test_three_cameras_see_a_part_each_from_its_side(tmp_path: Path, engine: Path) -> None:
    """A missing hole is seen by one camera of three: all such parts are out, all others pass, the books balance."""
    run, work = demo_that_keeps_up(tmp_path, 1.5, "--engine", str(engine), "--cameras", "3", "--parts", "16")
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((work / "report.json").read_text())
    missing_hole = [part for part in report["parts"] if part["truth"] == "missing_hole"]
    assert missing_hole
    for part in missing_hole:
        assert (part["verdict"], part["bin"]) == ("FAIL", "reject")
        assert "camera" in part["reason"]
    assert report["confusion"]["good_pass"] > 0
    with open_reader(work / "records") as connection:
        rows = list(parts(connection, production=True))
    assert len(rows) == 16
    short = [row for row in rows if len(row.views) < 3]  # a machine that is held up may miss a frame
    assert len(short) <= 2
    assert all(row.verdict == "ERROR" for row in short)
    failed = [view.camera for row in rows for view in row.views if view.verdict == "FAIL"]
    assert len(failed) == len(missing_hole)


def test_with_keep_the_line_goes_on_and_pages_show_it(tmp_path: Path, engine: Path) -> None:
    work = tmp_path / "work"
    call = command("--engine", str(engine), "--parts", "4", "--rate", "3", "--work", str(work), "--keep")
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(call, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
        try:
            wait_for(lambda: "the line goes on" in output.read_text(), "the pages", 120)
            (address,) = re.findall(r"look at it at (http://127\.0\.0\.1:\d+/)live", output.read_text())
            with urllib.request.urlopen(f"{address}live", timeout=30) as page:
                assert page.status == 200
            with closing(open_reader(work / "records")) as connection:
                wait_for(lambda: len(list(parts(connection))) > 4, "more parts", 60)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    said = output.read_text()
    assert (code, "nobody has an account yet" in said) == (0, True), said
    assert processes_of(tmp_path) == []
