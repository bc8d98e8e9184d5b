"""What sets station and engine apart from the product: scores of teaching, master parts, labels, kinds of defects."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from station.codes import DRIFT_WARNINGS, ReasonCode, WarningCode
from station.labels.labels import decide
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.monitoring.conformal import ConformalStream
from station.monitoring.diagnosis import Cause
from station.monitoring.e_detector import EProcess
from station.monitoring.labelled import Labelled, newest_id, read_labelled
from station.monitoring.masters import LEARNED_TESTS, Masters, MasterStream
from station.monitoring.seen import SeenMaster, master_of
from station.monitoring.watch import Promise, Watch
from station.records.challenge_runs import MasterPart, Outcome, Run, Step
from station.records.challenges import ChallengeRow
from station.records.parts import part_row
from station.results import Verdict
from tests.bench.sample_parts import PartMaker
from tests.monitoring.line import Line
from tests.monitoring.test_watch import PROMISE, SETTINGS, delay, watch_of

NORMAL = Line()
LENGTH = 1e6


def scores(random: np.random.Generator, count: int, shift: float = 0.0) -> list[float]:
    return np.clip(0.2 + 0.05 * (random.normal(size=count) + shift), 0, 0.49).tolist()


def test_a_line_whose_scores_are_those_of_teaching_gives_no_alarm() -> None:
    random = np.random.default_rng(1)
    stream = ConformalStream("scores", LENGTH, scores(random, 100))
    for score in scores(random, 5000):
        stream.add(score)
    assert not stream.changed
    assert 0.45 < stream.mean < 0.55


def test_scores_unlike_teaching_are_seen_from_the_first_part_on() -> None:
    """The watch itself takes 1,000 parts to learn."""
    random = np.random.default_rng(2)
    watch = Watch(SETTINGS, replace(PROMISE, held_out=tuple(scores(random, 200))))
    assert delay(watch, replace(NORMAL, score_shift=2.0), random, 600) < 600
    assert watch.finding is not None
    assert watch.finding.cause is Cause.PRODUCT
    assert "scores against teaching" in watch.finding.detail
    again = Watch(SETTINGS, replace(PROMISE, held_out=tuple(scores(random, 200))))
    again.restore(json.loads(json.dumps(watch.memory)))
    assert [status.detail for status in again.statuses] == [status.detail for status in watch.statuses]
    for part in NORMAL.parts(1500, random):
        again.add(part)
    assert again.finding is None, "as at teaching"


def test_lots_that_differ_a_little_are_no_change() -> None:
    """Each lot of 200 parts lies a fifth of a deviation higher or lower: never in any order, so bets gain."""
    random = np.random.default_rng(3)
    stream = ConformalStream("scores", LENGTH, scores(random, 100))
    for _ in range(30):
        for score in scores(random, 200, shift=0.2 * random.normal()):
            stream.add(score)
            assert not stream.changed


@pytest.mark.parametrize("counts", [{"600": 1}, {"-1": 1}, {"3": -1}])
def test_a_spoilt_memory_of_scores_is_refused(counts: dict[str, int]) -> None:
    stream = ConformalStream("scores", LENGTH, [0.1] * 40)
    with pytest.raises(ValueError, match="bin"):
        stream.restore({"counts": counts, "last": [], "changed": False, "evidence": [0.0] * 6})


def test_a_master_part_moves_when_the_station_does() -> None:
    random = np.random.default_rng(4)
    stream = MasterStream("master part: scratch")
    for score in 0.7 + 0.02 * random.normal(size=400):
        stream.add(float(score))
        assert not stream.changed
    taken = 0
    while not stream.changed:
        stream.add(0.62 + 0.02 * random.normal())
        taken += 1
    assert taken <= 10
    restored = MasterStream("master part: scratch")
    restored.restore(json.loads(json.dumps(stream.memory)))
    assert restored.status == stream.status
    for score in 0.7 + 0.02 * random.normal(size=30):
        restored.add(float(score))
    assert not restored.changed, "the lens is clean again"


def test_one_odd_test_is_no_change() -> None:
    stream = MasterStream("master part: scratch")
    for _ in range(LEARNED_TESTS):
        stream.add(0.7)
    for score in (0.0, float("nan"), *[0.7] * 5):
        stream.add(score)
        assert not stream.changed
    with pytest.raises(ValueError, match="master part"):
        stream.restore({"learning": [0.7], "average": 0.7, "changed": False})


def shown(watch: Watch, shifts: dict[str, float]) -> None:
    for name, shift in shifts.items():
        for _ in range(15):
            watch.add_master(name, 0.6 + shift)


@pytest.mark.parametrize(
    ("shifts", "product", "cause"),
    [
        ({"good": 0.2, "scratch": 0.2}, 0.0, Cause.STATION),
        ({"good": 0.2, "scratch": 0.2}, 1.5, Cause.STATION),
        ({"good": 0.0, "scratch": 0.2, "hole": 0.0}, 0.0, Cause.MASTER_PART),
        ({"good": 0.0, "scratch": 0.0}, 1.5, Cause.PRODUCT),
        ({"good": 0.2}, 0.0, Cause.STATION),
    ],
)
def test_master_parts_tell_the_station_from_the_product(shifts: dict[str, float], product: float, cause: Cause) -> None:
    random = np.random.default_rng(5)
    watch = watch_of(NORMAL, random)
    shown(watch, dict.fromkeys(shifts, 0.0))
    shown(watch, shifts)
    for part in replace(NORMAL, score_shift=product).parts(900, random):
        watch.add(part)
    assert watch.finding is not None
    assert watch.finding.cause is cause
    assert ("not the station" in watch.finding.detail) == (cause is Cause.PRODUCT)


def test_only_what_the_station_sees_is_drift() -> None:
    assert WarningCode.STATION_CHANGED in DRIFT_WARNINGS
    others = (
        WarningCode.MASTER_PART_CHANGED,
        WarningCode.ENGINE_DISAGREES,
        WarningCode.KIND_RISES,
        WarningCode.NEW_KIND,
    )
    assert not DRIFT_WARNINGS.intersection(others)


def test_names_and_scores_of_master_parts_are_joined_once_whichever_comes_first() -> None:
    parts = (MasterPart("good", Verdict.PASS), MasterPart("scratch", Verdict.FAIL))
    steps = tuple(
        Step(part.name, number, part.expected, ReasonCode.NONE, Outcome.AS_EXPECTED)
        for number, part in enumerate(parts, start=7)
    )
    first, second = (
        ChallengeRow(Run(1, "Ada", 0.0, parts, steps=steps[:count]), "flange", "", "e1") for count in (1, 2)
    )
    masters = Masters()
    assert masters.joined(SeenMaster(7, 0.1)) == []
    assert [(name, score) for _, name, score in masters.joined(first)] == [("good", 0.1)]
    assert masters.joined(second) == []
    assert [(name, score) for _, name, score in masters.joined(SeenMaster(8, 0.9))] == [("scratch", 0.9)]
    assert masters.joined(second) == []
    record = PartMaker().inspected(3, Verdict.FAIL)
    assert master_of(record) is None
    assert master_of(replace(record, part=replace(record.part, challenge=1))) == SeenMaster(3, 0.5)


def label(verdict: str, said: str) -> Labelled:
    return Labelled(1, said, None, "e1", "flange", verdict)


@pytest.mark.parametrize(("verdict", "wrong", "right"), [("FAIL", "good", "defective"), ("PASS", "defective", "good")])
def test_people_who_disagree_too_often_name_the_engine(verdict: str, wrong: str, right: str) -> None:
    random = np.random.default_rng(6)
    watch = watch_of(NORMAL, random)
    # Promised: half of the rejects may be good; of a hundred passed, one is not.
    for number in range(100):
        watch.add_labelled(label(verdict, wrong if number % (2 if verdict == "FAIL" else 100) == 0 else right))
    assert watch.finding is None
    for _ in range(60):
        watch.add_labelled(label(verdict, wrong))
        watch.add_labelled(label("REVIEW", "good"))
    for part in NORMAL.parts(150, random):
        watch.add(part)
    assert watch.finding is not None
    assert watch.finding.cause is Cause.ENGINE
    again = Watch(SETTINGS, PROMISE)
    again.restore(json.loads(json.dumps(watch.memory)))
    assert again.finding == watch.finding
    again.learn_again()
    assert again.finding is None


def test_an_e_process_may_be_looked_at_after_every_value() -> None:
    random = np.random.default_rng(7)
    reached = 0
    for _ in range(300):
        process = EProcess(0.02, (0.05, 0.1, 0.3))
        for happened in random.random(1000) < 0.02:
            process.add(bool(happened))
            if process.value >= 20:
                reached += 1
                break
    assert reached <= 0.05 * 300


def test_labels_are_read_with_what_the_station_had_said(tmp_path: Path) -> None:
    records = tmp_path / "records"
    maker = PartMaker()
    written = [maker.inspected(number, verdict) for number, verdict in enumerate((Verdict.FAIL, Verdict.PASS), start=1)]
    recorder = Recorder(RecorderSettings(records, pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    for record in written:
        recorder.record(record)
    assert recorder.stop(20)
    rows = [part_row(record) for record in written]
    assert newest_id(records) == 0
    assert read_labelled(records, 0) == ([], 0)
    with closing(open_writer(labels_beside(records))) as connection:
        for row in rows:
            decide(connection, row, "good", Reviewer("Ada", "quality"))
    found, newest = read_labelled(records, 0)
    assert [(one.verdict, one.is_rejected_though_good, one.is_passed_though_defective) for one in found] == [
        ("FAIL", True, None),
        ("PASS", None, False),
    ]
    assert newest == newest_id(records) == 2
    assert read_labelled(records, newest) == ([], newest)


def test_a_kind_that_rises_alone_is_named() -> None:
    random = np.random.default_rng(8)
    line = replace(NORMAL, scratched=0.002)
    watch = watch_of(line, random, 4000)
    assert delay(watch, line, random, 4000) == 4000
    assert delay(watch, replace(line, scratched=0.02), random, 4000) < 4000
    assert watch.finding is not None
    assert watch.finding.cause is Cause.KIND
    assert "kind of defect: scratch" in watch.finding.detail


def test_a_new_kind_is_reported_as_new() -> None:
    random = np.random.default_rng(9)
    line = replace(NORMAL, scratched=0.002, unknown=0.001)
    watch = watch_of(line, random, 5000)
    assert delay(watch, replace(line, unknown=0.03), random, 4000) < 4000
    assert watch.finding is not None
    assert watch.finding.cause is Cause.NEW_KIND
    again = Watch(SETTINGS, Promise(0.01, 0.05))
    again.restore(json.loads(json.dumps(watch.memory)))
    assert [status.detail for status in again.statuses] == [status.detail for status in watch.statuses]
