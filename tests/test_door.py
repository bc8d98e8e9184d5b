"""The door for Python: the examples of the document run, and nothing that goes wrong ends in a pass or in silence."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.protocol import CameraUnreadable
from engines.errors import EngineError
from engines.store.store import EngineStore
from station.door import Engine, Picture, Records
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.images import write_image
from station.records.schema import RecordingError
from station.results import Pixels, Verdict
from tests.bench.bench import HEIGHT, WIDTH, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.pages import some_parts
from tests.bench.places import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As the document has it: a store, records, an image."""
    store = EngineStore(tmp_path / "engines" / "default")
    store.activate(store.add(write_small_engine(tmp_path / "taught", width=WIDTH, height=HEIGHT), why="x"), why="x")
    write_image(tmp_path / "image.png", bad())
    records = tmp_path / "work" / "records"
    records.mkdir(parents=True)
    recorder = Recorder(RecorderSettings(records, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    for part in some_parts():
        recorder.record(part)
    assert recorder.stop(20)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Pandas:
    """Stands for pandas where it is not installed: keeps what it is given."""

    @staticmethod
    def DataFrame(columns: object) -> object:  # noqa: N802  as pandas names it
        return columns


def test_the_examples_of_the_document_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pandas" not in sys.modules:
        monkeypatch.setitem(sys.modules, "pandas", Pandas)
    text = (ROOT / "docs" / "api.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102  our own document
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "part.png").read_bytes().startswith(b"\x89PNG")
    frame = names["frame"]
    assert len(frame["verdict"]) == 12  # type: ignore[index]


def test_an_engine_scores_as_people_see_it(folder: Path) -> None:
    with Engine(folder / "engines" / "default" / "active") as engine:
        passed, failed = engine.score(good()), engine.score(folder / "image.png")
        assert (passed.verdict, passed.is_rejected, passed.regions) == (Verdict.PASS, False, ())
        assert 0 <= passed.score < 0.5 < failed.score <= 1
        assert (failed.verdict, failed.is_rejected) == (Verdict.FAIL, True)
        (region,) = failed.regions
        assert abs(region.centre_px[0] - 55.5) < 4
        assert failed.heat.max() > 0.5
        assert not np.array_equal(failed.overlay().pixels, passed.overlay().pixels)
        assert failed.overlay()._repr_png_().startswith(b"\x89PNG")
        assert len(engine.engine_id) == 64
        assert engine.promise
        with pytest.raises(CameraUnreadable):
            engine.score(folder / "none.png")
    with pytest.raises(EngineError):
        Engine(folder / "none")


def test_a_score_that_is_none_is_an_error_and_never_a_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(folder / "engines" / "default" / "active")
    score = engine._engine.score

    def broken(image: Pixels) -> object:
        from dataclasses import replace

        return replace(score(image), image_score=float("nan"))

    monkeypatch.setattr(engine._engine, "score", broken)
    got = engine.score(good())
    assert (got.verdict, got.is_rejected) == (Verdict.ERROR, True)
    engine.close()


def test_records_are_typed_rows(folder: Path) -> None:
    records = Records(folder / "work" / "records")
    (part,) = records.parts(verdict="fail", newest=1)
    assert (part.verdict, part.part_id, part.cameras) == (Verdict.FAIL, 1010, ("top",))
    assert part.time.utcoffset() is not None
    assert part.time.utcoffset() < timedelta(days=1)  # type: ignore[operator]
    assert str(part.reasons[0]).startswith("anomaly score above the reject limit")
    assert part.image().pixels.ndim == 3
    assert [each.acquisition_id for each in records.parts(newest=3)] == [10, 11, 12]
    columns = records.columns(newest=3)
    assert {len(values) for values in columns.values()} == {3}
    assert records.columns(recipe="none")["time"] == []


def test_what_is_not_there_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(folder / "work" / "records")
    for wrong in ("s9", 1), ("s1", 99):
        with pytest.raises(LookupError, match="is not on record"):
            records.part(*wrong)
    with pytest.raises(LookupError, match="has no view"):
        records.part("s1", 12).overlay()
    with pytest.raises(LookupError, match='of camera "side"'):
        records.part("s1", 2).image("side")
    with closing(sqlite3.connect(folder / "work" / "records" / "records.db")) as db:
        db.execute("UPDATE views SET image_path = '../../image.png' WHERE camera = 'top'")
        db.commit()
    with pytest.raises(LookupError, match="is gone"):
        records.part("s1", 2).image()
    with pytest.raises(ValueError, match='"good" is no verdict'):
        records.parts(verdict="good")
    with pytest.raises(ValueError, match="is no time"):
        records.parts(since="soon")
    with pytest.raises(RecordingError):
        Records(folder / "none").parts()
    with pytest.raises(ValueError, match=r"must end in \.png"):
        Picture(np.zeros((2, 2, 3), np.uint8)).save(folder / "x.jpg")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="a frame needs pandas"):
        records.frame()
