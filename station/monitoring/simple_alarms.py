"""Alarms without statistics: rejects in a row, and defects that come at one place of the picture again and again."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from station import said
from station.codes import WarningCode
from station.monitoring.seen import SeenPart
from station.results import Verdict

SAME_PLACE_OF = 10
"""Defects that are looked back on."""
SAME_PLACE_COUNT = 7
NEAR = 0.02
"""Shares of width and height: places as near as this are one."""
QUIET_PASSES = 50
"""Parts that pass in a row end an alarm."""


@dataclass(slots=True)
class SimpleAlarms:
    """Owns the last rejects. Holds a worn gripper or a scratch on the lens apart from products that have defects."""

    rejects_in_a_row: int
    """0: no alarm of this kind."""
    _rejects: int = 0
    _passes: int = 0
    _places: deque[tuple[str, float, float]] = field(default_factory=lambda: deque(maxlen=SAME_PLACE_OF))
    standing: dict[WarningCode, str] = field(default_factory=dict)
    """Code and detail of the alarms that stand."""

    def add(self, part: SeenPart) -> None:
        """One more part of production."""
        if part.verdict is Verdict.PASS:
            self._rejects = 0
            self._passes += 1
            if self._passes >= QUIET_PASSES:
                self.reset()
            return
        if part.not_inspected:
            return
        self._passes = 0
        if part.verdict is Verdict.FAIL:
            self._rejects += 1
            if 0 < self.rejects_in_a_row <= self._rejects:
                self.standing[WarningCode.REJECTS_IN_A_ROW] = said.REJECTS_IN_A_ROW(count=self._rejects)
        self._place(part)

    def _place(self, part: SeenPart) -> None:
        placed = [(view.camera, *view.defect) for view in part.views if view.defect is not None]
        if not placed:
            return
        self._places.append(placed[0])
        camera, x, y = placed[0]
        near = sum(
            one == camera and abs(other_x - x) <= NEAR and abs(other_y - y) <= NEAR
            for one, other_x, other_y in self._places
        )
        if near >= SAME_PLACE_COUNT:
            self.standing[WarningCode.SAME_PLACE] = said.SAME_PLACE(
                count=near, total=len(self._places), camera=camera, share=f"{x:.0%}", other_share=f"{y:.0%}"
            )

    def reset(self) -> None:
        """Nothing stands, nothing is remembered."""
        self._rejects = 0
        self._passes = 0
        self._places.clear()
        self.standing.clear()

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        return {"rejects": self._rejects, "passes": self._passes, "places": [list(place) for place in self._places]}

    def restore(self, memory: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: not the memory of simple alarms."""
        self._rejects, self._passes = int(memory["rejects"]), int(memory["passes"])
        for camera, x, y in memory["places"]:
            if math.isfinite(x) and math.isfinite(y):
                self._places.append((str(camera), float(x), float(y)))
