"""A door for Python: engines and records as people see them, for notebooks and scripts beside a station.

Scores are 0 to 1, 0.5 at the reject limit of the engine; times know their zone; pictures show themselves in a notebook.
Everything is read only, also while the station runs. docs/api.md has examples, which the tests run.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.camera.images import read_image
from engines.engine import Engine as LoadedEngine
from engines.engine import open_engine
from engines.overlay import as_rgb, heated, outline, shown_map
from station.configuration.load import load
from station.labels.labels import read_labels
from station.labels.schema import labels_beside
from station.line.inspection.measurement import measure
from station.records.images import encode_png, write_atomic
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.records.selection import Selection, newest_of
from station.reports.as_data import part_as_data
from station.reports.seen import Eyes, SeenView
from station.reports.shifts import Calendar, calendar_of
from station.results import Pixels, Reason, Region, Verdict

NEWEST = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """RGB pixels, (height, width, 3) uint8."""

    pixels: Pixels

    def save(self, file: str | Path) -> None:
        """Writes a PNG. Raises ValueError for another end of the name, OSError."""
        if Path(file).suffix.lower() != ".png":
            raise ValueError(f'picture "{file}": the name must end in .png')
        write_atomic(Path(file), bytes(encode_png(self.pixels)))

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return bytes(encode_png(self.pixels))


@dataclass(frozen=True, slots=True)
class Scored:
    """What an engine says of one image, by its own limits. A station may have stricter ones: `[decision]`."""

    score: float
    """0 to 1, 0.5 at the reject limit; NaN: the engine could not score it."""
    verdict: Verdict
    """ERROR where the score is NaN."""
    regions: tuple[Region, ...]
    """Where the map is above its limit, largest first; mm where the size of a pixel was given, else pixels."""
    heat: NDArray[np.float32]
    """The anomaly map on the same scale, over the whole image."""
    kind: str
    """The kind of defect that the worst place looks like; empty: the engine knows none."""
    _image: Pixels = field(repr=False)
    _heated: Pixels = field(repr=False)

    @property
    def is_rejected(self) -> bool:
        """A part like that does not pass, and not only to people's eyes."""
        return self.verdict in (Verdict.FAIL, Verdict.ERROR)

    def overlay(self) -> Picture:
        """The image under its heat map, with the outlines of the regions."""
        return Picture(_outlined(self._heated, [region.contour_px for region in self.regions], 1.0))


class Engine:
    """An engine of a folder, on the processor. One thread owns it."""

    def __init__(self, folder: str | Path, *, pixel_size_mm: float = 1.0, threads: int = 2) -> None:
        """Reads, checks and loads it. `folder`: of the engine, or the link to the active one of a store.

        Raises EngineError, which says what is wrong with it.
        """
        self._engine: LoadedEngine = open_engine(Path(folder), threads=threads)
        self._pixel_size_mm = pixel_size_mm

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of what runs it."""
        self._engine.close()

    @property
    def engine_id(self) -> str:
        """64 hexadecimal digits."""
        return self._engine.engine_id

    @property
    def promise(self) -> str:
        """What was promised of its limits."""
        return self._engine.calibration.promise

    @property
    def finds(self) -> tuple[str, ...]:
        """What it finds and what it does not see, in words; empty: it was not measured."""
        detection = self._engine.manifest.detection
        return () if detection is None else detection.in_words()

    def score(self, image: str | Path | NDArray[np.uint8]) -> Scored:
        """Of a file, or of pixels: uint8, (height, width) grey or (height, width, 3) RGB.

        Raises CameraUnreadable (the file), ImageError, PartNotLocated (the part is not in the image), RuntimeFailure.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(Path(image))
        output = self._engine.score(pixels)
        limits = self._engine.calibration
        is_finite = math.isfinite(output.image_score)
        rgb = as_rgb(pixels)
        regions: Sequence[Region] = ()
        if is_finite:
            scale = limits.pixel_scale
            found = measure(
                output.anomaly_map, pixels.shape, limits.pixel_score, self._pixel_size_mm, shown=scale.shown
            )
            regions = found.listed
        return Scored(
            score=limits.scale.shown(output.image_score) if is_finite else math.nan,
            verdict=self._verdict(output.image_score),
            regions=tuple(regions),
            heat=shown_map(output.anomaly_map, limits.pixel_scale),
            kind=output.kind,
            _image=rgb,
            _heated=heated(rgb, output.anomaly_map, limits.pixel_scale) if is_finite else rgb,
        )

    def _verdict(self, raw: float) -> Verdict:
        limits = self._engine.calibration
        if not math.isfinite(raw):
            return Verdict.ERROR
        if raw > limits.reject_score:
            return Verdict.FAIL
        return Verdict.REVIEW if raw > limits.review_score else Verdict.PASS


@dataclass(frozen=True, slots=True)
class Part:
    """A part on record."""

    session: str
    acquisition_id: int
    part_id: int
    """The PLC's."""
    time: datetime
    """Of its trigger, with the zone of the station."""
    shift: str
    verdict: Verdict
    score: float | None
    reject_score: float | None
    defect_area_mm2: float | None
    reasons: tuple[Reason, ...]
    kind: str
    recipe: str
    engine_id: str
    challenge: int | None
    """The run of a challenge test that it was part of; None: production."""
    late: bool
    label: str | None
    """What people say of it as a whole: good, defective, or nothing yet."""
    defect_class: str | None
    cameras: tuple[str, ...]
    row: PartRow = field(repr=False)
    """As the records have it, with its views."""
    _eyes: Eyes = field(repr=False)

    def image(self, camera: str | None = None) -> Picture:
        """As the camera took it. Raises LookupError: it is not kept; the message says why."""
        view = self._view(camera)
        if view.image is None:
            raise LookupError(view.why_no_image)
        return Picture(view.image)

    def overlay(self, camera: str | None = None) -> Picture:
        """Under its heat map, where that is known, with the outlines of its regions. Raises LookupError, as `image`."""
        view = self._view(camera)
        if view.image is None:
            raise LookupError(view.why_no_image)
        ground = view.image if view.heated is None else view.heated
        return Picture(_outlined(ground, [region.contour_px for region in view.row.region_list], view.scale))

    def _view(self, camera: str | None) -> SeenView:
        views = self._eyes.look(self.row, camera=camera).views
        if not views:
            named = f' of camera "{camera}"' if camera is not None else ""
            raise LookupError(f"part {self.session}/{self.acquisition_id} has no view{named}")
        return views[0]


class Records:
    """The records of a station. Each call is one short look; nothing is held open."""

    def __init__(self, folder: str | Path, *, config: str | Path | None = None) -> None:
        """`folder`: of `records.db`. `config`: station.toml, for its clock, and for the scale of heat maps; without it
        the clock is that of this computer, and pictures have no heat map. Raises ConfigurationError.
        """
        self._folder = Path(folder)
        station = None if config is None else load(Path(config))
        self._calendar = Calendar() if station is None else calendar_of(station.settings.station)
        self._eyes = Eyes(self._folder, station)

    def part(self, session: str, acquisition_id: int) -> Part:
        """Raises LookupError: it is not on record. RecordingError."""
        with closing(open_reader(self._folder)) as connection:
            row = next(parts(connection, session=session, acquisition_id=acquisition_id), None)
        if row is None:
            raise LookupError(f"part {session}/{acquisition_id} is not on record")
        return next(iter(self._parts([row])))

    def parts(
        self,
        *,
        newest: int = NEWEST,
        verdict: str | Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        recipe: str | None = None,
    ) -> list[Part]:
        """The newest ones, oldest of them first. `since`, `until`: as `station parts` takes them: 06:00, 8h.

        Raises ValueError for what is no verdict or no time, RecordingError.
        """
        words = [verdict] if isinstance(verdict, str) else list(verdict)
        unknown = [word for word in words if word.upper() not in Verdict.__members__]
        if unknown:
            raise ValueError(f'"{unknown[0]}" is no verdict; allowed: {", ".join(Verdict.__members__)}')
        now = datetime.now().timestamp()
        chosen = Selection(
            since=None if since is None else self._calendar.moment(since, now),
            until=None if until is None else self._calendar.moment(until, now, is_end=True),
            verdicts=tuple(Verdict[word.upper()] for word in words),
            recipe=recipe,
        )
        with closing(open_reader(self._folder)) as connection:
            return list(self._parts(newest_of(connection, chosen, newest)))

    def columns(self, **selection: Any) -> Mapping[str, list[Any]]:
        """The parts that `parts(**selection)` returns as one list for each column."""
        found = self.parts(**selection)
        rows = [part_as_data(part.row, self._calendar, None) for part in found]
        names = [name for name in rows[0] if name not in ("reasons", "time")] if rows else []
        columns: dict[str, list[Any]] = {"time": [part.time for part in found]}
        columns |= {name: [row[name] for row in rows] for name in names}
        columns["label"] = [part.label for part in found]
        columns["defect_class"] = [part.defect_class for part in found]
        columns["reasons"] = ["; ".join(str(reason) for reason in part.reasons) for part in found]
        return columns

    def frame(self, **selection: Any) -> Any:
        """The same as a pandas DataFrame. Raises ImportError: pandas is not installed."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as problem:
            raise ImportError("a frame needs pandas: pip install pandas; `columns` gives the same without") from problem
        return pandas.DataFrame(self.columns(**selection))

    def _parts(self, rows: Sequence[PartRow]) -> Iterator[Part]:
        kept = labels_beside(self._folder)
        said = {(one.session, one.acquisition_id): one for one in read_labels(kept) if one.camera is None}
        for row in rows:
            label = said.get((row.session, row.acquisition_id))
            yield Part(
                session=row.session,
                acquisition_id=row.acquisition_id,
                part_id=row.part_id,
                time=self._calendar.local(row.wall_time),
                shift=str(self._calendar.shift_at(row.wall_time)),
                verdict=Verdict[row.verdict],
                score=row.score,
                reject_score=row.reject_score,
                defect_area_mm2=row.defect_area_mm2,
                reasons=row.reason_list,
                kind=row.kind,
                recipe=row.recipe,
                engine_id=row.engine_id,
                challenge=row.challenge,
                late=row.late,
                label=None if label is None else label.label,
                defect_class=None if label is None else label.defect_class,
                cameras=tuple(view.camera for view in row.views),
                row=row,
                _eyes=self._eyes,
            )


def _outlined(picture: Pixels, contours: Sequence[Sequence[tuple[int, int]]], scale: float) -> Pixels:
    """A copy with closed outlines; `scale`: pixels of the picture in one of the frame."""
    drawn: Pixels = np.array(picture, np.uint8, order="C")
    shown = [np.rint((np.array(points) + 0.5) * scale - 0.5).astype(np.int32) for points in contours if points]
    if shown:
        outline(drawn, shown)
    return drawn
