"""From records to advice: medians of days, what is kept of them, the command and the page's pictures."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.commands import main as cli
from station.configuration.load import load_station
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.ejections import Ejection, insert_ejection
from station.records.schema import open_writer
from station.results import Verdict
from station.trends import reading
from station.trends.advice import advice_of, trend_of
from station.trends.reading import TRENDS_FILE, known_days, series_of
from station.trends.signals import Cause
from tests.bench.pages import write_configuration
from tests.bench.sample_parts import PartMaker

NOW = 1_800_000_000.0
TODAY = int(NOW // 86_400)
DAYS = 30


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty days of four parts each, whose pictures get darker from day to day."""
    monkeypatch.setattr(reading, "LEAST_PARTS", 4)
    monkeypatch.setattr("time.time", lambda: NOW)
    config = write_configuration(tmp_path)
    records = load_station(config).records_dir
    recorder = Recorder(RecorderSettings(records, pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    make = PartMaker()
    for number in range(4 * DAYS):
        recorder.record(make.inspected(number + 1, Verdict.PASS))
    assert recorder.stop(30)
    with closing(open_writer(records / "records.db")) as connection:
        connection.execute(
            "UPDATE parts SET wall_time = ? + (acquisition_id - 1) / 4 * 86400.0", ((TODAY - DAYS) * 86_400.0 + 60,)
        )
        connection.execute("UPDATE views SET mean_grey = 120 - (part - 1) / 4 * 0.8 + part % 3 * 0.1")
    return config


def test_from_records_to_advice(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trends", "--json", "--config", str(config), "--pictures", str(tmp_path / "out")]) == 1
    found = json.loads(capsys.readouterr().out)
    (advice,) = found["advice"]
    assert (advice["cause"], advice["place"]) == ("the lamp ages", "top")
    assert 0 < advice["earliest"] <= advice["days"] <= advice["latest"]
    assert [row["signal"] for row in found["trends"]] == ["mean grey"]
    assert (tmp_path / "out" / "trend_1.svg").read_text().startswith("<svg")
    assert cli.main(["trends", "--all", "--config", str(config)]) == 1
    said = capsys.readouterr().out
    assert "order and exchange the lamp" in said
    assert "mean grey" in said
    assert cli.main(["trends", "--progress", "json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"event": "done", "advice": 1}


def test_what_was_read_stays_when_rows_go(config: Path) -> None:
    records = load_station(config).records_dir
    before = series_of(records, NOW)
    with closing(open_writer(records / "records.db")) as connection:
        connection.execute("DELETE FROM views")
        connection.execute("DELETE FROM parts WHERE acquisition_id < 100")
    assert len(known_days(records)) == DAYS
    assert series_of(records, NOW) == before


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 9}', '{"format": 1, "days": {"x": 1}}', '{"format": 1, "days": 3}']
)
def test_a_file_that_cannot_be_used_is_made_anew(config: Path, content: str) -> None:
    records = load_station(config).records_dir
    before = series_of(records, NOW)
    (records.parent / TRENDS_FILE).write_text(content)
    assert series_of(records, NOW) == before


def test_a_valve_that_gets_late_is_followed_by_day(config: Path) -> None:
    records = load_station(config).records_dir
    with closing(open_writer(records / "records.db")) as connection:
        for day in range(DAYS):
            for number in range(4):
                after_ms = 40 + 1.5 * max(0, day - 10) + number % 2
                pushed = Ejection(
                    4 * day + number + 1, 0, 1, (TODAY - DAYS + day) * 86_400.0 + 70, 0.5, "counts",
                    ReasonCode.SCORE_ABOVE_LIMIT, True, after_ms,
                )  # fmt: skip
                statement = insert_ejection("s1", pushed)
                connection.execute(statement.sql, statement.values)
    found = {one.signal: one for one in series_of(records, NOW) if one.place == "ejector 1"}
    assert found["reject confirmed after"].values[:11] == pytest.approx([40.5] * 11)
    assert found["reject confirmed after"].values[-1] == pytest.approx(40.5 + 1.5 * 19)
    assert found["confirmation jitter"].values[0] == pytest.approx(1.0, abs=0.2)
    advice = advice_of([trend_of(one) for one in found.values()])
    assert [one.cause for one in advice] == [Cause.VALVE]
