"""Kinds of defects of the last day, for the page of health."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from station.hmi.site import Site
from station.labels.pareto import DAY_S, KindCount, pareto
from station.labels.schema import LabelError
from station.records.schema import RecordingError


def kinds_of_day(site: Site) -> Sequence[KindCount]:
    """Most frequent first; none where records or labels cannot be read, which the page says elsewhere."""
    now = time.time()
    try:
        return pareto(site.records, site.labels, now - DAY_S, now)
    except (RecordingError, LabelError, sqlite3.Error, OSError):
        return ()
