"""Which parts a refresh learns from and which it keeps for the comparison.

Parts come from the records of a station or from a folder of images, what people say of them from `refresh_labels.py`.
"""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from drivers.camera.images import image_files
from drivers.camera.protocol import CameraUnreadable
from engines import said
from station.jobs.refresh_labels import Label, RefreshError, read_text
from station.records.images import is_whole_png
from station.records.parts import PartRow, parts
from station.records.schema import RecordingError, open_reader
from station.results import Verdict

MIN_TRAINING = 20
"""Fewer images teach nothing; teaching itself asks for as many."""
MIN_HELD_OUT = 5
HELD_OUT_SHARE = 0.2
MAX_SUSPECT_SHARE = 0.3
"""Of the images to learn from, those of unlabelled REVIEW and FAIL parts. All their images are kept but only few of
PASS parts, so without a bound defects could become the majority, and what is the majority is learned."""
JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)
MOST_COUNTED = 1000
"""Parts of another recipe: enough to know which one is meant."""
_RECIPES = """WITH RECURSIVE r (name) AS (SELECT MIN(recipe) FROM parts UNION ALL
    SELECT (SELECT MIN(recipe) FROM parts WHERE recipe > r.name) FROM r WHERE name IS NOT NULL) SELECT name FROM r"""
_COUNT = "SELECT COUNT(*) FROM (SELECT 1 FROM parts WHERE recipe = ? AND challenge IS NULL LIMIT ?)"
LONGEST_NUMBER = 19
"""Digits of an acquisition id."""


EARLIER = "EARLIER"
"""In place of a verdict, of a part that an earlier refresh has kept."""


class Group(str, Enum):
    """What is known of a part."""

    GOOD = "labelled good"
    DEFECTIVE = "labelled defective"
    PASSED = "passed"
    """Unlabelled; the station let it pass."""
    SUSPECT = "review or fail"
    """Unlabelled; the station did not."""
    EARLIER = "earlier variant"
    """A good part of an earlier refresh, see `candidate.golden`."""
    UNKNOWN = "unknown"
    """Unlabelled, from a folder."""


@dataclass(frozen=True, slots=True)
class PartImage:
    """A view of a part whose image is there."""

    key: str
    """SESSION/ACQUISITION_ID, or the file name: names the part."""
    part_id: str
    image: Path
    verdict: str = ""
    """Of the station on this view, at the time; empty for a folder."""
    label: Label | None = None
    camera: str = ""
    """Empty for a folder."""
    defect_class: str = ""
    """Of a part that is labelled defective, where a person named one."""

    @property
    def group(self) -> Group:
        if self.label is not None:
            return Group.GOOD if self.label is Label.GOOD else Group.DEFECTIVE
        if self.verdict == EARLIER:
            return Group.EARLIER
        if not self.verdict:
            return Group.UNKNOWN
        return Group.PASSED if self.verdict == Verdict.PASS.name else Group.SUSPECT

    @property
    def name(self) -> str:
        """File name in the refresh's own folder: for people, in the order of capture, never the same twice."""
        session, slash, acquisition_id = self.key.rpartition("/")
        view = f"-{self.camera}" if self.camera else ""
        stem = f"{session}-{int(acquisition_id):09d}-part{self.part_id}{view}" if slash else self.image.stem
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", stem)[:80]
        return (plain if plain == stem else f"{plain}-{self.lot[:8]}") + self.image.suffix

    @property
    def lot(self) -> str:
        """Decides whether the part, with all its views, is held out; the same in every refresh."""
        return hashlib.sha256(self.key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RefreshSelection:
    """What to learn from and what to compare with."""

    training: tuple[PartImage, ...]
    """Labelled defective parts among them: they are never learned, but say what defects look like."""
    held_out: tuple[PartImage, ...]
    """The labelled defective ones again, and others that are not in `training`."""
    notes: tuple[str, ...]
    """What was left out, for people."""


def from_records(records: Path, *, recipe: str, newest: int) -> list[PartImage]:
    """The views of the newest parts of this recipe whose images are kept, without error and master parts; oldest first.

    Raises RefreshError when there are none.
    """
    with closing(_opened(records)) as connection:
        rows = list(parts(connection, verdicts=JUDGED, recipe=recipe, with_image=True, production=True, newest=newest))
    found = images_of(records, rows)
    if not found:
        raise RefreshError(
            f'records "{records}" hold no image of a judged part of recipe "{recipe}" ({len(rows)} parts name one): '
            "let the line run, and raise records.pass_image_share so that images of PASS parts are kept"
            + _other_names(records, recipe)
        )
    return found


def has_parts(records: Path, recipe: str | None) -> bool:
    """Whether any part is on record under this name of a recipe. Raises RefreshError."""
    with closing(_opened(records)) as connection:
        return connection.execute("SELECT 1 FROM parts WHERE recipe = ? LIMIT 1", [recipe]).fetchone() is not None


def _other_names(records: Path, recipe: str) -> str:
    """What else is on record, where a product may have got another name."""
    with closing(_opened(records)) as connection:
        names = [name for (name,) in connection.execute(_RECIPES) if name not in (None, recipe)]
        counts = [(name, connection.execute(_COUNT, (name, MOST_COUNTED)).fetchone()[0]) for name in names]
    counts = [(name, count) for name, count in counts if count]
    if not counts:
        return ""
    named = ", ".join(f"{name} ({count}{' or more' * (count == MOST_COUNTED)})" for name, count in counts)
    return f"; other recipes have parts: {named}; if it is the new name of one of them: --recorded-as {counts[0][0]}"


def named_on_record(records: Path, names: Sequence[str], *, recipe: str) -> list[PartImage]:
    """The views of these parts, SESSION/ACQUISITION_ID, in this order. Raises RefreshError that names a wrong one."""
    rows = []
    with closing(_opened(records)) as connection:
        for name in names:
            session, _, number = name.rpartition("/")
            if not (session and number.isascii() and number.isdecimal() and len(number) < LONGEST_NUMBER):
                raise RefreshError(f'part "{name}": SESSION/ACQUISITION_ID, as the records name it')
            row = next(parts(connection, session=session, acquisition_id=int(number), production=True), None)
            if row is None or row.recipe != recipe:
                raise RefreshError(f'part {name}: no such part of recipe "{recipe}" is on record')
            rows.append(row)
    found = images_of(records, rows)
    if not found:
        raise RefreshError(f"none of these {len(rows)} parts has an image any more; choose newer ones")
    return found


def _opened(records: Path) -> sqlite3.Connection:
    try:
        return open_reader(records)
    except RecordingError as problem:
        raise RefreshError(f"{problem}; is this the records.db of a station?") from problem


def images_of(records: Path, rows: Iterable[PartRow]) -> list[PartImage]:
    """The views whose image is whole: the disk budget may have taken one meanwhile."""
    folder = (records if records.is_dir() else records.parent).resolve()
    return [
        PartImage(f"{row.session}/{row.acquisition_id}", str(row.part_id), image, view.verdict, camera=view.camera)
        for row in rows
        for view in row.views
        if (image := (folder / (view.image_path or "")).resolve()).is_relative_to(folder) and is_whole_png(image)
    ]


def from_folder(folder: Path, *, newest: int) -> list[PartImage]:
    """The images of a folder (or of `train/good` in it), the last ones by name. Raises RefreshError."""
    source = folder / "train" / "good" if (folder / "train" / "good").is_dir() else folder
    try:
        files = image_files(source)
    except CameraUnreadable as problem:
        raise RefreshError(str(problem)) from problem
    return [PartImage(file.name, file.name, file.resolve()) for file in files[-newest:]]


def only_named(found: Sequence[PartImage], names: Sequence[str]) -> list[PartImage]:
    """Those of a folder with these file names. Raises RefreshError: one of them is not there."""
    by_name = {part.key: part for part in found}
    if missing := [name for name in names if name not in by_name]:
        raise RefreshError(f'image "{missing[0]}" is not there (any more); collect the parts again')
    return [by_name[name] for name in dict.fromkeys(names)]


def read_veto(file: Path) -> frozenset[str]:
    """Names of images (`PartImage.name`) that an earlier refresh removed and that are good after all.

    As its dossier writes them: one a line, lines that begin with `#` are comments. Raises RefreshError.
    """
    return frozenset(read_names(file, "veto"))


def read_names(file: Path, what: str) -> list[str]:
    """One a line; lines that begin with `#` are comments. Raises RefreshError."""
    lines = (line.strip() for line in read_text(file, what).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def with_labels(
    parts: Sequence[PartImage], labels: Mapping[str, Label], vetoed: Collection[str] = ()
) -> list[PartImage]:
    """The parts with these labels, or with those they had; vetoed ones are good, whatever was said before.

    Raises RefreshError when an id stands for several parts.
    """
    times = Counter(part_id for part_id, _ in {(part.part_id, part.key) for part in parts})
    ambiguous = sorted(part_id for part_id in labels if times[part_id] > 1)
    if ambiguous:
        keys = ", ".join(dict.fromkeys(part.key for part in parts if part.part_id == ambiguous[0]))
        raise RefreshError(
            f"label of part {ambiguous[0]}: {times[ambiguous[0]]} parts have had this id; label one of {keys}"
        )
    labelled = (replace(part, label=_label(part, labels) or part.label) for part in parts)
    return [replace(part, label=Label.GOOD) if part.name in vetoed else part for part in labelled]


def with_classes(parts: Sequence[PartImage], classes: Mapping[str, str]) -> list[PartImage]:
    """The parts with the classes of their defects; they count only where the part is labelled defective."""
    return [
        replace(part, defect_class=next((classes[name] for name in _label_names(part) if name in classes), ""))
        for part in parts
    ]


def select(parts: Sequence[PartImage], *, named: Collection[str] = ()) -> RefreshSelection:
    """Splits the parts; the same part falls on the same side in every refresh, as far as the numbers allow it.

    `named` is what labels and vetoes are about, to note those that are about none of these parts.

    Raises RefreshError when too few are left.
    """
    grouped = {group: [part for part in parts if part.group is group] for group in Group}
    notes = []
    training: list[PartImage] = []
    held_out: list[PartImage] = list(grouped[Group.DEFECTIVE])
    wanted_good = grouped[Group.GOOD] + grouped[Group.PASSED] + grouped[Group.UNKNOWN]
    for pool, at_least in ((wanted_good, MIN_HELD_OUT), (grouped[Group.SUSPECT], 0)):
        apart = _held_out(pool, at_least)
        held_out += apart
        training += [part for part in pool if part not in set(apart)]
    suspects = [part for part in training if part.group is Group.SUSPECT]
    allowed = math.floor((len(training) - len(suspects)) * MAX_SUSPECT_SHARE / (1 - MAX_SUSPECT_SHARE))
    if len(suspects) > allowed:
        dropped = set(suspects[: len(suspects) - allowed])
        training = [part for part in training if part not in dropped]
        notes.append(said.SUSPECTS_LEFT_OUT(count=len(dropped), share=f"{MAX_SUSPECT_SHARE:.0%}"))
    if len(training) < MIN_TRAINING:
        counts = ", ".join(f"{len(found)} {group.value}" for group, found in grouped.items() if found)
        raise RefreshError(
            f"{len(training)} images to learn from, at least {MIN_TRAINING} are needed beside those held out for the "
            f"comparison (found: {counts or 'none'}); let the line run longer, raise records.pass_image_share, "
            "or label parts as good"
        )
    unused = set(named).difference(*((*_label_names(part), part.name) for part in parts))
    if unused:
        notes.append(said.LABELS_UNUSED(count=len(unused)))
    return RefreshSelection((*training, *grouped[Group.DEFECTIVE]), tuple(held_out), tuple(notes))


def _label_names(part: PartImage) -> tuple[str, ...]:
    """What a label may call this image, the most exact name first."""
    return f"{part.key}/{part.camera}", part.key, part.part_id


def _label(part: PartImage, labels: Mapping[str, Label]) -> Label | None:
    return next((labels[name] for name in _label_names(part) if name in labels), None)


def _held_out(pool: Sequence[PartImage], at_least: int) -> list[PartImage]:
    """A fixed share of `pool`, in its order: those with the lowest lots."""
    count = max(at_least, math.ceil(HELD_OUT_SHARE * len(pool)))
    chosen = set(sorted(part.lot for part in pool)[:count])
    return [part for part in pool if part.lot in chosen]
