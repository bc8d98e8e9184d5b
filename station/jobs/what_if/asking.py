"""One what-if from its beginning to its outcome: which parts, from rows or from images, with the labels of people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from drivers.imagefiles.header import ImageUnreadable, read_header
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_manifest
from station.configuration.load import ConfigurationError, LoadedConfiguration, with_bytes
from station.configuration.model import Configuration
from station.jobs.what_if.alike import Numbered, Sides, rows_of
from station.jobs.what_if.figures import NoEngine, Note, Outcome, Replayed, outcome_of
from station.jobs.what_if.rows import KEPT, Judge, replay
from station.labels.labels import read_labels
from station.labels.schema import labels_beside
from station.records.configurations import kept_files
from station.records.parts import PartRow
from station.records.schema import open_reader
from station.records.selection import NEWEST, Selection, page_of
from station.results import Verdict

A_LOOK, A_LOOK_WHOLE = 10_000, 2000
"""Parts in one statement, of which what limits compare is read, and all: a reader ends within a second, or it holds the
write-ahead log of the line."""
MOST_IMAGES = 400
"""Parts that the engine looks at again, newest first."""
OnStep = Callable[[str, int, int], None]


def what_if(before: LoadedConfiguration, after: LoadedConfiguration, *, newest: int, on_step: OnStep) -> Outcome:
    """The newest parts of production of this recipe and engine under both configurations.

    Raises RecordingError, LabelError, EngineError, LimitsError, NoEngine.
    """
    folder = before.engine_path
    if folder is None:
        raise NoEngine("the configuration names no engine: its calibration says what a score means")
    manifest = read_manifest(folder)
    notes: Counter[Note] = Counter()
    labels = {(one.session, one.acquisition_id): one.label for one in _labels(before)}
    if _map_of(before.settings) == _map_of(after.settings):
        found = _from_rows(before, after, manifest, newest=newest, notes=notes, on_step=on_step)
        return outcome_of(found, labels, notes, from_images=False, rows_of=partial(_rows_of, before))
    from station.jobs.what_if.images import replay_images  # noqa: PLC0415  loads what runs an engine: a second

    parts = [part for part in _chosen(before, newest) if part.engine_id == manifest.engine_id]
    with_images = [part for part in parts if any(view.image_path for view in part.views)][:MOST_IMAGES]
    notes["without image"] += len(parts) - len(with_images)
    stands_for = _passed_stand_for(parts, with_images)

    def weight(part: PartRow) -> float:
        return stands_for if part.verdict == Verdict.PASS.name else 1.0

    if stands_for > 1:
        notes["sampled"] += sum(weight(part) > 1 for part in with_images)
    replayed = replay_images(
        before,
        after,
        with_images,
        weights=weight,
        notes=notes,
        on_step=lambda done, all_: on_step("images", done, all_),
    )
    return outcome_of(replayed, labels, notes, from_images=True)


def _from_rows(
    before: LoadedConfiguration,
    after: LoadedConfiguration,
    manifest: Manifest,
    *,
    newest: int,
    notes: Counter[Note],
    on_step: OnStep,
) -> Iterator[Replayed]:
    judges = Judge.of(before.settings, manifest), Judge.of(after.settings, manifest)
    shapes = _shapes(before, manifest)
    measured = _MeasuredAlike(before)
    sides = Sides([limits for judge in judges for limits in judge.limits.values()], KEPT)
    known: dict[str, tuple[Verdict, Verdict, Counter[Note]]] = {}
    for look in _numbered(before, sides, newest, on_step):
        parts = []
        for part in look:
            if part.judged_by[0] != manifest.engine_id:
                notes["other engine"] += 1
            elif not measured.alike(part.judged_by[1:]):
                notes["measured otherwise"] += 1
            else:
                parts.append(part)
        first_of = {part.kind: part.number for part in parts if part.kind not in known}
        rows = _rows_of(before, list(first_of.values()))
        for kind, number in first_of.items():
            said: Counter[Note] = Counter()
            one = replay(rows[number], *judges, shapes, said)
            known[kind] = (one.before, one.after, said)
        for part in parts:
            was, would, said = known[part.kind]
            if said:
                notes.update(said)
            yield Replayed(part, was, would)


def _numbered(
    configuration: LoadedConfiguration, sides: Sides, newest: int, on_step: OnStep
) -> Iterator[list[Numbered]]:
    """The newest parts of production of this recipe, newest first, in short looks."""
    mark, done = NEWEST, 0
    while done < newest:
        with closing(open_reader(configuration.records_dir)) as connection:
            look = sides.newest(connection, configuration.settings.recipe.name, min(A_LOOK, newest - done), mark)
        if not look:
            return
        mark = (look[-1].wall_time, look[-1].number)
        yield look
        done += len(look)
        on_step("parts", done, newest)


def _rows_of(configuration: LoadedConfiguration, numbers: Sequence[int]) -> dict[int, PartRow]:
    with closing(open_reader(configuration.records_dir)) as connection:
        return rows_of(connection, numbers)


def _chosen(configuration: LoadedConfiguration, newest: int) -> Iterator[PartRow]:
    """The newest parts of production of this recipe, newest first, in short looks."""
    mark, done = NEWEST, 0
    chosen = Selection(recipe=configuration.settings.recipe.name, production=True)
    while done < newest:
        with closing(open_reader(configuration.records_dir)) as connection:
            look = page_of(connection, chosen, min(A_LOOK_WHOLE, newest - done), mark)
        if not look:
            return
        mark = look[-1][0]
        yield from (part for _, part in look)
        done += len(look)


def _labels(configuration: LoadedConfiguration) -> Iterator[Any]:
    return (one for one in read_labels(labels_beside(configuration.records_dir)) if one.camera is None)


def _map_of(settings: Configuration) -> list[Any]:
    """What regions and scores were measured by: where it differs, rows do not say what would have been."""
    found: list[Any] = []
    for camera in settings.cameras:
        decision = settings.decision_on(camera)
        ignored = [(zone.name, zone.polygon) for zone in decision.zones if zone.ignore]
        found.append((decision.pixel_score, decision.pixel_size_mm, decision.min_region_mm2, ignored))
    return found


class _MeasuredAlike:
    """Whether a part was measured as the configuration of now does: by the files kept under its checksums."""

    def __init__(self, configuration: LoadedConfiguration) -> None:
        self._now = configuration
        self._map = _map_of(configuration.settings)
        with closing(open_reader(configuration.records_dir)) as connection:
            self._kept = {file.checksum: file for file in kept_files(connection)}
        self._known: dict[tuple[str, ...], bool] = {
            (configuration.checksum, configuration.recipe_checksum): True,
        }

    def alike(self, key: tuple[str, ...]) -> bool:
        """`key`: checksums of the part's configuration and recipe."""
        if key not in self._known:
            self._known[key] = self._settings_of(*key) == self._map
        return self._known[key]

    def _settings_of(self, config: str, recipe: str) -> list[Any] | None:
        """None: the files are not kept, or do not mean anything to this version."""
        loaded = self._now
        try:
            if config != loaded.checksum:
                loaded = with_bytes(loaded, loaded.path, self._kept[config].content.encode())
            if loaded.recipe is not None and recipe != loaded.recipe.checksum:
                loaded = with_bytes(loaded, loaded.recipe.path, self._kept[recipe].content.encode())
        except (KeyError, ConfigurationError):
            return None
        return _map_of(loaded.settings)


def _shapes(configuration: LoadedConfiguration, manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """(height, width) of the frames of each camera, from an image that is kept; else what the engine was taught on."""
    taught = (manifest.training.max_height, manifest.training.max_width)
    found: dict[str, tuple[int, ...]] = {}
    query = "SELECT image_path FROM views WHERE +camera = ? AND image_path IS NOT NULL LIMIT 1"
    with closing(open_reader(configuration.records_dir)) as connection:
        for camera in configuration.settings.cameras:
            row = connection.execute(query, (camera,)).fetchone()
            found[camera] = taught if row is None else _size_of(configuration.records_dir / row[0]) or taught
    return found


def _size_of(image: Path) -> tuple[int, int] | None:
    """(height, width) of an image that the station has stored, from its header; None: it cannot be read."""
    try:
        header = read_header(image.read_bytes())
    except (OSError, ImageUnreadable):
        return None
    return header.height, header.width


def _passed_stand_for(parts: list[PartRow], with_images: list[PartRow]) -> float:
    """For how many parts a PASS whose image is kept stands, within the time from which images come."""
    if not with_images:
        return 1.0
    oldest = min(part.wall_time for part in with_images)
    passed = sum(part.verdict == Verdict.PASS.name and part.wall_time >= oldest for part in parts)
    kept = sum(part.verdict == Verdict.PASS.name for part in with_images)
    return passed / kept if kept else 1.0
