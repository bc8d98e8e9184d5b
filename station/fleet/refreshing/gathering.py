"""The images of one station from the store, with what is known of them, into a folder of this job.

The store is a share or a bucket that many write to: nothing of it is believed. A name must be one that a station gives,
a file is read without following a link and up to a bound, all of a job take a bounded place on the disk, the bytes must
have the hash that the row of the part says (where it says one), and they must decode. An image without a row is of a
part of which nobody knows what it was: it is left out, and counted, for an image of a rejected part must never pass for
one of a good part.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote

from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.reading import decode
from station.fleet.refreshing.jobs import FleetError, Job, Unlucky
from station.fleet.refreshing.table import FleetLabel, FleetPart, Table
from station.northbound.images.policy import segment
from station.northbound.images.stores import Readable, StoreError

MOST_BYTES = 64 << 20
"""Of one image."""
MOST_NAMES = 200_000
"""Images of a station on one day."""
SUSPECT_SHARE = 0.3
"""As many unlabelled REVIEW and FAIL parts may be among all, as in a refresh at the station; more would be dropped."""
HASH = "image_sha256"
"""Of a view, where its row says what the image must be."""
_IMAGE = re.compile(r"(\d{1,19})-([^/]{1,200})\.png")
_STRANGE = "no station gives such a name"
OnStep = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FleetImage:
    """A view of a part, in the folder of the job."""

    key: str
    """SESSION/ACQUISITION_ID."""
    part_id: str
    image: Path
    verdict: str
    """Of the station on this view."""
    camera: str
    label: str = ""
    """good, defective, or empty."""
    defect_class: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a job learns from."""

    images: tuple[FleetImage, ...]
    """In the order in which they were made."""
    left_out: Counter[str]
    """Images by the reason why they are not used."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, for people."""
        return tuple(f"{count} images were left out: {why}" for why, count in sorted(self.left_out.items()))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a job finds what it learns from."""

    table: Table
    store: Readable
    days: int
    """Back from tomorrow: a clock may be ahead."""
    today: date
    """UTC."""
    most_bytes: int
    """Of all images of a job together, on the disk of this computer."""


class _Wanted:
    """How many parts of each kind are still wanted."""

    def __init__(self, parts: int) -> None:
        suspects = int(parts * SUSPECT_SHARE / (1 - SUSPECT_SHARE))
        self._left = {"labelled": parts, "PASS": parts, "other": suspects}

    @property
    def is_full(self) -> bool:
        return self._left["PASS"] <= 0 and self._left["other"] <= 0

    def has_room(self, kind: str) -> bool:
        return self._left[kind] > 0

    def count(self, kind: str) -> None:
        self._left[kind] -= 1


def gather(source: Source, job: Job, folder: Path, on_step: OnStep) -> Gathered:
    """The newest `job.parts` good parts, fewer that are not, and all that people have labelled, as far as `days` goes.

    Raises:
        FleetError: there are none, or they are larger than the job may be.
        Unlucky: the store or the disk of this computer cannot be used.
        Trouble: the database cannot.
    """
    desk = _Desk(source.store, folder, source.most_bytes)
    wanted = _Wanted(job.parts)
    newest_first: list[list[FleetImage]] = []
    days = [source.today + timedelta(days=1 - back) for back in range(source.days + 1)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, day in enumerate(days):
            on_step("images", number, len(days))
            for part, labels, views in _parts_of(source, job, day, wanted, desk.left_out):
                taken = (desk.image(part, labels, camera, name) for camera, name in views)
                found = [image for image in taken if image is not None]
                if found:
                    wanted.count(_kind(part, labels))
                    newest_first.append(found)
    except StoreError as problem:
        raise Unlucky(f"the store of images: {problem}") from problem
    except OSError as problem:
        raise Unlucky(f'"{folder}" cannot be written: {problem.strerror or problem}') from problem
    if not newest_first:
        raise FleetError(_nothing(source, job, desk.left_out))
    return Gathered(tuple(image for part in reversed(newest_first) for image in part), desk.left_out)


def _parts_of(
    source: Source, job: Job, day: date, wanted: _Wanted, left_out: Counter[str]
) -> Iterator[tuple[FleetPart, Sequence[FleetLabel], Sequence[tuple[str, str]]]]:
    """Of a day, newest first: the parts that are wanted, with their labels, and (camera, name) of their images."""
    prefix = f"{segment(job.station)}/{day}"
    there = _named(source.store.names(prefix, MOST_NAMES), prefix, left_out)
    if not there:
        return
    keys = list(there)
    labels = source.table.labels(job, keys)
    if wanted.is_full:  # only for what people say
        keys = [key for key in keys if key in labels]
    known = source.table.parts(job, day, keys) if keys else []
    if not wanted.is_full:
        rowless = sum(len(there[key]) for key in set(there) - {part.key for part in known})
        if rowless:
            left_out["their parts have no row in the database, or are of another recipe"] += rowless
    for part in known:
        said = labels.get(part.key, ())
        if wanted.has_room(_kind(part, said)):
            yield part, said, there[part.key]


def _named(names: Sequence[str], prefix: str, left_out: Counter[str]) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """By session and number: (camera, name) of each image. Names that no station gives below `prefix` are left out."""
    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for name in names:
        *above, file = name.split("/")
        match = _IMAGE.fullmatch(file)
        session, camera = unquote(above[-1]) if above else "", "" if match is None else unquote(match[2])
        if match is None or int(match[1]) >= 1 << 63 or not _is_text(session) or not _is_text(camera):
            left_out[_STRANGE] += 1
        elif name != f"{prefix}/{segment(session)}/{int(match[1]):09d}-{segment(camera)}.png":
            left_out[_STRANGE] += 1  # it climbs, lies elsewhere, or is a second spelling of the same image
        else:
            found.setdefault((session, int(match[1])), []).append((camera, name))
    return found


def _is_text(text: str) -> bool:
    return bool(text) and "\0" not in text and text.isprintable()


class _Desk:
    """Takes images from the store into the folder of the job, and counts those that it leaves out."""

    def __init__(self, store: Readable, folder: Path, most_bytes: int) -> None:
        self._store = store
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes = 0
        self.left_out: Counter[str] = Counter()

    def image(self, part: FleetPart, labels: Sequence[FleetLabel], camera: str, name: str) -> FleetImage | None:
        """None: it is left out. Raises StoreError, OSError, FleetError."""
        view = next((one for one in part.views if one.get("camera") == camera), None)
        if view is None or view.get("verdict") not in ("PASS", "FAIL", "REVIEW"):
            self.left_out["their part has no judged view of that camera"] += 1
            return None
        expected = view.get(HASH)
        content = self._content(name, expected if isinstance(expected, str) else None)
        if content is None:
            return None
        self._bytes += len(content)
        if self._bytes > self._most_bytes:
            raise FleetError(
                f"the images of this job are more than {self._most_bytes >> 20} MB, [fleet] images_mb; allow more, or "
                "ask for fewer: --parts"
            )
        image = self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.png"  # nothing of their name
        image.write_bytes(content)
        said = sorted((one for one in labels if one.camera in (camera, "")), key=lambda one: one.camera == "")
        label, defect_class = (said[0].label, said[0].defect_class) if said else ("", "")
        key = f"{part.session}/{part.acquisition_id}"
        return FleetImage(key, str(part.part_id), image, str(view["verdict"]), camera, label, defect_class)

    def _content(self, name: str, expected: str | None) -> bytes | None:
        """Of an image that is what it should be. `expected`: its SHA-256; None: not known."""
        try:
            content = self._store.read(name, MOST_BYTES)
            if content is None:
                self.left_out["they were gone, or are no plain files"] += 1
                return None
            if expected is not None and hashlib.sha256(content).hexdigest() != expected:
                self.left_out["they are not what the station has sent: another hash"] += 1
                return None
            decode(content)
        except ValueError:
            self.left_out[f"they are larger than {MOST_BYTES} bytes"] += 1
            return None
        except ImageUnreadable:
            self.left_out["they cannot be decoded"] += 1
            return None
        return content


def _kind(part: FleetPart, labels: Sequence[FleetLabel]) -> str:
    if labels:
        return "labelled"
    return "PASS" if all(view.get("verdict") == "PASS" for view in part.views) else "other"


def _nothing(source: Source, job: Job, left_out: Counter[str]) -> str:
    why = "".join(f"; {count} were left out: {reason}" for reason, count in sorted(left_out.items()))
    return (
        f'{source.store.where} has no image of a judged part of station "{job.station}" and recipe "{job.recipe}" of '
        f"the last {source.days} days{why}; [images] and [postgres] of that station send both, [fleet] days looks "
        "further"
    )
