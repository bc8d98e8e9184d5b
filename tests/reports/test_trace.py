"""`station trace`: the steps of a part are those of its record, and the picture shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from station.codes import ReasonCode
from station.commands import main as cli
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.ejections import Ejection
from station.records.events import EventRow
from station.records.parts import PartRow, part_row
from station.records.schema import DATABASE_FILE
from station.reports.drawing import PNG_SCALE, Drawing
from station.reports.trace import trace
from station.reports.trace_picture import COLOURS, WIDTH, draw, tick_ms
from station.results import Verdict
from tests.bench.bench import Bench, bad, good
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.bench.waiting import wait_for

MAKE = PartMaker()
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Parts 1001 (PASS), 1002 (FAIL, acknowledged), 1003 (ERROR, late answer), and events."""
    recorder = Recorder(RecorderSettings(tmp_path, pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    recorder.record(MAKE.inspected(1, Verdict.PASS))
    recorder.record(MAKE.inspected(2, Verdict.FAIL))
    recorder.acknowledged(2, 26.125)
    recorder.record(MAKE.inspected(3, Verdict.PASS, late=True))
    for detail, at_s in (("acquisition 2 came late", 60.0), ("acquisition 22 came late", 60.0)):
        recorder.event("late_result", "warning", detail, WALL_TIME + at_s)
    recorder.event("results_withdrawn", "warning", "not acknowledged by the PLC, now Reject: 21, 2", WALL_TIME + 2.011)
    recorder.event("camera_down", "warning", "gone", WALL_TIME + 2.004)
    recorder.event("camera_down", "warning", "gone", WALL_TIME + 1.999)
    assert recorder.stop(20)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["trace", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def traced(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_every_step_has_its_time_and_what_it_was_spent_on(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = traced(capsys, 1002, "--records", records)
    steps = [(step["name"], step["at_ms"], step["took_ms"], step["spent_on"]) for step in found["steps"]]
    recorded = [step for step in steps if step[0] == "recorded"]
    assert len(recorded) == 1
    steps.remove(recorded[0])
    assert steps == [
        ("trigger (line)", 0.0, 0.0, ""),
        ("frame received", 3.0, 3.0, "exposure and transfer"),
        ("inspection starts", 4.0, 1.0, "queue"),
        ("engine starts", 5.0, 1.0, "preparation"),
        ("engine ends", 15.0, 10.0, "engine"),
        ("decided", 16.0, 1.0, "measurement and rules"),
        ("signalled", 20.0, 4.0, "signalling"),
        ("acknowledged", 26.125, 6.125, "PLC"),
    ]


def test_json_has_the_views_without_their_regions(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (view,) = traced(capsys, 1002, "--records", records)["part"]["views"]
    assert (view["camera"], view["verdict"]) == ("top", "FAIL")
    assert view["reasons"] == ["anomaly score above the reject limit: detail"]
    assert "regions" not in view


def test_events_of_the_part_and_of_its_time(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = traced(capsys, 1002, "--records", records)
    events = [(round(event["at_ms"]), event["kind"], event["names_part"]) for event in found["events"]]
    assert events == [(58000, "late_result", True), (11, "results_withdrawn", True), (4, "camera_down", False)]


def test_a_late_answer_stands_after_the_signal() -> None:
    row = part_row(MAKE.inspected(3, Verdict.PASS, late=True))
    late = PartRow(**{**row_values(row), "signalled_ms": 10.0})
    steps = [(step.name, step.spent_on) for step in trace(late, iter(())).steps]
    assert steps[3:] == [
        ("engine starts", "preparation"),
        ("signalled", "waiting"),
        ("engine ends", "engine"),
        ("decided", "measurement and rules"),
    ]


def row_values(row: PartRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in PartRow.__slots__}


def test_each_view_has_its_own_steps() -> None:
    row = part_row(MAKE.seen_by(3, {"top": Verdict.PASS, "side": Verdict.PASS}))
    steps = [(step.name, step.at_ms, step.took_ms) for step in trace(row, iter(())).steps]
    assert ("top: frame received", 3.0, 3.0) in steps
    assert ("side: frame received", 4.0, 4.0) in steps
    assert ("signalled", 20.0, 4.0) in steps
    assert len(steps) == 2 + 2 * 5


def test_a_part_without_frame_has_trigger_and_signal_only() -> None:
    steps = trace(part_row(MAKE.without_frame(9)), iter(())).steps
    assert [(step.name, step.took_ms) for step in steps] == [("trigger (line)", 0.0), ("signalled", 20.0)]


def test_a_recovered_part_has_only_its_trigger() -> None:
    row = PartRow(**{**row_values(part_row(MAKE.without_frame(9))), "signalled_ms": None})
    found = trace(row, iter([EventRow("s1", 0.0, "x", "info", "acquisition 9 y")]))
    assert [step.name for step in found.steps] == ["trigger (line)"]
    assert found.events[0].names_part
    assert ElementTree.fromstring(draw(found).svg()).tag == f"{SVG}svg"


def test_text_names_step_verdict_and_older_parts(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(RecorderSettings(records, min_free_mb=0), "s2")
    recorder.start()
    recorder.record(PartMaker("s2").without_frame(2))
    assert recorder.stop(20)
    code, out, _ = run(capsys, 1002, "--records", records)
    assert code == 0
    assert "ERROR" in out
    said = " ".join(out.split())
    assert "the same number, older: FAIL --at 2027-01-15T" in said
    assert said.endswith("--session s1")
    code, out, _ = run(capsys, 1002, "--records", records, "--session", "s1")
    assert "anomaly score above the reject limit: detail" in out
    assert "acknowledged" in out
    code, out, _ = run(capsys, 3, "--acquisition", "--records", records / DATABASE_FILE)
    assert "a late answer said PASS" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("7", "--records", "{records}"), "no part with part id 7 is on record; --acquisition takes"),
        (("7", "--acquisition", "--session", "s9", "--records", "{records}"), "AcquisitionId 7 in session s9"),
        (("1002", "--records", "{records}/none"), "cannot be read"),
        (("1002", "--records", "{records}", "--picture", "x.jpg"), "must end in .svg or .png"),
        (("1002", "--records", "{records}", "--picture", "{records}/none/x.png"), "No such file"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], said: str, records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, *(argument.format(records=records) for argument in arguments))
    assert code == 2
    assert said in error


def test_picture_has_a_bar_for_each_step_as_svg_and_as_png(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg, png = tmp_path / "trace.svg", tmp_path / "trace.png"
    for picture in (svg, png):
        assert run(capsys, 1002, "--records", records, "--picture", picture)[0] == 0
    root = ElementTree.fromstring(svg.read_text())
    bars = {bar.get("fill"): float(bar.get("width") or 0) for bar in root.iter(f"{SVG}rect")}
    spent = ("exposure and transfer", "queue", "preparation", "engine", "measurement and rules", "signalling", "PLC")
    assert {COLOURS[what] for what in spent} < bars.keys()
    assert bars[COLOURS["engine"]] == pytest.approx(10 * bars[COLOURS["queue"]], rel=0.01)
    pixels = cv2.imread(str(png))
    assert pixels is not None
    assert pixels.shape[1] == WIDTH * PNG_SCALE
    engine = tuple(int(COLOURS["engine"][index : index + 2], 16) for index in (5, 3, 1))
    assert int(np.all(pixels == engine, axis=2).sum()) > 500


def test_a_push_is_a_step_and_has_its_bar() -> None:
    row = part_row(MAKE.inspected(2, Verdict.FAIL))
    pushed = Ejection(2, 1002, 1, row.wall_time + 1.5, 0.2, "counts", ReasonCode.SCORE_ABOVE_LIMIT, True)
    found = trace(row, iter(()), [pushed])
    assert (found.steps[-1].name, round(found.steps[-1].at_ms)) == ("pushed by ejector 1", 1500)
    assert COLOURS["belt"] in draw(found).svg()


@pytest.mark.parametrize(("end_ms", "tick"), [(26.0, 5.0), (8.0, 1.0), (100.0, 20.0), (0.0, 0.0001), (3000.0, 500.0)])
def test_ticks_are_round_numbers(end_ms: float, tick: float) -> None:
    assert tick_ms(end_ms) == pytest.approx(tick)


def test_a_drawing_escapes_what_xml_would_not_take() -> None:
    drawing = Drawing(10, 10)
    drawing.text((1, 1), "<a & b> ä")
    assert [text.text for text in ElementTree.fromstring(drawing.svg()).iter(f"{SVG}text")] == ["<a & b> ä"]


@pytest.mark.system
def test_the_real_station_records_the_acknowledgement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Bench(tmp_path) as bench:
        bench.start()
        parts = [bench.send(picture) for picture in (good(), bad())]
        results = [bench.result(part) for part in parts]
        wait_for(lambda: sum("acknowledged_ms" in row.extra for row in bench.rows()) == 2, "acknowledgements")
        assert [result.passed for result in results] == [True, False]
        for part in parts:
            found = traced(capsys, part, "--config", bench.config_path)
            at = {step["name"]: step["at_ms"] for step in found["steps"]}
            assert 0 < at["engine starts"] < at["engine ends"] < at["signalled"] < at["acknowledged"]
            assert at["decided"] < at["recorded"]
