"""A part as it can be seen: image, heat map, regions and zones of every view, and in words what is not there and why.

Reads files below the folder of the records, and the manifest of the engine that judged the part: the scale of its maps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from drivers.imagefiles.png_text import text_in
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from engines.inputs.depth_spec import MARK
from engines.overlay import Pixels, fitted, heated
from engines.scale import ScoreScale
from station import said
from station.configuration.decision import LimitsSection, ViewLimitsSection, ZoneSection
from station.configuration.load import ConfigurationError, LoadedConfiguration, load_station, with_recipe
from station.records.images import ImageError, MapScale, as_seen, decode_map, read_below
from station.records.parts import PartRow, ViewRow
from station.terminal import one_line

MAX_PX = 1200
"""Longer side of a picture that is shown; larger ones are made smaller."""
_ENGINE_ID = re.compile(r"[0-9a-f]{64}")
_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class SeenView:
    """What there is to see of one view."""

    row: ViewRow
    image: Pixels | None
    """RGB."""
    why_no_image: str = ""
    heated: Pixels | None = None
    """The same under its heat map."""
    why_no_heat: str = ""
    scale: float = 1.0
    """Pixels of `image` in one pixel of the frame."""
    limits: ViewLimitsSection | None = None
    """As they are configured now; None: not known."""

    @property
    def zones(self) -> list[ZoneSection]:
        return [] if self.limits is None else self.limits.zones


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to see of a part."""

    part: PartRow
    views: tuple[SeenView, ...]
    note: str = ""
    """What has to be known about the limits and zones that are shown; empty: they are those it was judged by."""


class Eyes:
    """Looks at parts: knows where their files lie, and the engines and limits of the station."""

    def __init__(self, records: Path, station: LoadedConfiguration | None = None) -> None:
        """`station`: its configuration; None: neither limits nor zones are known, and no scale of a map."""
        self._records = records
        self._station = station
        self._read = _stamp(station)
        self._scales: dict[tuple[str, str], ScoreScale | None] = {}

    def look(
        self, part: PartRow, *, most_px: int = MAX_PX, worst_only: bool = False, camera: str | None = None
    ) -> Seen:
        """The pictures of a part, their longer side at most `most_px`. `camera`: of this one alone."""
        loaded, note = self._configured(part)
        worst = part.worst_view if worst_only else None
        rows = tuple(view for view in part.views if camera in (None, view.camera) and worst in (None, view))
        scale = self._scale(part, loaded) if rows else None
        return Seen(part, tuple(self._view(part, row, loaded, scale, most_px) for row in rows), note)

    def engine_of(self, part: PartRow) -> Path | None:
        """The folder of the engine that judged a part; None when it is not on this station."""
        found = self.bundle_of(part)
        return None if found is None else found[0]

    def bundle_of(self, part: PartRow) -> tuple[Path, Manifest] | None:
        """The folder of the engine that judged a part and its manifest; None when it is not on this station."""
        loaded, _ = self._configured(part)
        return next(_engines(part.engine_id, loaded or self._station), None)

    def frame_of(self, row: ViewRow) -> tuple[Pixels | None, str]:
        """The image of a view as RGB in its own size, as the engine saw it, or why there is none."""
        return self._image(row, as_stored=True)

    def mark_of(self, row: ViewRow) -> str:
        """How the image of a view was made of heights, see `engines.inputs.depth.relief`; empty: it was not."""
        try:
            return "" if row.image_path is None else text_in(self.bytes_of(row.image_path), MARK)
        except OSError:
            return ""

    def hottest_of(self, row: ViewRow) -> tuple[float, float] | None:
        """The hottest point of the stored map, (x, y) as shares of the frame; None: there is no map."""
        if row.map_path is None or row.map_low is None or row.map_high is None:
            return None
        try:
            found = decode_map(self.bytes_of(row.map_path), MapScale(row.map_low, row.map_high))
        except (ImageError, OSError):
            return None
        line, column = np.unravel_index(int(found.argmax()), found.shape)
        return (float(column) + 0.5) / found.shape[1], (float(line) + 0.5) / found.shape[0]

    def _view(
        self, part: PartRow, row: ViewRow, loaded: LoadedConfiguration | None, scale: ScoreScale | None, most_px: int
    ) -> SeenView:
        limits = None if loaded is None else loaded.settings.decision_on(row.camera)
        frame, why = self._image(row)
        if frame is None:
            return SeenView(row, None, why, None, why, limits=limits)
        image = fitted(frame, most_px, most_px)
        share = image.shape[1] / frame.shape[1]
        if row.map_path is None or row.map_low is None or row.map_high is None:
            return SeenView(row, image, "", None, said.NOT_SCORED(), share, limits)
        if scale is None:
            engine = one_line(part.engine_id[:_ID_DIGITS]) or "none"
            why = said.NO_HEAT_MAP(name=engine)
            return SeenView(row, image, "", None, why, share, limits)
        try:
            anomaly_map = decode_map(self.bytes_of(row.map_path), MapScale(row.map_low, row.map_high))
        except (ImageError, OSError):
            return SeenView(row, image, "", None, f"the heat map is gone: {one_line(row.map_path)}", share, limits)
        return SeenView(row, image, "", heated(image, anomaly_map, scale), "", share, limits)

    def _image(self, row: ViewRow, *, as_stored: bool = False) -> tuple[Pixels | None, str]:
        """The image as RGB, heights as relief unless `as_stored`; or why there is none."""
        if row.image_path is None:
            return None, _why_not_stored(row)
        try:
            content = self.bytes_of(row.image_path)
        except OSError:
            return None, said.IMAGE_GONE(path=one_line(row.image_path))
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
        if image is None:
            return None, said.IMAGE_NOT_READABLE(path=one_line(row.image_path))
        rgb = np.asarray(image[..., ::-1], np.uint8)
        return (rgb if as_stored else as_seen(content, rgb)), ""

    def bytes_of(self, path: str) -> bytes:
        """The content of an image or map that a view names. Raises OSError: it is gone, or no file of the records."""
        return read_below(self._records, path)

    def _configured(self, part: PartRow) -> tuple[LoadedConfiguration | None, str]:
        """Limits and zones that are in the files now, and what is to be known about them."""
        station = self._now()
        if station is None:
            return None, said.NO_CONFIGURATION()
        try:
            has_recipes = station.settings.recipe.active is not None
            loaded = with_recipe(station, part.recipe) if has_recipes else station
        except ConfigurationError:
            return None, said.RECIPE_GONE(name=one_line(part.recipe))
        if (loaded.checksum, loaded.recipe_checksum) != (part.config_checksum, part.recipe_checksum):
            return loaded, said.FILES_HAVE_CHANGED()
        return loaded, ""

    def _now(self) -> LoadedConfiguration | None:
        """station.toml as it is: pages run for months, and settings are saved meanwhile."""
        station = self._station
        if station is not None and (stamp := _stamp(station)) != self._read:
            try:
                self._station = station = load_station(station.path)
            except ConfigurationError:
                return station  # half edited: the one before
            self._read = stamp
        return station

    def _scale(self, part: PartRow, loaded: LoadedConfiguration | None) -> ScoreScale | None:
        """How a raw value of the maps of a part's engine is shown; None when the engine is not found."""
        key = (part.recipe, part.engine_id)
        if key not in self._scales:
            engines = _engines(part.engine_id, loaded or self._station)
            self._scales[key] = next((manifest.calibration.pixel_scale for _, manifest in engines), None)
        return self._scales[key]


def _stamp(station: LoadedConfiguration | None) -> tuple[int, int]:
    """Changes with the file."""
    try:
        found = None if station is None else station.path.stat()
    except OSError:
        found = None
    return (0, 0) if found is None else (found.st_mtime_ns, found.st_ino)


def limits_in_words(limits: LimitsSection) -> str:
    """The limits that are set."""
    names = (name for name in LimitsSection.model_fields if getattr(limits, name) is not None)
    return ", ".join(f"{name} {getattr(limits, name):g}" for name in names) or said.NO_LIMITS()


def _why_not_stored(row: ViewRow) -> str:
    if row.image_deleted:
        return said.IMAGE_DELETED()
    if row.image_skipped is not None:
        return said.IMAGE_SKIPPED(why=one_line(row.image_skipped))
    if row.verdict == "PASS":
        return said.IMAGE_OF_PASS()
    return said.IMAGE_NOT_KEPT()


def _engines(engine_id: str, loaded: LoadedConfiguration | None) -> Iterator[tuple[Path, Manifest]]:
    """Every folder that holds this engine."""
    if loaded is None or not _ENGINE_ID.fullmatch(engine_id):
        return
    engine = loaded.settings.engine
    folders = [] if engine.path is None else [loaded.resolve(engine.path)]
    if engine.store is not None:
        folders += loaded.resolve(engine.store).glob(f"*/*-{engine_id[:_ID_DIGITS]}")
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except EngineError:
            continue
        if manifest.engine_id == engine_id:
            yield folder, manifest
