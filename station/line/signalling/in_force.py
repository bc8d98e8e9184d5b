"""What parts are judged by, and what every record says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from station.line.inspection.inspector import Inspector
from station.line.inspection.joining import WORST, JoinRule
from station.results import Identity, Inspection, highest_scored


@dataclass(slots=True)
class InForce:
    """Owns the active inspector and identity. The signalling thread changes them by `install` and `identify`."""

    identity: Identity
    inspector: Inspector | None = None
    since_ns: int = 0
    """What was triggered before is not judged by this inspector."""

    def install(self, inspector: Inspector | None, now_ns: int) -> None:
        """Another inspector, or none, judges parts triggered from now on."""
        self.inspector = inspector
        self.since_ns = now_ns

    def identify(self, identity: Identity) -> None:
        """Another configuration or recipe stands in the records from now on."""
        self.identity = identity

    @property
    def engine_id(self) -> str:
        return self.inspector.engine_id if self.inspector else ""

    @property
    def joining(self) -> JoinRule:
        return self.inspector.joining if self.inspector else WORST

    def reject_score(self, views: Sequence[Inspection] = ()) -> float:
        """The limit: that of the view whose score is shown, else the station's."""
        shown = highest_scored(views)
        if shown is not None and shown.reject_score is not None:
            return shown.reject_score
        return self.inspector.reject_score if self.inspector else 0.0
