"""Batches that the PLC begins and ends: as a person does, but with a name from registers, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from station import noted
from station.command_results import CommandResult
from station.line.recording.stage import Recorder
from station.records.audit import AuditEntry
from station.records.batches.rows import PLC, BatchError

log = structlog.get_logger()

BURST = 20
"""Changes that are taken however fast they come: an evening of trials."""
REFILL_S = 30.0
"""After them one in this time, at most 2,900 in a day: a program that flaps writes no more rows than that."""
ON_DISK_S = 5.0
"""Longest wait until a batch is on disk; the PLC waits `command_timeout_s` for its reply."""
REFUSED = "batch_refused"
"""The kind of event that says why; events of a kind are bounded."""


class PlcBatches:
    """Begins and ends batches for the PLC. Called by the one thread that carries out its commands."""

    def __init__(
        self, recorder: Recorder, recipe: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`recipe`: the name of the active one."""
        self._recorder = recorder
        self._recipe = recipe
        self._clock = clock
        self._left: float = BURST
        self._since_s = clock()

    def begin(self, name: str) -> None:
        """Begins the batch of this name, as it stands in the registers; ends one that the PLC began. When it returns,
        a restart knows the batch. Raises BatchError.
        """
        self._change(lambda: self._recorder.batches.begin(in_ascii(name), PLC, recipe=self._recipe()).name)

    def end(self) -> None:
        """Ends the batch that the PLC began. When it returns, a restart knows that. Raises BatchError."""

        def ended() -> str:
            self._recorder.batches.end(PLC)
            return "none"

        self._change(ended)

    def _change(self, change: Callable[[], str]) -> None:
        was = self._recorder.batches.open
        try:
            self._check_pace()
            now = change()
        except BatchError as problem:
            self._recorder.event(REFUSED, "warning", noted.ASKED_BY(name="the PLC", detail=problem))
            raise
        self._left -= 1
        number = self._recorder.batches.open
        detail = "" if number is None else f"number {number.number}"
        self._recorder.audit(AuditEntry(PLC, "batch", "none" if was is None else was.name, now, "done", detail))
        if not self._recorder.flush(ON_DISK_S):
            log.warning("a batch of the PLC is not on disk yet", batch=now)

    def _check_pace(self) -> None:
        now_s = self._clock()
        self._left = min(BURST, self._left + (now_s - self._since_s) / REFILL_S)
        self._since_s = now_s
        if self._left < 1:
            raise BatchError(
                f"too many changes: one in {REFILL_S:g} s on average; the open batch stays",
                CommandResult.TOO_MANY_BATCHES,
            )


def in_ascii(registers: str) -> str:
    """The name that the registers hold. Raises BatchError: something in it is no printable letter of ASCII."""
    if not (registers.isascii() and registers.isprintable()):
        shown = registers.encode("unicode_escape").decode("ascii")
        raise BatchError(
            f'name "{shown}": printable letters of ASCII only, with a 0 behind the last',
            CommandResult.BATCH_NAME_LETTERS,
        )
    return registers
