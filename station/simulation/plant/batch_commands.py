"""How the PLC of the simulated line begins a batch before its first part and ends it behind the last one.

named ─► Execute, command 9 ─► CommandCompleted ─► parts come ─► the last is past the camera ─► command 10
                           └─► CommandFailed ─► refused, with the code that the station gives: no part comes
"""

from __future__ import annotations

from dataclasses import dataclass

from station.simulation.plant.recipe_change import CommandStatus

BEGIN_BATCH, END_BATCH = 9, 10
NO_CODE = 5
"""Refused, and the station does not say why."""


@dataclass(slots=True)
class BatchCommands:
    """Scanned like the rest of the program. `is_over` is set by the feeder when all parts have passed the camera."""

    name: str = ""
    """Empty: the PLC begins none."""
    is_over: bool = False
    begun: bool = False
    ended: bool = False
    refused: int = 0
    """CommandResult of the station."""
    execute: bool = False

    @property
    def parts_may_come(self) -> bool:
        return self.begun or not self.name

    @property
    def wanted(self) -> int:
        """The command that is asked for now; 0: none."""
        if not self.name or self.refused or self.ended:
            return 0
        if not self.begun:
            return BEGIN_BATCH
        return END_BATCH if self.is_over else 0

    def scan(self, status: CommandStatus | None) -> None:
        """One scan. `status` is None while the station cannot be read."""
        if status is None:
            return
        outcome = status.completed or status.failed
        if not self.execute:
            self.execute = bool(self.wanted) and not (outcome or status.executed)
        elif status.executed and outcome:
            self.execute = False
            if not status.completed:
                self.refused = status.result or NO_CODE
            elif self.begun:
                self.ended = True
            else:
                self.begun = True
