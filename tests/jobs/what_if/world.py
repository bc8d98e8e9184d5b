"""Parts on record of a station with a small engine, each with the score and regions that a test wants."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engines.bundle.reading import read_manifest
from station.configuration.editing.proposal import propose
from station.configuration.editing.sets import change_of
from station.configuration.load import LoadedConfiguration, load
from station.jobs.what_if.asking import what_if
from station.jobs.what_if.figures import Outcome
from station.labels.labels import decide
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.configurations import KeptFile
from station.records.parts import parts
from station.records.schema import open_reader
from station.results import Decision, FrameQuality, InspectionRecord, Measurement, Pixels, Region, Regions, Verdict
from tests.bench.bench import HEIGHT, WIDTH
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.sample_parts import PartMaker, decision


@dataclass
class World:
    """A folder with station.toml, engine and records."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "station.toml"

    @property
    def now(self) -> LoadedConfiguration:
        return load(self.config)

    def part(
        self,
        number: int,
        score: float,
        verdict: Verdict,
        *,
        regions: tuple[Region, ...] = (),
        pixels: Pixels | None = None,
        engine: str | None = None,
        checksum: str | None = None,
    ) -> InspectionRecord:
        """As the line would have recorded it."""
        made = PartMaker(pixels=lambda _: np.full((HEIGHT, WIDTH), 64, np.uint8) if pixels is None else pixels)
        record = made.inspected(number, verdict)
        (view,) = record.views
        quality = FrameQuality(64.0, 0.0, 55.0, (HEIGHT, WIDTH))
        view = replace(view, measurement=Measurement(score, Regions(regions), quality), decision=decision(verdict))
        if verdict is Verdict.ERROR:
            return replace(made.without_frame(number), engine_id=self.engine_id, config_checksum=self.now.checksum)
        return replace(
            record,
            views=(view,),
            decision=Decision(verdict) if verdict is Verdict.PASS else decision(verdict),
            engine_id=engine or self.engine_id,
            config_checksum=checksum or self.now.checksum,
        )

    @property
    def engine_id(self) -> str:
        return read_manifest(self.folder / "engine").engine_id

    def record(self, *records: InspectionRecord, share: float = 1.0, kept: str = "") -> None:
        recorder = Recorder(RecorderSettings(self.now.records_dir, pass_image_share=share, min_free_mb=0), "s1")
        recorder.start()
        if kept:
            import hashlib

            checksum = hashlib.sha256(kept.encode()).hexdigest()
            recorder.keep(KeptFile(checksum, "configuration", "station", 1.0, kept))
        for record in records:
            recorder.record(record)
        assert recorder.stop(20)

    def label(self, number: int, word: str, session: str = "s1") -> None:
        records = self.now.records_dir
        with closing(open_reader(records)) as connection, closing(open_writer(labels_beside(records))) as labels:
            (row,) = parts(connection, session=session, acquisition_id=number)
            decide(labels, row, word, Reviewer("quinn", "quality"))  # type: ignore[arg-type]  # good or defective

    def ask(self, *sets: str, newest: int = 1000) -> Outcome:
        return what_if(self.now, self.proposed(*sets), newest=newest, on_step=lambda *_: None)

    def proposed(self, *sets: str) -> LoadedConfiguration:
        """The configuration with these changes."""
        return propose(self.now, dict(change_of(text) for text in sets)).after


def world(folder: Path, more: str = "") -> World:
    """`more`: further lines of station.toml."""
    write_small_engine(folder / "engine", width=WIDTH, height=HEIGHT)
    text = f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "engine"\nthreads = 1\n{more}'
    (folder / "station.toml").write_text(text)
    return World(folder)
