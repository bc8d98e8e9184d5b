"""What people have called defects since the engine learned its kinds: whether it is worth learning them anew."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engines.bundle.kinds import kinds_in_words
from station.hmi.engines.versions import Row, Store
from station.hmi.site import Site
from station.labels.labels import Label, read_labels
from station.labels.schema import LabelError
from station.reports.shifts import TimeError

OFFERED_FROM = 5
"""Parts that were named since."""
STRANGERS_FROM = 2
"""Parts of kinds that the engine does not know."""


@dataclass(frozen=True, slots=True)
class NamedKinds:
    """For the page of engines."""

    known: str
    """The kinds of the active engine, in words; empty: it has none."""
    new: int
    """Parts whose class was named since."""
    since: int
    """The newest version of the store that has kinds, else the active one: what is named later is new."""
    strangers: Sequence[str]
    """Classes among all that were named which that version does not know, with their counts."""
    may_be_learned: bool
    """Parts of at least two classes are named."""
    is_offered: bool
    """Enough is new."""


def named_kinds(site: Site, store: Store) -> NamedKinds | None:
    """None: no engine is active, or the labels cannot be read, which other pages say."""
    active = store.active
    if active is None or active.manifest is None:
        return None
    try:
        labels = [one for one in read_labels(site.labels) if one.label == "defective" and one.defect_class]
        newest, new = _new(site, store, active, labels)
    except (LabelError, TimeError, sqlite3.Error, OSError):
        return None
    counts = Counter(str(one.defect_class) for one in labels)
    known = set() if newest.manifest is None or newest.manifest.kinds is None else set(newest.manifest.kinds.names)
    strangers = {name: count for name, count in sorted(counts.items()) if name not in known}
    may_be_learned = len(counts) >= 2 or bool(active.manifest.kinds and counts)
    is_offered = may_be_learned and (
        len(new) >= OFFERED_FROM or (bool(new) and sum(strangers.values()) >= STRANGERS_FROM)
    )
    return NamedKinds(
        known="" if active.manifest.kinds is None else kinds_in_words(active.manifest.kinds),
        new=len(new),
        since=newest.version.number,
        strangers=[f"{name} ({count})" for name, count in strangers.items()],
        may_be_learned=may_be_learned,
        is_offered=is_offered,
    )


def _new(site: Site, store: Store, active: Row, labels: Sequence[Label]) -> tuple[Row, list[Label]]:
    """The version that has learned kinds last, and what was named after it was made."""
    with_kinds = (row for row in store.rows if row.manifest is not None and row.manifest.kinds is not None)
    newest = next(with_kinds, active)
    assert newest.manifest is not None
    made = site.calendar.moment(newest.manifest.created, time.time())
    return newest, [one for one in labels if one.at > made]
