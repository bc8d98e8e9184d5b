"""An engine beside the active one, as its page shows it: the gate, and what both said of the same parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from station.hmi.engines.versions import Row, Store
from station.labels.schema import LabelError, labels_beside
from station.records.engines.shadows import last_run_of
from station.records.schema import RecordingError, open_reader
from station.reports.candidate.gate import Check, gate
from station.reports.candidate.in_words import FINDINGS, pairs_table
from station.reports.candidate.shadowed import Differing, Direction, Shadowed, part_labels, shadowed

MOST_SHOWN = 36
LINES = (("false_rejects", "False rejects"), ("escapes", "Escapes"))


@dataclass(frozen=True, slots=True)
class Beside:
    """Of one version that is not active."""

    checks: Sequence[Check]
    found: Shadowed | None
    """Its newest run in the shadow; None: it was never there."""
    problem: str = ""
    """Why something of it cannot be read."""

    @property
    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]] | None:
        """Head and rows of the verdicts of both."""
        return None if self.found is None else pairs_table(self.found)

    @property
    def directions(self) -> Sequence[tuple[str, str, Direction]]:
        """(English title, English finding, figures)."""
        found = self.found
        return () if found is None else [(title, FINDINGS[d.finding], d) for title, d in _directions(found)]

    @property
    def shown(self) -> Sequence[Differing]:
        """Parts that differ, those without a label first."""
        found = self.found
        return () if found is None else sorted(found.differing, key=lambda one: bool(one.label))[:MOST_SHOWN]


def _directions(found: Shadowed) -> Sequence[tuple[str, Direction]]:
    return [(title, getattr(found, name)) for name, title in LINES]


def beside(records: Path, store: Store, row: Row) -> Beside | None:
    """None: it is the active version, or cannot be used."""
    if row.is_active or row.manifest is None:
        return None
    active = None if store.active is None else store.active.version.path
    try:
        checks = gate(records, active, row.version.path)
        with closing(open_reader(records)) as connection:
            run = last_run_of(connection, row.manifest.engine_id)
            found = None if run is None else shadowed(connection, part_labels(labels_beside(records)), run)
        return Beside(checks, found)
    except (RecordingError, LabelError, EngineError) as problem:
        return Beside((), None, str(problem))


def shadow_of(status: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the daemon says of its shadow; `state` is empty where it is not heard."""
    found = (status or {}).get("shadow")
    return found if isinstance(found, Mapping) else {"state": "", "version": "", "probation": None}
