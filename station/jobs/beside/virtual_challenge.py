"""The virtual challenge: synthetic defects in pictures of recent good parts, by a process of the lowest priority.

It runs between the tests with master parts, and finds what those miss: they have large defects. The line does nothing
for it: pictures come from the records, and the engine is opened a second time, on one core that it gives way on.
"""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from station import said as sentences
from station.configuration.load import ConfigurationError, LoadedConfiguration, load
from station.jobs.beside.waiting_thread import WaitingThread
from station.jobs.process import JobError, OnProgress, ignore_progress, run_job
from station.python_command import python_command
from station.records.engines.virtual import UNLIKELY, VirtualRun, keep_run
from station.records.schema import RecordingError, open_reader

log = structlog.get_logger()

VIRTUAL = "virtual_challenge"
"""Its name among the companions of the watch."""
PICTURES = 6
"""Of one run beside the line: some eighty defects, seconds of one core."""
NORMAL_MISSED = 0.15
"""Share of the defects that may be missed: found 9 times of 10, by models made of four fifths of the pictures."""
_FIRST_S = 600.0
"""After the start, when parts have come."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One synthetic defect, and whether it was found."""

    kind: str
    contrast: int
    size_px: float
    found: bool


@dataclass(frozen=True, slots=True)
class VirtualChallenge:
    """What a run came to."""

    engine_id: str
    recipe: str
    pictures: int
    promised: int
    """Kinds and contrasts that the engine was taught to find; 0: it says of none."""
    defects: tuple[Defect, ...]

    @property
    def missed(self) -> int:
        return sum(not one.found for one in self.defects)

    @property
    def is_worse(self) -> bool:
        """More misses than chance explains in one of a thousand runs."""
        count = len(self.defects)
        tail = sum(
            math.comb(count, k) * NORMAL_MISSED**k * (1 - NORMAL_MISSED) ** (count - k)
            for k in range(self.missed, count + 1)
        )
        return self.missed > 0 and tail < UNLIKELY

    def by_kind(self) -> list[tuple[str, int, int]]:
        """Kind with its contrast, shown, found; most missed first."""
        shown = Counter((one.kind, one.contrast) for one in self.defects)
        found = Counter((one.kind, one.contrast) for one in self.defects if one.found)
        order = sorted(shown, key=lambda each: (found[each] / shown[each], each))
        return [
            (sentences.AT_CONTRAST(text=kind, count=contrast), shown[kind, contrast], found[kind, contrast])
            for kind, contrast in order
        ]


def challenge_virtually(
    configuration: LoadedConfiguration,
    *,
    engine: Path | None = None,
    pictures: int = PICTURES,
    seed: int,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> VirtualChallenge:
    """Shows defects to an engine, in pictures of the newest parts of the recipe that passed.

    `engine`: its folder; default: the one of the configuration.
    Raises JobError: there is no engine or no picture, or the process failed; RecordingError.
    """
    engine, recipe = engine or configuration.engine_path, configuration.settings.recipe.name
    if engine is None:
        raise JobError("there is no engine to challenge: activate one of the store")
    try:
        if read_manifest(engine).detection is None:
            return VirtualChallenge("", recipe, 0, 0, ())
    except EngineError as problem:
        raise JobError(str(problem)) from problem
    files = recent_good(configuration.records_dir, recipe, pictures)
    if not files:
        raise JobError(
            f"no picture of a part that passed is on record for recipe {json.dumps(recipe)}: [records] pass_image_share"
        )
    module = "engines.training.synthesis.virtual_challenge"
    command = python_command(module, str(engine.resolve()), str(seed), *map(str, files))
    result = run_job(command, what="the virtual challenge", threads=1, on_progress=on_progress, cancelled=cancelled)
    defects = tuple(Defect(*one) for one in result["shown"])
    return VirtualChallenge(result["engine_id"], recipe, len(files), result["promised"], defects)


def recent_good(records: Path, recipe: str, most: int) -> list[Path]:
    """Stored pictures of the newest parts of production that passed. Raises RecordingError."""
    query = (
        "SELECT v.image_path FROM views AS v JOIN parts AS p ON p.id = v.part WHERE p.verdict = 'PASS' AND "
        "v.verdict = 'PASS' AND p.recipe = ? AND p.challenge IS NULL AND v.image_path IS NOT NULL "
        "ORDER BY p.id DESC LIMIT ?"
    )
    with closing(open_reader(records)) as connection:
        rows = connection.execute(query, (recipe, 2 * most)).fetchall()
    folder = records.resolve()
    found = [folder / path for (path,) in rows]
    return [file for file in found if file.resolve().is_relative_to(folder) and file.is_file()][:most]


class VirtualChallenges(WaitingThread):
    """Owns the thread that challenges the station now and then, or when asked, and the process that it follows."""

    def __init__(self, configuration: Path, every_s: float, report: Callable[[VirtualChallenge], None]) -> None:
        """`every_s`: 0: only when asked. `report`: called on this thread with what each run came to."""
        super().__init__("virtual-challenge")
        self._configuration = configuration
        self._every_s = every_s
        self._report = report
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """Who asks for a run now; None: the end."""
        self._status: dict[str, Any] = {"state": "waiting", "at": None, "by": "", "problem": ""}

    @property
    def status(self) -> dict[str, Any]:
        """`state`: waiting or running; `at`, `by`, `problem`: of the last run, s since the epoch. For any thread."""
        return self._status

    def now(self, by: str) -> bool:
        """Asks for a run; False: one is under way. Any thread may call it."""
        if self._status["state"] == "running" or not self._asked.empty():
            return False
        self._asked.put(by)
        return True

    def _wake(self) -> None:
        self._asked.put(None)

    def _run(self) -> None:
        wait_s = min(_FIRST_S, self._every_s) or None
        while not self._stopped.is_set():
            try:
                by = self._asked.get(timeout=wait_s)
            except queue.Empty:
                by = ""
            if by is None:
                return
            wait_s = self._every_s or None
            self._status = {"state": "running", "at": time.time(), "by": by, "problem": ""}
            problem = self._challenge(by)
            self._status = {"state": "waiting", "at": time.time(), "by": by, "problem": problem}

    def _challenge(self, by: str) -> str:
        """One run. Why there was none; empty: there was."""
        try:
            configuration = load(self._configuration)
            result = challenge_virtually(configuration, seed=int(time.time()), cancelled=self._stopped)
            if result.defects:
                log.info("virtual challenge", shown=len(result.defects), missed=result.missed)
                self._report(result)
            keep_run(configuration.work_dir, as_run(result, by))
        except (JobError, RecordingError, ConfigurationError, OSError) as problem:
            log.info("no virtual challenge", problem=str(problem))
            return str(problem)
        return "" if result.defects else in_words(result)[0]


def as_run(result: VirtualChallenge, by: str, *, of_candidate: bool = False) -> VirtualRun:
    """What is kept of it."""
    kinds = tuple(result.by_kind())
    return VirtualRun(
        time.time(), by, result.engine_id, result.recipe, result.pictures, result.promised, len(result.defects),
        result.missed, result.is_worse, kinds, of_candidate,
    )  # fmt: skip


def in_words(result: VirtualChallenge) -> Sequence[str]:
    """For people."""
    if not result.promised:
        return ("the engine does not say what it finds: teach it with synthetic defects (--defect-trials)",)
    count = len(result.defects)
    if not count:
        return ("no defect could be shown: no picture passes without one, or the part has no room",)
    said = f"{count - result.missed} of {count} synthetic defects found in {result.pictures} pictures"
    if result.is_worse:
        return (f"{said}: fewer than when the engine was taught; check focus, lens and lamp",)
    return (f"{said}: as when the engine was taught (9 of 10 and more)",)
