"""A process that saves decisions is killed at any moment: what it reported as saved is there, and nothing half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from station.labels.labels import read_labels
from station.labels.schema import LABELS_FILE, open_writer

pytestmark = pytest.mark.system
KILLS = 5
REVIEWS = """
import sys
from pathlib import Path
from station.labels.queue import NewItem, enqueue, take
from station.labels.reviewing import DrawnRegion, Opinion, review
from station.labels.schema import open_writer
from station.labels.writing import Reviewer, changing

anna, first = Reviewer("anna", "operator"), int(sys.argv[2])
labels = open_writer(Path(sys.argv[1]))
with changing(labels):
    enqueue(labels, [NewItem("s", n, n, 1.0, "REVIEW", "review") for n in range(first, first + 5000)], 1.0)
region = DrawnRegion("top", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
while (item := take(labels, anna, overrules=False, now=2.0)) is not None:
    review(labels, item.id, item.version, Opinion("defective", regions=(region,)), anna, overrules=False, now=2.0)
    print(item.acquisition_id, flush=True)
"""


def test_what_was_reported_as_saved_outlives_the_killed_process(tmp_path: Path) -> None:
    file, reported = tmp_path / LABELS_FILE, set[int]()
    for kill in range(KILLS):
        command = [sys.executable, "-c", REVIEWS, str(file), str(10_000 * kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3 + 4 * kill):
                reported.add(int(process.stdout.readline()))
            os.kill(process.pid, signal.SIGKILL)
            reported.update(int(line) for line in process.stdout if line.endswith("\n"))
    with closing(open_writer(file)) as labels:
        assert labels.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        decisions, regions, answered = (
            labels.execute(f"SELECT COUNT(*) FROM {of}").fetchone()[0]
            for of in ("decisions", "regions", "items WHERE state = 'answered'")
        )
    assert decisions == regions == answered, "a decision, its region and the state of the part are one"
    labelled = {one.acquisition_id for one in read_labels(file)}
    assert reported <= labelled
    assert len(labelled) <= len(reported) + KILLS, "at most the one that was being saved"
