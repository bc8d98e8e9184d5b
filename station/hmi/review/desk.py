"""The review queue for the pages: who may decide what, the part in hand with its pictures, and what is loaded ahead.

Opens `labels.db` for each request and closes it again; the labels are the only thing of the station that pages write.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from station.hmi.rights import Person, Right
from station.hmi.site import Site
from station.labels.classes import DefectClass, classes
from station.labels.intake import ReviewRules, take_in
from station.labels.labels import Said
from station.labels.queue import Item, Waiting, take, take_this, upcoming, waiting
from station.labels.reviewing import DrawnRegion, Opinion, last_said, standing_of
from station.labels.schema import LabelError, open_writer
from station.labels.writing import Labelled, Reviewer
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.records.selection import Selection, newest_of
from station.results import Verdict

EVERY_S = 2.0
"""Between two looks for new parts, however many pages are open."""
INTAKE_S = 0.4
"""What one page spends on that; after a weekend without anybody the next ones go on."""
AHEAD = 2
GOOD_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class Desk:
    """What a reviewer has before him."""

    item: Item | None
    part: PartRow | None
    """None: its row is gone."""
    waiting: Waiting
    ahead: tuple[PartRow, ...]
    """What comes next, for a page that loads its pictures early."""
    classes: tuple[DefectClass, ...]
    said: tuple[Said, ...]
    """What others say of it; nothing of a part that two decide blindly."""
    undo: tuple[Item, Said] | None
    good: PartRow | None
    """A part of the same engine and recipe that passed and has its picture, to compare with."""


class Intake:
    """Takes new parts into the queue; one at a time, and not more often than every two seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked: dict[Path, float] = {}

    def look(self, site: Site, labels: sqlite3.Connection) -> None:
        """Raises RecordingError, LabelError."""
        with self._lock:
            looked = self._looked.get(site.labels)
            if looked is not None and time.monotonic() - looked < EVERY_S:
                return
            with closing(open_reader(site.records)) as records:  # in short steps by itself: none is to be given up
                _, is_whole = take_in(labels, records, rules_of(site), time.time(), INTAKE_S)
            if is_whole:
                self._looked[site.labels] = time.monotonic()


INTAKE = Intake()


def rules_of(site: Site) -> ReviewRules:
    """What comes into the queue, as configured."""
    chosen = site.station.settings.review
    return ReviewRules(60.0 * chosen.due_min, chosen.pass_share, chosen.fail_share, chosen.blind_share)


def reviewer_of(person: Person) -> Reviewer:
    """Under whose name a decision is kept."""
    return Reviewer(person.name, "quality" if person.may(Right.OVERRULE) else ",".join(person.roles))


@contextmanager
def labels_of(site: Site) -> Iterator[sqlite3.Connection]:
    """The labels, to be written. Raises LabelError."""
    with closing(open_writer(site.labels)) as connection:
        yield connection


def desk_of(site: Site, person: Person, wanted: int | None = None) -> Desk:
    """Takes a part for this person: the wanted one, as after an undo, else the one in hand, else the next."""
    by, overrules, now = reviewer_of(person), person.may(Right.OVERRULE), time.time()
    with labels_of(site) as labels:
        INTAKE.look(site, labels)
        item = None if wanted is None else take_this(labels, wanted, by, overrules=overrules, now=now)
        item = item or take(labels, by, overrules=overrules, now=now)
        ahead = upcoming(labels, by, overrules=overrules, now=now, most=AHEAD, but=item.id if item else None)
        desk = Desk(
            item=item,
            part=None,
            waiting=waiting(labels, by, overrules=overrules, now=now),
            ahead=(),
            classes=tuple(classes(labels)),
            said=() if item is None else tuple(standing_of(labels, item)),
            undo=last_said(labels, by),
            good=None,
        )
    if item is None:
        return desk
    with site.reading() as records:
        part = part_of(records, item)
        good = None if part is None else good_part(records, part)
        next_parts = [part_of(records, one) for one in ahead]
    return replace(desk, part=part, good=good, ahead=tuple(one for one in next_parts if one is not None))


def part_of(records: sqlite3.Connection, item: Labelled) -> PartRow | None:
    """The row of a part; None: it is gone."""
    return next(parts(records, session=item.session, acquisition_id=item.acquisition_id), None)


def part_on_record(site: Site, session: str, acquisition_id: int) -> PartRow | None:
    """The part with this number; None: there is none."""
    with site.reading() as records:
        return next(parts(records, session=session, acquisition_id=acquisition_id), None)


def good_part(records: sqlite3.Connection, part: PartRow) -> PartRow | None:
    """The newest part of the same recipe and engine that passed and whose pictures are kept."""
    chosen = Selection(verdicts=(Verdict.PASS,), recipe=part.recipe, production=True, until=part.wall_time + 3600)
    for other in reversed(newest_of(records, chosen, GOOD_LOOKED_AT)):
        if other.engine_id == part.engine_id and any(view.image_path for view in other.views):
            return other
    return None


def opinion_of(fields: Mapping[str, str]) -> Opinion:
    """What a form says. Raises LabelError."""
    took = fields.get("took_ms", "")
    return Opinion(
        answer=fields.get("answer", ""),  # type: ignore[arg-type]  # `review` checks it
        defect_class=(fields.get("class") or None) if fields.get("answer") == "defective" else None,
        comment=fields.get("note", "").strip(),
        regions=_regions(fields.get("regions", "") or "[]") if fields.get("answer") == "defective" else (),
        took_ms=min(int(took), 86_400_000) if took.isdecimal() and len(took) < 12 else None,
        saw={"heat": fields.get("heat") == "1", "verdict": fields.get("verdict", "")[:16]},
        request=fields.get("request") or None,
    )


def _regions(text: str) -> tuple[DrawnRegion, ...]:
    try:
        given = json.loads(text)
        return tuple(
            DrawnRegion(str(one["camera"]), tuple((float(x), float(y)) for x, y in one["points"])) for one in given
        )
    except (ValueError, TypeError, KeyError) as problem:
        raise LabelError("the regions that were drawn cannot be understood; load the page again") from problem
