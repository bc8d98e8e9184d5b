"""Reads process values and what the computer says of itself, keeps them, and says what has changed.

A process of its own: nothing of the line waits for it, and it waits for nothing of the line. A PLC that does not reply
is said and tried again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import structlog

from station.configuration.plc import ProcessSection
from station.process.computer import of_computer
from station.process.registers import ProcessLost, Registers
from station.process.storage import COMPUTER, PROCESS, PROCESS_FILE, Finding, Writer, reading
from station.process.watching import Watch

log = structlog.get_logger()

COMPUTER_S = 300.0
YEAR_S = 365.25 * 86_400.0
DAY_S = 86_400.0
LEARN_AGAIN = "learn"
"""Kind of the finding after which what comes is normal."""


def new_watch(section: ProcessSection) -> Watch | None:
    """For the values of the configuration; None: there are fewer than two, nothing can go together."""
    names = [each.name for each in section.registers]
    run_length = max(100.0, YEAR_S / section.period_s / section.false_alarms_per_year)
    return Watch(names, learn_samples=section.learn_samples, run_length=run_length) if len(names) > 1 else None


def take_up(watch: Watch, file: Path, section: ProcessSection, now: float) -> None:
    """What was recorded before this start is learned from, from the last order to learn on. Raises ProcessError."""
    with reading(file) as connection:
        if connection is None:
            return
        row = connection.execute("SELECT MAX(wall_time) FROM findings WHERE kind = ?", (LEARN_AGAIN,)).fetchone()
        since = 0.0 if row[0] is None else float(row[0])
        rows = connection.execute(
            "SELECT at_values FROM samples WHERE source = ? AND wall_time >= ? AND wall_time < ? "
            "ORDER BY wall_time LIMIT ?",
            (PROCESS, since, now, section.learn_samples),
        ).fetchall()
    values = [_row(watch, row[0]) for row in rows]
    whole = np.array([row for row in values if row is not None])
    if len(whole) >= section.learn_samples:
        watch.learn_from(whole)
        return
    for row in whole:
        watch.add(dict(zip(watch.names, row, strict=True)))


class Sampling:
    """Owns the loop, the connection to the PLC and the file."""

    def __init__(self, section: ProcessSection, work_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Raises ProcessError: the file cannot be used."""
        self._section = section
        self._work_dir = work_dir
        self._clock = clock
        self._writer = Writer(work_dir / PROCESS_FILE)
        self._registers = Registers(section) if section.registers else None
        self._watch = new_watch(section)
        self._standing: dict[str, str] = {}
        self._computer_at = 0.0
        self._forget_at = 0.0
        if self._watch is not None:
            take_up(self._watch, work_dir / PROCESS_FILE, section, clock())

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises ProcessError: nothing can be kept."""
        try:
            while not stop.is_set():
                begun = time.monotonic()
                self.turn()
                stop.wait(max(0.0, self._section.period_s - (time.monotonic() - begun)))
        finally:
            self.close()

    def close(self) -> None:
        """Lets PLC and file go."""
        if self._registers is not None:
            self._registers.close()
        self._writer.close()

    def turn(self) -> None:
        """One sample of everything that is due."""
        now = self._clock()
        if self._registers is not None:
            self._process(now)
        if now >= self._computer_at or now < self._computer_at - COMPUTER_S:
            self._computer_at = now + COMPUTER_S
            self._writer.sample(now, COMPUTER, of_computer(self._work_dir))
        if now >= self._forget_at:
            self._forget_at = now + DAY_S
            self._writer.forget(now - self._section.keep_days * DAY_S)

    def _process(self, now: float) -> None:
        assert self._registers is not None
        standing: dict[str, str] = {}
        values: dict[str, float] = {}
        try:
            values = self._registers.read()
        except ProcessLost as lost:
            standing["lost"] = str(lost)
        self._writer.sample(now, PROCESS, values)
        if self._watch is not None:
            standing.update(self._watch.add(values))
        for kind in self._standing.keys() - standing.keys():
            self._say(Finding(now, kind, False, self._standing[kind]))
        for kind in standing.keys() - self._standing.keys():
            self._say(Finding(now, kind, True, standing[kind]))
        self._standing = standing

    def _say(self, finding: Finding) -> None:
        self._writer.found(finding)
        if finding.begins:
            log.warning("process values", what=finding.kind, detail=finding.detail)
        else:
            log.info("process values: over", what=finding.kind, detail=finding.detail)


def _row(watch: Watch, text: str) -> list[float] | None:
    """A stored sample in the order of the watch; None: a value is missing."""
    values = json.loads(text)
    row = [values.get(name) for name in watch.names]
    return None if any(value is None for value in row) else [float(value) for value in row if value is not None]
