"""`station batch`, and the batch as a filter: from the command through the daemon's handler to records and a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.commands import main as cli
from station.configuration.load import load_station
from station.daemon.control_server import ControlServer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.batches.rows import BatchRow, upsert_batch
from station.records.schema import DATABASE_FILE, open_writer
from station.results import Verdict
from tests.bench.sample_parts import PartMaker
from tests.commands.test_json import check_keys
from tests.daemon.test_requests import Door

EVIL = "<b>[/x] =1+1"


class Line:
    """A station without a line: parts are recorded as they come, its control socket replies."""

    def __init__(self, folder: Path) -> None:
        self.door = Door(folder)
        self.config = folder / "station.toml"
        self.records = load_station(self.config).records_dir
        self.recorder = Recorder(RecorderSettings(self.records, min_free_mb=0), "s1")
        self.recorder.start()
        self.door.requests._batches = self.recorder.batches
        self.number = 0

    def part(self, verdict: Verdict = Verdict.PASS) -> None:
        self.number += 1
        record = PartMaker().inspected(self.number, verdict)
        part = replace(record.part, time_ns=self.recorder.batches.now_ns())
        self.recorder.record(replace(record, part=part))
        assert self.recorder.flush(20)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    socket = load_station(line.config).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    server = ControlServer(socket, line.door.handlers)
    server.start()
    yield line
    server.close()
    assert line.recorder.stop(20)


def test_from_begin_to_a_report(
    line: Line, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    config = ["--config", str(line.config)]

    def run(*words: str, code: int = 0) -> str:
        capsys.readouterr()  # lines of the log
        assert cli.main([*words, *config]) == code, capsys.readouterr()
        found = capsys.readouterr()
        return found.err if code else found.out

    line.part()
    assert "No batch is on record" in run("batch", "list")
    assert "batch 8812 has begun" in run("batch", "begin", "8812", "--product", "flange", "--order", "A-7")
    assert "8812" in run("batch", "begin", "8812", code=2)
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.PASS):
        line.part(verdict)
    begun = json.loads(run("batch", "begin", EVIL, "--json"))
    check_keys("batch begin", begun)
    assert (begun["number"], begun["name"], begun["end"]) == (2, EVIL, None)
    line.part(Verdict.REVIEW)
    assert line.recorder.flush(20)

    listed = json.loads(run("batch", "list", "--json"))
    check_keys("batch list", listed)
    assert [(one["name"], one["order"], one["parts"], one["fail"]) for one in listed] == [
        ("8812", "A-7", 3, 1), (EVIL, "", 1, 0),
    ]  # fmt: skip
    assert EVIL in run("batch", "list")
    parts = json.loads(run("parts", "--batch", "8812", "--json"))
    assert [(part["acquisition_id"], part["batch"]) for part in parts] == [(2, 1), (3, 1), (4, 1)]
    assert [part["batch"] for part in json.loads(run("parts", "--json"))] == [None, 1, 1, 1, 2]
    assert [part["acquisition_id"] for part in json.loads(run("parts", "--batch", "now", "--json"))] == [5]
    (counts,) = json.loads(run("counts", "--by", "recipe", "--batch", "last", "--json"))
    assert (counts["parts"], counts["pass"], counts["fail"]) == (3, 2, 1)
    assert 'no batch "9" is on record; the newest' in run("parts", "--batch", "9", code=2)

    file = tmp_path / "report.csv"
    run("report", "--batch", "8812", "--output", str(file))
    assert "FAIL,1 (33.3 %)" in file.read_text()
    assert "3 parts" in file.read_text()
    data = tmp_path / "report.json"
    run("report", "--batch", "now", "--output", str(data))
    assert json.loads(data.read_text())["period"]["name"] == f"batch {EVIL}"
    assert "a batch has its own time" in run("report", "--batch", "8812", "--shift", "now", code=2)
    assert "no batch" in run("report", "--batch", "9", code=2)

    ended = json.loads(run("batch", "end", "--json"))
    check_keys("batch end", ended)
    assert ended["end"] is not None
    assert "no batch is open" in run("batch", "end", code=2)
    assert [(one.action, one.before, one.after, one.result) for one in line.door.audited] == [
        ("batch", "none", "8812", "done"), ("batch", "8812", EVIL, "done"), ("batch", EVIL, "none", "done"),
    ]  # fmt: skip


def test_without_a_station_that_runs_nothing_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Door(tmp_path)
    assert cli.main(["batch", "begin", "8812", "--config", str(tmp_path / "station.toml")]) == 2
    assert "station" in capsys.readouterr().err


def test_older_records_have_no_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("DROP TABLE batches")
    assert cli.main(["batch", "list", "--records", str(tmp_path), "--config", str(tmp_path / "none.toml")]) == 0
    assert "No batch is on record" in capsys.readouterr().out


def test_a_batch_ends_once(tmp_path: Path) -> None:
    begun = BatchRow(1, "8812", "", "", "r", 1.0, None, "anna", "")
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        for row in (begun, replace(begun, end_s=5.0, ended_by="anna"), replace(begun, end_s=9.0, ended_by="ben")):
            statement = upsert_batch(row)
            connection.execute(statement.sql, statement.values)
        assert connection.execute("SELECT end_s, ended_by FROM batches").fetchall() == [(5.0, "anna")]
