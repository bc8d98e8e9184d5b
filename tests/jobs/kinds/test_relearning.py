"""`station engine kinds`: from labels on record to a candidate that judges as the active engine does."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from engines.store.store import EngineStore, manifest_of
from station.commands import main as cli
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.jobs.kinds.labelled import named_on_record
from station.labels.labels import decide, withdraw
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import parts
from station.records.schema import open_reader
from station.reports.candidate.gate import gate
from station.results import Pixels, Verdict
from tests.bench.engines.kinds_of_defects import KINDS, defective, write_ring_engine
from tests.bench.engines.pictures import ring
from tests.bench.made_once import made_once
from tests.bench.sample_parts import PartMaker
from tests.commands.test_json import check_keys

pytestmark = pytest.mark.system

EACH = 5
PARTS = EACH * len(KINDS)
ANNA = Reviewer("anna", "quality")


def kind_of(number: int) -> str:
    return KINDS[(number - 1) % len(KINDS)]


def picture(number: int) -> Pixels:
    """Part after part the next kind; the last one is good."""
    return ring(number) if number > PARTS else defective(kind_of(number), number)


@pytest.fixture
def station(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedConfiguration:
    """A station that has rejected parts of three kinds, with an engine that knows none."""
    file = tmp_path / "station.toml"
    file.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n')
    configuration = config.load(file)
    recorder = Recorder(RecorderSettings(configuration.records_dir, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    maker = PartMaker("s1", picture)
    for number in range(1, PARTS + 2):
        recorder.record(maker.inspected(number, Verdict.FAIL if number <= PARTS else Verdict.PASS))
    assert recorder.stop(30)
    engine = made_once(tmp_path_factory, "ring-engine", lambda folder: write_ring_engine(folder / "engine"))
    store = store_of(configuration)
    store.activate(store.add(engine, why="first"))
    return configuration


def store_of(configuration: LoadedConfiguration) -> EngineStore:
    assert configuration.engine_store is not None
    return EngineStore(configuration.engine_store)


def label(configuration: LoadedConfiguration, numbers: Sequence[int]) -> None:
    """What each of these parts shows."""
    with closing(open_reader(configuration.records_dir)) as records:
        rows = [next(parts(records, session="s1", acquisition_id=number)) for number in numbers]
    with closing(open_writer(labels_beside(configuration.records_dir))) as labels:
        known = {name for (name,) in labels.execute("SELECT name FROM classes")}
        for number, row in zip(numbers, rows, strict=True):
            kind = kind_of(number)
            new = None if kind in known else "minor"
            decide(labels, row, "defective", ANNA, defect_class=kind, new_class=new)  # type: ignore[arg-type]
            known.add(kind)


def say(configuration: LoadedConfiguration, *words: str, code: int = 0) -> str:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = cli.main(["engine", "kinds", *words, "--config", str(configuration.path)])
    assert found == code, out.getvalue() + err.getvalue()
    return out.getvalue() + (err.getvalue() if code else "")


def test_labels_become_a_candidate_that_scores_as_before_and_nothing_is_activated(station: LoadedConfiguration) -> None:
    label(station, range(1, PARTS + 1))
    found = json.loads(say(station, "--json"))
    check_keys("engine kinds", found)
    assert found["kinds"] == dict.fromkeys(KINDS, EACH)
    store = store_of(station)
    first, second = store.versions()
    assert store.active() == first
    assert (found["before"], found["candidate"]) == (first.name, second.name)
    assert store.events()[-1].why == f"kinds of {PARTS} labels, scores as {first.name}"
    lights = gate(station.records_dir, first.path, second.path)
    assert {check.light for check in lights} == {"green"}
    assert all("only the kinds of defects" in check.why for check in lights)
    store.activate(second, why="names rejects")
    names = manifest_of(second).kinds
    assert names is not None
    assert names.names == KINDS
    assert not list((station.work_dir / "kinds").glob("job-*"))
    assert "nothing is new" in say(station, code=2)
    assert len(store.versions()) == 2
    assert {check.light for check in gate(station.records_dir, None, second.path)} != {"green"}, "beside no engine"


def test_people_read_what_it_knows_and_what_was_left_out(station: LoadedConfiguration) -> None:
    assert "0 kinds of defects have a labelled image" in say(station, code=2)
    label(station, range(1, 7))
    with closing(open_reader(station.records_dir)) as records:
        (row,) = parts(records, session="s1", acquisition_id=1)
    assert row.views[0].image_path is not None
    (station.records_dir / row.views[0].image_path).unlink()
    shown = say(station)
    assert "1 named parts have no image any more" in shown
    assert "Scores and maps of its golden images and sample are those of 0001-" in shown
    assert "Nothing was activated. To use it: station engine activate 2" in shown
    last = json.loads(say(station, "--progress=json").splitlines()[-1])
    versions = store_of(station).versions()
    assert (last["event"], last["version"]) == ("done", versions[1].name)
    assert len(versions) == 2, "the same candidate is not stored twice"


def test_only_named_defective_parts_of_the_recipe_count(station: LoadedConfiguration) -> None:
    label(station, (1, 2, PARTS + 1))
    with (
        closing(open_reader(station.records_dir)) as records,
        closing(open_writer(labels_beside(station.records_dir))) as labels,
    ):
        rows = {number: next(parts(records, session="s1", acquisition_id=number)) for number in (3, 4, 5)}
        decide(labels, rows[3], "defective", ANNA)
        decide(labels, rows[4], "good", ANNA)
        decide(labels, rows[5], "defective", ANNA, defect_class=KINDS[0])
        withdraw(labels, rows[5], ANNA)
    found = named_on_record(station.records_dir, "default")
    assert [(one.key, one.defect_class) for one in found.images] == [
        ("s1/1", KINDS[0]),
        ("s1/2", KINDS[1]),
        (f"s1/{PARTS + 1}", kind_of(PARTS + 1)),  # it passed, and its image was kept
    ]
    assert found.classes.keys() == {"s1/1", "s1/2", f"s1/{PARTS + 1}"}
    other = named_on_record(station.records_dir, "other")
    assert (other.images, other.of_others) == ((), 3)
