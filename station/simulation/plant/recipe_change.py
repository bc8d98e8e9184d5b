"""How the PLC of the simulated line changes the recipe: PLC command 1, between two parts of different products.

    asked ─► no part before the camera ─► Execute ─► CommandCompleted and Recipe ─► Execute falls ─► the next part comes
                                                 └─► CommandFailed ─► refused: no part of that product comes

Parts behind the camera need not be waited for: the station finishes them under the old recipe.
"""

from __future__ import annotations

from dataclasses import dataclass

SELECT_RECIPE = 1


@dataclass(frozen=True, slots=True)
class CommandStatus:
    """What the PLC reads of a command."""

    completed: bool
    failed: bool
    recipe: int
    executed: bool
    """The station has been written Execute."""
    result: int = 0
    """Why it failed."""


@dataclass(slots=True)
class RecipeChange:
    """Scanned like the rest of the program. `wanted` is set by the feeder when all parts have passed the camera."""

    wanted: int = 0
    """0: whichever is active."""
    selected: int = 0
    refused: int = 0
    execute: bool = False

    @property
    def done(self) -> bool:
        return self.wanted == self.selected

    def scan(self, status: CommandStatus | None, *, part_before_camera: bool) -> None:
        """One scan. `status` is None while the station cannot be read."""
        if status is None:
            return
        ended = status.completed or status.failed
        if not self.execute:
            self.execute = not (self.done or self.refused or ended or status.executed or part_before_camera)
        elif status.executed and ended:
            self.execute = False
            if status.completed and status.recipe == self.wanted:
                self.selected = self.wanted
            else:
                self.refused = self.wanted
