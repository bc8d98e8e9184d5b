"""`station report`: figures that agree with what is on record and what people said, in every form."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.commands.main import main
from station.labels.queue import NewItem, enqueue, find
from station.labels.reviewing import Opinion, review
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer, changing
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.engines.virtual import FILE, VirtualRun, keep_run
from station.reports.production.stored import StoredReportError, as_json, read_report, stem_of, stored
from station.results import Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.commands.test_json import check_keys

ANNA, BEN = Reviewer("anna", "operator"), Reviewer("ben", "operator")
PERIOD = ["--since", "2027-01-15T08:00Z", "--until", "2027-01-15T10:00Z"]
VERDICTS = {Verdict.PASS: 300, Verdict.FAIL: 20, Verdict.REVIEW: 10}
EVIL = "=1+1<script>alert(1)</script>#panic()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """300 parts passed, 20 failed, 10 are in REVIEW."""
    records = tmp_path / "work" / "records"
    records.mkdir(parents=True)
    recorder, number = Recorder(RecorderSettings(records, pass_image_share=0.0, min_free_mb=0), "s1"), 0
    recorder.start()
    for verdict, count in VERDICTS.items():
        for _ in range(count):
            number += 1
            recorder.record(PartMaker().inspected(number, verdict))
    assert recorder.stop(20)
    return records


def label(records: Path, numbers: range, answer: str, *, why: str, blind: bool = False) -> None:
    with closing(open_writer(labels_beside(records))) as labels:
        for number in numbers:
            item = NewItem("s1", number, 1000 + number, WALL_TIME + number, "?", why, None, None, 1 + blind)  # type: ignore[arg-type]
            with changing(labels):
                enqueue(labels, [item], WALL_TIME + number)
            for by in (ANNA, BEN)[: 1 + blind]:
                now = find(labels, "s1", number)
                opinion = Opinion(answer, took_ms=6000)  # type: ignore[arg-type]
                review(labels, now.id, now.version, opinion, by, overrules=False, now=WALL_TIME + number + 120)


def report(records: Path, *files: Path, more: tuple[str, ...] = ()) -> int:
    names = [str(file) for file in files]
    return main(["report", "--records", str(records), "--config", "none.toml", *PERIOD, *more, "--output", *names])


def figures(file: Path) -> dict[str, dict[str, str]]:
    return {row["figure"]: row for row in csv.DictReader(file.read_text().splitlines())}


def test_without_labels_nothing_is_claimed(folder: Path, tmp_path: Path) -> None:
    assert report(folder, tmp_path / "r.csv") == 0
    found = figures(tmp_path / "r.csv")
    for name in ("true detection rate", "false reject rate", "false accept risk", "reviewers agree"):
        assert found[name]["value"] == "not known", name
    assert "nobody has looked at parts that passed" in found["false accept risk"]["how it was got"]
    assert found["PASS"]["value"] == "300 (90.9 %)"
    assert found["latency"]["value"] == "p50 20, p95 20, p99 20, max 20 ms"
    assert found["cycle time"]["value"] == "p50 1, p95 1, p99 1, max 1 s"


def test_json_has_the_keys_that_the_help_names(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert report(folder, tmp_path / "r.csv", more=("--json",)) == 0
    found = json.loads(capsys.readouterr().out)
    check_keys("report", found)
    assert found["written"] == [str(tmp_path / "r.csv")]


def test_figures_are_those_of_the_strata(folder: Path, tmp_path: Path) -> None:
    label(folder, range(1, 101), "good", why="sample")
    label(folder, range(301, 311), "defective", why="sample", blind=True)
    label(folder, range(321, 331), "good", why="review")
    assert report(folder, tmp_path / "r.csv") == 0
    found = figures(tmp_path / "r.csv")
    detection, wrong, risk = (found[name] for name in ("true detection rate", "false reject rate", "false accept risk"))
    assert detection["interval"] == "100.0 % in the samples"
    assert 55 < float(re.findall(r"at least ([0-9.]+) %", detection["value"])[0]) < 90
    assert wrong["value"] == "3.2 %", "10 of 10 + 300"
    assert risk["value"] == "0 of 100 sampled"
    assert risk["interval"] == "at most 3.0 %; of these 300 parts at most 7 are defective"
    assert found["reviewers agree"]["value"] == "100.0 %, kappa 1.00"
    assert found["time to a decision"]["value"] == "median 2 min, 90 % within 2 min"
    assert "100 of 300 PASS" in detection["of"]


def test_virtual_challenges_of_the_period_count_and_those_of_candidates_do_not(folder: Path, tmp_path: Path) -> None:
    assert report(folder, tmp_path / "r.csv") == 0
    found = figures(tmp_path / "r.csv")["virtual challenge"]
    assert (found["value"], found["of"]) == ("not known", "0 defects")
    kinds = (("cut, 80 grey levels", 80, 76),)
    run = VirtualRun(WALL_TIME + 60, "", "e" * 64, "default", 6, 14, 80, 4, False, kinds)
    for kept in (
        run,
        replace(run, at=run.at + 600, missed=8),
        replace(run, missed=80, of_candidate=True),
        replace(run, missed=80, at=WALL_TIME - 86400),
        replace(run, missed=80, recipe="another"),
    ):
        keep_run(folder.parent, kept)
    assert report(folder, tmp_path / "r.csv", more=("--recipe", "default")) == 0
    found = figures(tmp_path / "r.csv")["virtual challenge"]
    assert found["value"] == "92.5 % found"
    assert found["of"] == "160 defects in 2 challenges"
    assert re.fullmatch(r"8\d\.\d % to 9\d\.\d %", found["interval"])
    (folder.parent / FILE).write_text("{")
    page = tmp_path / "r.html"
    assert report(folder, tmp_path / "r.csv", page) == 0
    assert figures(tmp_path / "r.csv")["virtual challenge"]["value"] == "not known"
    assert "virtual challenges cannot be read" in page.read_text()


def test_a_label_on_a_part_that_was_not_drawn_says_nothing_about_the_others(folder: Path, tmp_path: Path) -> None:
    label(folder, range(1, 50), "good", why="asked")
    assert report(folder, tmp_path / "r.csv") == 0
    assert figures(tmp_path / "r.csv")["false accept risk"]["value"] == "not known"


def test_every_form_holds_what_others_wrote_as_text(folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(folder / "records.db")) as db:
        db.execute("UPDATE parts SET recipe = ?", [EVIL])
        db.execute("UPDATE parts SET engine_id = '' WHERE acquisition_id = 7")
        db.commit()
    files = [tmp_path / f"r{end}" for end in (".html", ".csv", ".pdf", ".parquet")]
    assert report(folder, *files) == 0
    html = files[0].read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "which engine judged it" in html
    assert files[2].read_bytes().startswith(b"%PDF-")
    assert b"pdfaid" in files[2].read_bytes()
    parquet = pytest.importorskip("pyarrow.parquet").read_table(files[3])
    assert (parquet.num_rows, set(parquet.column("recipe").to_pylist())) == (330, {EVIL})


def test_one_recipe_and_a_period_without_parts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(folder, tmp_path / "r.html", tmp_path / "r.csv", more=("--recipe", "other")) == 0
    assert figures(tmp_path / "r.csv")["PASS"]["value"] == "0"
    assert "true detection rate: not known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--output", "r.doc"], "the name must end in .html, .csv, .pdf, .parquet"),
        (["--until", "10:00"], "--until needs --since"),
        (["--since", "2100-01-01"], "has not come yet"),
        (["--shift", "night"], 'no shift "night"'),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: list[str], why: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--records", str(folder), "--config", "none.toml", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_the_data_of_a_report_are_the_whole_of_it_and_the_signs_of_progress_lines_of_json(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label(folder, range(1, 101), "good", why="sample")
    file = tmp_path / "r.json"
    assert report(folder, file, more=("--progress", "json", "--by", EVIL)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines[:-1]] == ["parts", "write json"]
    assert lines[-1] == {"event": "done", "report": "r", "failed": []}
    found = read_report(file)
    assert (found.made_by, found.kind, found.recipe) == (EVIL, "period", "")
    assert as_json(found) == file.read_bytes()
    file.write_text(file.read_text()[:-20])
    with pytest.raises(StoredReportError, match="damaged or of another version"):
        read_report(file)


def test_reports_are_listed_newest_first_and_names_never_meet(tmp_path: Path) -> None:
    assert stored(tmp_path / "none", [".json"]) == []
    for number, stem in enumerate(("b", "a")):
        for end in (".json", ".csv", ".exe"):
            (tmp_path / f"{stem}{end}").write_text("x")
            os.utime(tmp_path / f"{stem}{end}", (number, number))
    (tmp_path / "c.json").symlink_to(tmp_path / "a.json")
    assert [(one.stem, one.ends) for one in stored(tmp_path, [".json", ".csv"])] == [
        ("a", (".csv", ".json")),
        ("b", (".csv", ".json")),
    ]
    assert stem_of("shift day 2026-11-29") == "shift_day_2026-11-29"
    odd = ["a/b", "a\\b", "a b", "ä b", "../x", "x" * 300, "y" * 300]
    assert len({stem_of(name) for name in odd}) == len(odd)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,120}", stem_of(name)) for name in odd)
