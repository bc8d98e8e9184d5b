"""A study with everything that was said in it, and its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.msa.analysis import Analysis, analysed
from station.msa.document import Picture, Shown
from station.msa.page import csv, html
from station.msa.pdf import pdf
from station.msa.storage import ratings_of, studies_beside, study_named
from station.msa.study import Study
from station.msa.trials import StationTrials, shown_as, trials_of_station
from station.records.parts import PartRow, chosen_parts
from station.records.schema import RecordingError, open_reader
from station.reports.production.language import ENGLISH, Language
from station.reports.seen import Eyes
from station.reports.shifts import Calendar

SHOWN_PX = 480
NO_TRIALS = StationTrials((), None, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a study is read from."""

    records: Path
    """The folder of the records; the studies lie beside it."""
    eyes: Eyes
    calendar: Calendar
    station: str
    """Its name."""

    @property
    def file(self) -> Path:
        return studies_beside(self.records)


@dataclass(frozen=True, slots=True)
class Found:
    """A study as it stands."""

    study: Study
    trials: StationTrials
    analysis: Analysis


WRITERS: dict[str, Callable[[Analysis, Source, Picture, Language], bytes]] = {
    ".html": lambda found, source, picture, language: html(
        found, source.calendar, source.station, picture, language
    ).encode(),
    ".pdf": lambda found, source, picture, language: pdf(found, source.calendar, source.station, picture, language),
    ".csv": lambda found, _source, _picture, language: csv(found, language).encode(),
}
"""By the end of the name."""


def find(source: Source, name: str) -> Found:
    """Raises StudyError, RecordingError."""
    study = study_named(source.file, name)
    trials = trials_in(source, study)
    return Found(study, trials, analysed(study, [*trials.ratings, *ratings_of(source.file, name)]))


def trials_in(source: Source, study: Study) -> StationTrials:
    """What the station said. A station that has never run has said nothing. Raises RecordingError."""
    if not (source.records / "records.db").exists():
        return NO_TRIALS
    try:
        with closing(open_reader(source.records)) as connection:
            return trials_of_station(connection, study)
    except sqlite3.Error as problem:
        raise RecordingError(f'records "{source.records}" cannot be read: {problem}') from problem


def as_file(source: Source, found: Found, end: str, language: Language = ENGLISH) -> bytes:
    """The study as the file that ends so. Raises ValueError, MissingPackage, RecordingError."""
    if end not in WRITERS:
        raise ValueError(f'the name ends in "{end}": it must end in {", ".join(WRITERS)}')
    return WRITERS[end](found.analysis, source, lambda part: pictures_of(source, found, part), language)


def rows_of(source: Source, found: Found, part: str) -> list[PartRow]:
    """The parts on record that show this part of the study: each trial of the station, or the one that was labelled."""
    if not (source.records / "records.db").exists():
        return []
    known = found.study.part(part)
    with closing(open_reader(source.records)) as connection:
        rows = shown_as(connection, found.trials, part)
        if not rows and known.has_picture:
            query = "SELECT * FROM parts WHERE session = ? AND acquisition_id = ?"
            rows = list(chosen_parts(connection, query, (known.session, known.acquisition_id)))
    return rows


def pictures_of(source: Source, found: Found, part: str) -> Sequence[Shown]:
    """What there is to see of a part: in each trial the image and the same under its heat map."""
    shown = []
    for number, row in enumerate(rows_of(source, found, part), start=1):
        seen = source.eyes.look(row, most_px=SHOWN_PX)
        for view in seen.views:
            score = "" if view.row.score is None else f", score {view.row.score:.3f}"
            caption = f"trial {number}, {view.row.camera}: {row.verdict}{score}"
            if view.image is not None:
                shown.append(Shown(caption, view.image))
            if view.heated is not None:
                shown.append(Shown(f"{caption}, map", view.heated))
    return shown
