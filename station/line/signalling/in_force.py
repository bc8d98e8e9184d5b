"""What parts are judged by, and what every record says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.line.inspection.inspector import Inspector
from station.line.inspection.joining import WORST, JoinRule
from station.results import Identity, Inspection, highest_scored


@dataclass(frozen=True, slots=True)
class Judge:
    """What one part is judged by, from its first view to its record: one engine with one configuration."""

    identity: Identity
    engine_id: str = ""
    joining: JoinRule = WORST
    limit: float = 0.0
    """Where no single view is meant."""

    def reject_score(self, views: Sequence[Inspection] = ()) -> float:
        """The limit: that of the view whose score is shown, else the station's."""
        shown = highest_scored(views)
        return self.limit if shown is None or shown.reject_score is None else shown.reject_score


class InForce:
    """Owns the active inspector and identity. The signalling thread changes them by `install` and `identify`."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.inspector: Inspector | None = None
        self.since_ns = 0
        """What was triggered before is not judged by this inspector, nor by one before it."""
        self._before: tuple[int, Judge] | None = None
        """The last part of the judge before, where the two follow on each other."""

    def install(
        self, inspector: Inspector | None, now_ns: int, *, after: int | None = None, identity: Identity | None = None
    ) -> None:
        """Another inspector, or none, judges parts from now on, with another `identity` if one is given.

        `after`: acquisition id of the last part of the inspector before, which stays with it; None: no part is open.
        """
        if after is None:
            self.since_ns = now_ns
        self._before = None if after is None else (after, self.current)
        self.inspector = inspector
        if identity is not None:
            self.identity = identity

    def identify(self, identity: Identity) -> None:
        """Another configuration or recipe stands in the records from now on."""
        self.identity = identity

    @property
    def current(self) -> Judge:
        """Of parts that are opened now."""
        inspector = self.inspector
        if inspector is None:
            return Judge(self.identity)
        return Judge(self.identity, inspector.engine_id, inspector.joining, inspector.reject_score)

    def of(self, acquisition_id: int) -> Judge:
        """Of this part, also where it is the last one of the judge before."""
        if self._before is not None and acquisition_id <= self._before[0]:
            return self._before[1]
        return self.current

    @property
    def engine_id(self) -> str:
        return self.inspector.engine_id if self.inspector else ""

    def reject_score(self) -> float:
        """The limit that the station shows."""
        return self.inspector.reject_score if self.inspector else 0.0
